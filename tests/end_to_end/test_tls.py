"""TLS with clients: who is encrypted, who is refused, and do those who come between get anywhere?"""

import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import psycopg
import pytest

from certificates import Authority
from postgres_server import BIN
from processes import make_directory, remove_directory
from understudy_process import run_understudy
from waiting import await_condition, free_port, scaled

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


@pytest.fixture(scope="module")
def papers():
    """What a proxy and its clients show each other; `stranger` was issued by somebody else."""
    directory = make_directory("certificates")

    class Papers:
        authority = Authority(directory)
        proxy = authority.issue("proxy")
        other_proxy = authority.issue("other-proxy")
        user = authority.issue("user", common_name="postgres", alternatives=None)
        expired = authority.issue("expired", common_name="postgres", days=0)
        stranger = Authority(directory, "stranger").issue("stranger-user", common_name="postgres")

    yield Papers
    remove_directory(directory)


@pytest.fixture
def make_tls_proxy(server, make_proxy, papers):
    def make(*arguments, backend=server.tcp, **options):
        return make_proxy(backend, "--client-tls-cert-file", papers.proxy.certificate, "--client-tls-key-file",
                          papers.proxy.key, "--log-connections", "on", *arguments, **options)
    return make


def encrypted(papers, **more):
    return {"host": "localhost", "sslmode": "verify-full", "sslrootcert": str(papers.authority.certificate), **more}


def showing(certificate):
    return {"sslcert": str(certificate.certificate), "sslkey": str(certificate.key)}


def environment(proxy, papers):
    return {**proxy.environment, "PGHOST": "localhost", "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(papers.authority.certificate)}


def context(papers, alpn=("postgresql",)):
    made = ssl.create_default_context(cafile=papers.authority.certificate)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def startup(**parameters):
    body = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, 196608) + body


def read_to_end(connection):
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except (ConnectionResetError, ssl.SSLError):
        pass
    return b"".join(pieces)


def read_until(connection, end):
    received = b""
    while not received.endswith(end):
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return received


def log_in(connection):
    connection.sendall(startup(user="postgres", database="postgres"))
    return read_until(connection, b"Z\0\0\0\5I")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_is_encrypted_and_the_log_says_how(make_tls_proxy, papers, version):
    proxy = make_tls_proxy()
    with proxy.connect(**encrypted(papers, ssl_max_protocol_version=version)) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchone() == (1,)
    proxy.await_log(rf"session_opened .*client_tls={version} server_tls=off")


@pytest.mark.parametrize("mode, plain, tls", [("disable", True, False), ("allow", True, True), ("prefer", True, True),
                                              ("require", False, True)])
def test_the_mode_says_who_may_come(make_tls_proxy, papers, mode, plain, tls):
    proxy = make_tls_proxy("--client-tls-sslmode", mode)
    for allowed, options in ((plain, {"sslmode": "disable"}), (tls, encrypted(papers))):
        if allowed:
            with proxy.connect(**options) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        else:
            with pytest.raises(psycopg.OperationalError, match="TLS is required|does not support SSL"):
                proxy.connect(**options)


def test_a_plain_client_is_told_why_it_is_refused(make_tls_proxy):
    proxy = make_tls_proxy("--client-tls-sslmode", "require")
    with proxy.raw() as plain:
        plain.sendall(startup(user="postgres"))
        answer = read_to_end(plain)
    assert answer.startswith(b"E") and b"SFATAL\0" in answer and b"C28000\0" in answer, answer
    assert b"TLS is required" in answer and b"sslmode=require" in answer
    proxy.await_log("tls_refused")


