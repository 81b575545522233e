"""TLS with the backend: what is verified, what is not spoken in plain text, and what SCRAM makes of it."""

import re
import signal
import socket
import struct
import subprocess
import threading

import psycopg
import pytest

from certificates import Authority
from postgres_server import BIN
from processes import make_directory, remove_directory
from tls_relay import TlsRelay
from understudy_process import run_understudy
from waiting import await_condition

PASSWORD = "a Secret with ünïcödé"
HBA = """
local all all trust
hostssl all certified all cert
host all postgres all trust
host all scram all scram-sha-256
hostssl all encrypted all trust
"""


@pytest.fixture(scope="module")
def papers():
    directory = make_directory("certificates")

    class Papers:
        authority = Authority(directory)
        server = authority.issue("server")
        elsewhere = authority.issue("elsewhere", common_name="db.example", alternatives="DNS:db.example,IP:192.0.2.1")
        expired = authority.issue("expired", days=0)
        proxy = authority.issue("proxy")
        user = authority.issue("user", common_name="certified", alternatives=None)
        stranger = Authority(directory, "stranger")

    yield Papers
    remove_directory(directory)


def tls_settings(papers, certificate):
    return (f"ssl = on\nssl_cert_file = '{certificate.certificate}'\nssl_key_file = '{certificate.key}'\n"
            f"ssl_ca_file = '{papers.authority.certificate}'\n")


@pytest.fixture(scope="module")
def secure(template, papers):
    """A server that speaks TLS and asks for it where HBA says so."""
    from postgres_server import Server
    with Server(template, settings=tls_settings(papers, papers.server), hba=HBA) as server:
        server.start()
        server.execute("CREATE ROLE certified LOGIN; CREATE ROLE encrypted LOGIN;"
                       f" CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'")
        yield server


def towards(server, mode, authority=None, host="localhost"):
    arguments = [f"{host}:{server.port}", "--server-tls-sslmode", mode, "--log-connections", "on"]
    return arguments + (["--server-tls-ca-file", authority.certificate] if authority else [])


def client_side(papers, certificate=None):
    certificate = certificate or papers.proxy
    return ["--client-tls-cert-file", certificate.certificate, "--client-tls-key-file", certificate.key]


IN_USE = "SELECT coalesce((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), 'off')"


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca", "verify-full"])
def test_every_mode_but_disable_encrypts_where_the_server_can(secure, make_proxy, papers, mode):
    proxy = make_proxy(*towards(secure, mode, papers.authority))
    with proxy.connect() as connection:
        assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
    proxy.await_log("session_opened .*client_tls=off server_tls=TLSv1.3")


@pytest.mark.parametrize("mode, arrives", [("disable", True), ("prefer", True), ("require", False)])
def test_a_server_without_tls(server, make_proxy, mode, arrives):
    proxy = make_proxy(*towards(server, mode))
    if arrives:
        with proxy.connect() as connection:
            assert connection.execute(IN_USE).fetchone() == ("off",)
    else:
        with pytest.raises(psycopg.OperationalError, match="it has no TLS, which server_tls_sslmode requires"):
            proxy.connect()


def test_tls_1_2(make_server, make_proxy, papers):
    server = make_server(settings=tls_settings(papers, papers.server) + "ssl_max_protocol_version = 'TLSv1.2'\n")
    proxy = make_proxy(*towards(server, "verify-full", papers.authority))
    with proxy.connect() as connection:
        assert connection.execute(IN_USE).fetchone() == ("TLSv1.2",)