def test_unix_sockets_need_no_tls(make_tls_proxy, scratch):
    proxy = make_tls_proxy("--client-tls-sslmode", "require", listen=[f"127.0.0.1:{free_port()}", f"{scratch}:6432"])
    with proxy.connect(host=str(scratch), port=6432, sslmode="prefer") as connection:
        assert not connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_only_the_versions_configured_are_spoken(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-protocols", "tlsv1.3")
    with pytest.raises(psycopg.OperationalError, match="protocol version"):
        proxy.connect(**encrypted(papers, ssl_max_protocol_version="TLSv1.2"))
    with proxy.connect(**encrypted(papers)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    proxy.await_log("tls_failed .*unsupported protocol")


def test_client_certificates(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "verify-ca", "--client-tls-ca-file", papers.authority.certificate)
    with proxy.connect(**encrypted(papers, **showing(papers.user))) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    refused = {"certificate required": {"sslcert": "none"}, "unknown ca": showing(papers.stranger),
               "certificate expired": showing(papers.expired)}
    for words, shown in refused.items():
        with pytest.raises(psycopg.OperationalError, match=words):
            proxy.connect(**encrypted(papers, **shown))
    for reason in ("did not return a certificate", "unable to get local issuer", "certificate has expired"):
        proxy.await_log(f"tls_failed .*{reason}")


def test_a_client_certificate_admits_only_the_user_it_names(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "verify-full", "--client-tls-ca-file", papers.authority.certificate)
    with proxy.connect(**encrypted(papers, **showing(papers.user))) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
    with pytest.raises(psycopg.OperationalError, match='certificate authentication failed for user "another"'):
        proxy.connect(**encrypted(papers, **showing(papers.user), user="another"))
    # PostgreSQL takes the last of several users, so the first must not be the only one looked at.
    secure = context(papers)
    secure.load_cert_chain(papers.user.certificate, papers.user.key)
    for names in ((b"postgres", b"another"), (b"another", b"postgres")):
        body = b"".join(b"user\0" + name + b"\0" for name in names) + b"\0"
        with secure.wrap_socket(proxy.raw(), server_hostname="localhost") as twofold:
            twofold.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
            assert b"C28000\0" in read_to_end(twofold)


def test_a_client_certificate_may_name_its_user_by_its_whole_subject(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "verify-full", "--client-tls-clientname", "DN",
                           "--client-tls-ca-file", papers.authority.certificate)
    # The name is right, and the server knows no such user.
    with pytest.raises(psycopg.OperationalError, match='role "CN=postgres" does not exist'):
        proxy.connect(**encrypted(papers, **showing(papers.user)), user="CN=postgres")
    with pytest.raises(psycopg.OperationalError, match='certificate authentication failed for user "postgres"'):
        proxy.connect(**encrypted(papers, **showing(papers.user)))


def test_direct_tls_with_alpn(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "require")
    with context(papers).wrap_socket(proxy.raw(), server_hostname="localhost") as direct:
        assert direct.selected_alpn_protocol() == "postgresql"
        log_in(direct)
        direct.sendall(b"Q\0\0\0\rSELECT 1\0")
        assert b"SELECT 1\0" in read_until(direct, b"Z\0\0\0\5I")
    proxy.await_log("session_opened .*client_tls=TLSv1.3")


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("postgres", "postgresql2")])
def test_direct_tls_for_another_protocol_is_refused(make_tls_proxy, papers, alpn):
    proxy = make_tls_proxy()
    try:
        with context(papers, alpn).wrap_socket(proxy.raw(), server_hostname="localhost") as direct:
            direct.sendall(startup(user="postgres", database="postgres"))
            assert read_to_end(direct) == b""
    except (ssl.SSLError, ConnectionError):
        pass
    proxy.await_log("tls_failed .*ALPN|tls_failed .*application protocol")


def test_a_start_up_message_that_comes_with_the_end_of_the_handshake_is_not_left_lying(make_tls_proxy, papers):
    """The client's last handshake record and its first words in one segment: the socket stays silent afterwards."""
    proxy = make_tls_proxy()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context(papers).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with proxy.raw() as connection:
        while True:
            try:
                secure.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        secure.write(startup(user="postgres", database="postgres"))
        connection.sendall(outgoing.read())
        received = b""
        while not received.endswith(b"Z\0\0\0\5I"):
            try:
                received += secure.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(connection.recv(65536))


INJECTED = {
    "a start-up message behind SSLRequest": SSL_REQUEST + startup(user="postgres", database="postgres"),
    "half of one": SSL_REQUEST + startup(user="postgres")[:3],
    "a second SSLRequest": SSL_REQUEST + SSL_REQUEST,
    "a TLS handshake that does not await the answer": SSL_REQUEST + bytes.fromhex("160301000501000001"),
}


@pytest.mark.parametrize("what", INJECTED)
def test_bytes_before_the_answer_to_an_ssl_request_are_refused(make_tls_proxy, what):
    """CVE-2021-23214 and its kin: what was said in plain text must not count as said under TLS."""
    proxy = make_tls_proxy()
    with proxy.raw() as hostile:
        hostile.sendall(INJECTED[what])
        answer = read_to_end(hostile)
    assert answer.startswith(b"E") and b"C08P01\0" in answer, answer
    proxy.await_log("protocol_error .*before its answer")


def test_plain_bytes_in_the_handshakes_place_are_refused(make_tls_proxy):
    for nonsense in (startup(user="postgres", database="postgres"), b"GET / HTTP/1.1\r\n\r\n", bytes(100),
                     bytes((n * 97 + 13) % 256 for n in range(1000)), b"\x16\x03\x01\x40\x00" + bytes(1000)):
        proxy = make_tls_proxy()
        with proxy.raw() as hostile:
            hostile.sendall(SSL_REQUEST)
            assert hostile.recv(1) == b"S"
            hostile.sendall(nonsense)
            hostile.shutdown(socket.SHUT_WR)
            # At most a TLS alert; not a word of PostgreSQL.
            assert read_to_end(hostile)[:1] in (b"", b"\x15")
        await_condition(lambda: " tls_failed " in proxy.log(), lambda: f"tls_failed for {nonsense[:20]}: {proxy.log()}")


@pytest.mark.parametrize("request_bytes", [SSL_REQUEST, GSS_REQUEST])
def test_no_encryption_inside_an_encryption(make_tls_proxy, papers, request_bytes):
    proxy = make_tls_proxy()
    with context(papers).wrap_socket(proxy.raw(), server_hostname="localhost") as direct:
        direct.sendall(request_bytes)
        assert b"C08P01\0" in read_to_end(direct)


def test_a_handshake_that_takes_too_long_is_ended(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-login-timeout", "300ms")
    with proxy.connect(**encrypted(papers)) as bystander, proxy.raw() as half_open:
        half_open.sendall(SSL_REQUEST)
        assert half_open.recv(1) == b"S"
        half_open.sendall(b"\x16\x03\x01")
        assert read_to_end(half_open) == b""
        proxy.await_log(r"login_timeout session=\d+")
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def interrupted(server, proxy, environment_of_psql):
    """psql, interrupted while its statement runs."""
    running = subprocess.Popen([str(BIN / "psql"), "-X", "-c", "SELECT pg_sleep(600)"], env=environment_of_psql,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                                         " AND query = 'SELECT pg_sleep(600)'"), "the statement to run")
    running.send_signal(signal.SIGINT)
    return running.communicate(timeout=60)[1]


def test_a_cancel_is_accepted_plain_as_older_clients_send_it(server, make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "require")
    assert b"canceling statement due to user request" in interrupted(server, proxy, environment(proxy, papers))


def test_a_cancel_is_accepted_over_tls(make_tls_proxy, papers):
    proxy = make_tls_proxy("--client-tls-sslmode", "require")
    with context(papers).wrap_socket(proxy.raw(), server_hostname="localhost") as victim:
        key = re.search(rb"K\0\0\0\x0c(.{8})", log_in(victim), re.DOTALL).group(1)
        statement = b"SELECT pg_sleep(600)\0"
        victim.sendall(b"Q" + struct.pack("!i", len(statement) + 4) + statement)
        with context(papers).wrap_socket(proxy.raw(), server_hostname="localhost") as cancel:
            cancel.sendall(struct.pack("!ii", 16, 80877102) + key)
            assert read_to_end(cancel) == b""
        assert b"C57014\0" in read_until(victim, b"Z\0\0\0\5I")
    proxy.await_log("session_opened")