@pytest.mark.parametrize("shown, host, mode, complaint", [
    ("elsewhere", "localhost", "verify-full", "hostname mismatch"),
    ("elsewhere", "127.0.0.1", "verify-full", "IP address mismatch"),
    ("elsewhere", "127.0.0.1", "verify-ca", None),
    ("server", "127.0.0.1", "verify-full", None),
    ("server", "[::1]", "verify-full", None),
    ("expired", "localhost", "verify-ca", "certificate has expired"),
    ("expired", "localhost", "require", "certificate has expired"),
])
def test_the_servers_certificate_is_verified(make_server, make_proxy, papers, shown, host, mode, complaint):
    server = make_server(settings=tls_settings(papers, getattr(papers, shown)))
    proxy = make_proxy(*towards(server, mode, papers.authority, host))
    if complaint is None:
        with proxy.connect() as connection:
            assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
    else:
        with pytest.raises(psycopg.OperationalError, match=f"could not connect to backend .*: TLS .*{complaint}"):
            proxy.connect()
        proxy.await_log(f"backend_unreachable .*{complaint}")


def test_an_authority_nobody_knows(secure, make_proxy, papers):
    for mode in ("verify-ca", "verify-full", "require"):
        proxy = make_proxy(*towards(secure, mode, papers.stranger))
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed: self-signed certificate in"):
            proxy.connect()
    # Without an authority require verifies nothing, as in libpq; prefer never does.
    for arguments in (towards(secure, "require"), towards(secure, "prefer", papers.stranger)):
        with make_proxy(*arguments).connect() as connection:
            assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)


def test_the_proxy_shows_its_own_certificate(secure, make_proxy, papers):
    proxy = make_proxy(*towards(secure, "verify-full", papers.authority), "--server-tls-cert-file",
                       papers.user.certificate, "--server-tls-key-file", papers.user.key)
    with proxy.connect(user="certified") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("certified",)


def test_unix_sockets_never_are_encrypted(secure, make_proxy, papers):
    proxy = make_proxy(secure.socket, "--server-tls-sslmode", "verify-full", "--server-tls-ca-file",
                       papers.authority.certificate)
    with proxy.connect() as connection:
        assert connection.execute(IN_USE).fetchone() == ("off",)


def interrupted(server, proxy):
    running = subprocess.Popen([str(BIN / "psql"), "-X", "-c", "SELECT pg_sleep(600)"], env=proxy.environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                                         " AND query = 'SELECT pg_sleep(600)'"), "the statement to run")
    running.send_signal(signal.SIGINT)
    return running.communicate(timeout=60)[1]


def test_a_cancel_reaches_the_server_over_tls(secure, make_proxy, papers):
    tap = Tap(secure.port)
    proxy = make_proxy(f"localhost:{tap.port}", "--server-tls-sslmode", "verify-full", "--server-tls-ca-file",
                       papers.authority.certificate)
    assert b"canceling statement due to user request" in interrupted(secure, proxy)
    await_condition(lambda: len(tap.first_bytes) >= 2, "the cancel's connection to be seen")
    ssl_request = struct.pack("!ii", 8, 80877103)
    assert all(first == ssl_request for first in tap.first_bytes), tap.first_bytes