def test_node_postgres(make_tls_proxy, papers, node):
    proxy = make_tls_proxy("--client-tls-sslmode", "require")
    result = node("client.js", {**environment(proxy, papers), "NODE_EXTRA_CA_CERTS": str(papers.authority.certificate)})
    assert result.returncode == 0, result.stdout + result.stderr


CONVERSATION = """
CREATE TEMPORARY TABLE t (n int, x text);
INSERT INTO t SELECT n, repeat('x', n) FROM generate_series(1, 1000) n;
SELECT * FROM t ORDER BY n;
SELECT 1/0;
COPY t TO STDOUT;
"""


def converse(env):
    return subprocess.run([str(BIN / "psql"), "-X", "-a"], input=CONVERSATION, env=env, capture_output=True, text=True,
                          timeout=120, check=True).stdout


def test_what_is_recorded_is_the_same_with_and_without_tls(make_tls_proxy, papers, scratch):
    plain = make_tls_proxy(record=scratch / "plain")
    tls = make_tls_proxy(record=scratch / "tls")
    printed = [converse(plain.environment), converse(environment(tls, papers))]
    assert printed[0] == printed[1]
    assert (plain.stop(), tls.stop()) == (0, 0)
    same = run_understudy("diff", scratch / "plain", scratch / "tls")
    assert same.returncode == 0, same.stdout + same.stderr
    for name, is_encrypted in (("plain", "false"), ("tls", "true")):
        shown = run_understudy("show", scratch / name, "--json").stdout
        assert re.search(rf'"client_tls"\s*:\s*{is_encrypted}', shown), shown
        assert re.search(r'"server_tls"\s*:\s*false', shown), shown


@pytest.mark.parametrize("recording", [False, True])
def test_a_large_result_for_a_client_that_dawdles_holds_the_server_up_and_arrives_whole(
        server, make_tls_proxy, papers, scratch, recording):
    proxy = make_tls_proxy(record=scratch / "recording" if recording else None)
    rows = scaled(100_000, least=50_000)
    with proxy.connect(**encrypted(papers)) as connection:
        resident = proxy.resident_kib()
        with connection.cursor() as cursor, cursor.copy(
                f"COPY (SELECT n, repeat('x', 1000) FROM generate_series(1, {rows}) n) TO STDOUT") as copy:
            pieces = iter(copy)
            received = len(next(pieces))
            await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity"
                                                 " WHERE wait_event = 'ClientWrite'"), "the server to wait")
            if not recording:  # which has a buffer of its own
                assert proxy.resident_kib(peak=True) - resident < 16 * 1024
            received += sum(map(len, pieces))
        assert received == sum(len(str(n)) for n in range(1, rows + 1)) + rows * (1000 + 2)
    assert proxy.stop() == 0
    if recording:
        assert "sessions_shed=0" in proxy.log()