class Tap:
    """Passes bytes on to a server and remembers with which eight every connection began."""

    def __init__(self, port):
        self._target = port
        self.first_bytes = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            first = client.recv(8, socket.MSG_WAITALL)
            self.first_bytes.append(first)
            server.sendall(first)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join()

    @staticmethod
    def _copy(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class FakeServer:
    """Answers whoever connects with `answer` once it was asked for TLS, then listens to the end."""

    def __init__(self, answer):
        self.heard = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            with client:
                client.settimeout(30)
                heard = client.recv(8, socket.MSG_WAITALL)
                client.sendall(self._answer)
                try:
                    while piece := client.recv(65536):
                        heard += piece
                        if not self._answer:
                            break
                except OSError:
                    pass
            self.heard.append(heard)


READY = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
ANSWERS = {
    "a whole login behind the yes": (b"S" + READY, "unasked"),
    "an error behind the yes": (b"SE\0\0\0\x10SFATAL\0M!\0\0", "unasked"),
    "a login behind the no": (b"N" + READY, "unasked"),
    "an error in the answer's place": (b"E\0\0\0\x10SFATAL\0M!\0\0", "neither yes nor no"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "neither yes nor no"),
}


@pytest.mark.parametrize("mode", ["prefer", "require"])
@pytest.mark.parametrize("what", ANSWERS)
def test_bytes_before_the_handshake_are_refused(make_proxy, what, mode):
    """CVE-2021-23222 and CVE-2021-43767: whoever sits between must not speak in the server's name."""
    answer, complaint = ANSWERS[what]
    fake = FakeServer(answer)
    proxy = make_proxy(*towards(fake, mode))
    with pytest.raises(psycopg.OperationalError, match=complaint):
        proxy.connect()
    await_condition(lambda: fake.heard, "the fake server to hear the end")
    assert all(heard == struct.pack("!ii", 8, 80877103) for heard in fake.heard)


def test_a_handshake_that_is_none_is_refused(make_proxy):
    fake = FakeServer(b"S")
    proxy = make_proxy(*towards(fake, "require"), "--server-connect-timeout", "300ms")
    with pytest.raises(psycopg.OperationalError, match="timed out"):
        proxy.connect()
    await_condition(lambda: fake.heard, "the fake server to hear the end")
    assert fake.heard[0][8:9] == b"\x16"


class FirstHandshakeFails(Tap):
    def _pass_on(self, client):
        if self.first_bytes:
            return super()._pass_on(client)
        with client:
            self.first_bytes.append(client.recv(8, socket.MSG_WAITALL))
            client.sendall(b"S")
            client.recv(65536)
            client.sendall(b"\x15\x03\x03\0\x02\x02\x28")  # the alert handshake_failure
            return None


@pytest.mark.parametrize("mode, arrives", [("prefer", True), ("require", False)])
def test_prefer_goes_on_in_the_clear_when_the_handshake_fails(secure, make_proxy, mode, arrives):
    proxy = make_proxy(*towards(FirstHandshakeFails(secure.port), mode, host="127.0.0.1"))
    if arrives:
        with proxy.connect() as connection:
            assert connection.execute(IN_USE).fetchone() == ("off",)
    else:
        with pytest.raises(psycopg.OperationalError, match="TLS handshake failed: .*handshake failure"):
            proxy.connect()


def test_scram_is_relayed_where_only_one_side_is_encrypted(secure, make_proxy, papers):
    to_server = make_proxy(*towards(secure, "verify-full", papers.authority))
    to_client = make_proxy(secure.tcp, *client_side(papers))
    with to_server.connect(user="scram", password=PASSWORD) as connection:
        assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
    for binding in ("prefer", "disable"):
        with to_client.connect(user="scram", password=PASSWORD, sslmode="require",
                               channel_binding=binding) as connection:
            assert connection.execute(IN_USE).fetchone() == ("off",)


def test_scram_between_two_encrypted_sides_needs_a_word_from_the_client(secure, make_proxy, papers):
    proxy = make_proxy(*towards(secure, "verify-full", papers.authority), *client_side(papers))
    with proxy.connect(user="scram", password=PASSWORD, sslmode="require", channel_binding="disable") as connection:
        assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
    with pytest.raises(psycopg.OperationalError, match="cannot be relayed between two TLS connections") as refused:
        proxy.connect(user="scram", password=PASSWORD, sslmode="require")
    assert "channel_binding=disable" in str(refused.value)
    assert proxy.stop() == 0
    assert PASSWORD.encode() not in proxy.log().encode()


def test_with_the_servers_own_certificate_the_channel_is_bound(secure, make_proxy, papers, scratch):
    proxy = make_proxy(*towards(secure, "verify-full", papers.authority), *client_side(papers, papers.server),
                       record=scratch / "recording")
    with proxy.connect(user="scram", password=PASSWORD, sslmode="require", channel_binding="require") as connection:
        assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
    assert proxy.stop() == 0
    recorded = b"".join(path.read_bytes() for path in (scratch / "recording").iterdir())
    assert recorded and PASSWORD.encode() not in recorded


def test_who_sits_between_the_proxy_and_its_server_is_found_out_by_scram(secure, make_proxy, papers, scratch):
    """The proxy logs in by itself, and does not look at certificates: its proof is bound to the one that it was shown."""
    (scratch / "users.txt").write_text(f'"scram" "{PASSWORD}"\n', encoding="utf-8")
    own = ["--auth", "file", "--auth-file", scratch / "users.txt", "--server-tls-sslmode", "require"]
    with TlsRelay(secure.port, papers.server) as harmless, TlsRelay(secure.port, papers.proxy) as reader:
        # One that has the server's own certificate cannot be told from the server.
        with make_proxy(f"localhost:{harmless.port}", *own).connect(user="scram", password=PASSWORD) as connection:
            assert connection.execute(IN_USE).fetchone() == ("TLSv1.3",)
        proxy = make_proxy(f"localhost:{reader.port}", *own)
        with pytest.raises(psycopg.OperationalError, match="channel binding"):
            proxy.connect(user="scram", password=PASSWORD)
        proxy.stop()


def test_a_wrong_password_is_the_servers_own_error_over_tls(secure, make_proxy, papers):
    proxy = make_proxy(*towards(secure, "require"), *client_side(papers))
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "scram"'):
        proxy.connect(user="scram", password="wrong", sslmode="require", channel_binding="disable")


def test_a_large_result_over_tls_on_both_sides(secure, make_proxy, papers, scratch):
    proxy = make_proxy(*towards(secure, "require"), *client_side(papers), record=scratch / "recording")
    with proxy.connect(sslmode="require") as connection:
        sizes = connection.execute("SELECT n, repeat(chr(65 + n % 26), n * 10)"
                                   " FROM generate_series(1, 3000) n").fetchall()
    assert [len(value) for _, value in sizes] == [n * 10 for n in range(1, 3001)]
    assert proxy.stop() == 0
    shown = run_understudy("show", scratch / "recording", "--json").stdout
    assert all(re.search(rf'"{side}_tls"\s*:\s*true', shown) for side in ("client", "server")), shown


def test_modes_change_at_a_reload(secure, make_proxy, scratch):
    file = scratch / "understudy.ini"
    file.write_text("[understudy]\nserver_tls_sslmode = require\n", encoding="utf-8")
    proxy = make_proxy(secure.tcp, "--config", file)
    with proxy.connect() as living:
        file.write_text("[understudy]\nserver_tls_sslmode = disable\n", encoding="utf-8")
        proxy.signal(signal.SIGHUP)
        proxy.await_log(" reloaded ")
        with proxy.connect() as fresh:
            assert fresh.execute(IN_USE).fetchone() == ("off",)
        # Neither the session nor its way to be cancelled changes.
        assert living.execute(IN_USE).fetchone() == ("TLSv1.3",)
        living.pgconn.send_query(b"SELECT pg_sleep(600)")
        living.pgconn.flush()
        await_condition(lambda: secure.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1,
                        "the statement to run")
        living.cancel()
        assert living.pgconn.get_result().error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014"
        assert living.pgconn.get_result() is None


def test_a_replay_connects_as_libpq_does(secure, make_proxy, papers, scratch):
    proxy = make_proxy(secure.tcp, record=scratch / "recording")
    with proxy.connect() as connection:
        connection.execute("SELECT 1")
    assert proxy.stop() == 0

    def replay(mode, authority, name):
        target = (f"postgresql://encrypted@localhost:{secure.port}/postgres"
                  f"?sslmode={mode}&sslrootcert={authority.certificate}")
        return run_understudy("replay", scratch / "recording", "--to", target, "--user-map", "postgres=encrypted",
                              "--record", scratch / name)

    for mode in ("require", "verify-full"):
        result = replay(mode, papers.authority, f"rehearsal-{mode}")
        assert result.returncode == 0, result.stdout + result.stderr
    assert "certificate verify failed" in replay("verify-full", papers.stranger, "refused").stderr