def test_a_large_copy_in_arrives_whole(make_tls_proxy, papers):
    proxy = make_tls_proxy()
    rows = scaled(50_000, least=5_000)
    with proxy.connect(**encrypted(papers)) as connection:
        connection.execute("CREATE TEMPORARY TABLE t (x text)")
        with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            for _ in range(rows // 1000):
                copy.write(("x" * 1000 + "\n") * 1000)
        assert connection.execute("SELECT count(*), sum(length(x)) FROM t").fetchone() == (rows, rows * 1000)


def served_certificate(proxy, papers):
    with context(papers).wrap_socket(proxy.raw(), server_hostname="localhost") as direct:
        return direct.getpeercert(binary_form=True)


def write_configuration(path, certificate, key):
    path.write_text(f"[understudy]\nclient_tls_sslmode = require\nclient_tls_cert_file = {certificate}\n"
                    f"client_tls_key_file = {key}\n", encoding="utf-8")


def test_certificates_are_reloaded_and_nobody_is_dropped(server, make_proxy, papers, scratch):
    file = scratch / "understudy.ini"
    write_configuration(file, papers.proxy.certificate, papers.proxy.key)
    locked = scratch / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", papers.proxy.key, "-aes128", "-passout", "pass:secret", "-out", locked],
                   check=True)
    proxy = make_proxy(server.tcp, "--config", file)
    before = served_certificate(proxy, papers)
    with proxy.connect(**encrypted(papers)) as living:
        write_configuration(file, papers.other_proxy.certificate, papers.other_proxy.key)
        proxy.signal(signal.SIGHUP)
        proxy.await_log(" reloaded ")
        after = served_certificate(proxy, papers)
        assert after != before
        assert "restart_needed" not in proxy.log()
        assert living.execute("SELECT repeat('x', 100000)").fetchone() == ("x" * 100000,)
        # A file that cannot be used changes nothing, and the log names it.
        for certificate, key, reason in (("/nonexistent.crt", papers.proxy.key, "nonexistent.crt: No such file"),
                                         (papers.proxy.certificate, papers.other_proxy.key, "key values mismatch"),
                                         (papers.proxy.certificate, papers.proxy.certificate,
                                          f"tls_key_file: {papers.proxy.certificate}: "),
                                         (papers.proxy.certificate, locked, "locked.key: is protected by a password")):
            write_configuration(file, certificate, key)
            proxy.signal(signal.SIGHUP)
            proxy.await_log(f"reload_refused .*{reason}")
            assert served_certificate(proxy, papers) == after
        assert living.execute("SELECT 1").fetchone() == (1,)


def test_certificates_of_the_command_line_are_reloaded(server, make_proxy, papers, scratch):
    certificate, key = scratch / "server.crt", scratch / "server.key"
    shutil.copy(papers.proxy.certificate, certificate)
    shutil.copy(papers.proxy.key, key)
    proxy = make_proxy(server.tcp, "--client-tls-cert-file", certificate, "--client-tls-key-file", key,
                       "--client-tls-sslmode", "require")
    before = served_certificate(proxy, papers)
    with proxy.connect(**encrypted(papers)) as living:
        shutil.copy(papers.other_proxy.certificate, certificate)
        proxy.signal(signal.SIGHUP)
        proxy.await_log("reload_refused .*key values mismatch")
        assert served_certificate(proxy, papers) == before
        shutil.copy(papers.other_proxy.key, key)
        proxy.signal(signal.SIGHUP)
        proxy.await_log(" reloaded ")
        assert served_certificate(proxy, papers) != before
        assert "restart_needed" not in proxy.log()
        assert living.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="TLS is required"):
            proxy.connect(sslmode="disable")


@pytest.mark.parametrize("settings, complaint", [
    ({"client_tls_cert_file": "/nonexistent.crt", "client_tls_key_file": "/nonexistent.key"},
     "client_tls_cert_file: /nonexistent.crt: No such file or directory"),
    ({"client_tls_sslmode": "require"}, "client_tls_cert_file and client_tls_key_file"),
    ({"server_tls_sslmode": "verify-full"}, "server_tls_ca_file"),
    ({"server_tls_sslmode": "require", "server_tls_ca_file": "/nonexistent.crt"},
     "server_tls_ca_file: /nonexistent.crt: No such file or directory"),
    ({"server_tls_sslmode": "certainly"}, '"certainly" is not one of disable'),
    ({"client_tls_protocols": "tlsv1.1"}, '"tlsv1.1" is not tlsv1.2 or tlsv1.3'),
])
def test_what_cannot_be_used_stops_the_start(scratch, settings, complaint):
    file = scratch / "understudy.ini"
    lines = ["[understudy]", f"listen = 127.0.0.1:{free_port()}"]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = run_understudy("proxy", "--config", file, timeout_s=30)
    assert result.returncode != 0
    assert complaint in result.stderr
