"""Is authentication the client's and the server's own business, with every method, and never on record?"""

import pathlib
import re
import subprocess

import psycopg
import pytest

from fake_backend import FakeBackend, read_message
from processes import give_to_server
from raw_session import RawSession, message, startup
from understudy_process import run_understudy
from waiting import await_condition

METHODS = ("trust", "password", "md5", "scram-sha-256")
PASSWORD = "a Secret with ünïcödé"


@pytest.fixture(scope="module")
def guarded(template):
    """A server with a user for each method, named after it."""
    from postgres_server import Server
    hba = "local all postgres trust\nhost all postgres all trust\n"
    hba += "".join(f'host all "{method}" all {method}\n' for method in METHODS)
    with Server(template, hba=hba) as server:
        server.start()
        for method in METHODS:
            encryption = "md5" if method == "md5" else "scram-sha-256"
            server.execute(f"SET password_encryption = '{encryption}'; CREATE ROLE \"{method}\" LOGIN PASSWORD '{PASSWORD}'")
        yield server



def test_log_and_recording_agree_that_the_server_ended_a_refused_login(guarded, make_proxy, scratch):
    proxy = make_proxy(guarded.tcp, "--log-connections", "on", record=scratch / "recording")
    # Client and server leave at the same time, now one first, now the other.
    refused = [("nobody", "")] * 20 + [(method, "not it") for method in METHODS if method != "trust"]
    for user, password in refused:
        with pytest.raises(psycopg.OperationalError):
            proxy.connect(user=user, password=password)
    await_condition(lambda: proxy.log().count(" login_ended ") == len(refused), lambda: proxy.log())
    assert proxy.log().count('reason="the server left"') == len(refused), proxy.log()
    assert proxy.stop() == 0
    shown = run_understudy("show", scratch / "recording").stdout
    assert (shown.count("the server left"), shown.count("the client left")) == (len(refused), 0), shown


@pytest.mark.parametrize("method", METHODS)
def test_the_client_logs_in_with_its_own_credentials(guarded, make_proxy, scratch, method):
    proxy = make_proxy(guarded.tcp, record=scratch / "recording")
    with proxy.connect(user=method, password=PASSWORD) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (method,)
    assert proxy.stop() == 0
    # The session is on record, and nothing of the exchange, there or in the log.
    recorded = contents(scratch / "recording")
    assert b"SELECT current_user" in recorded
    for secret in (PASSWORD.encode(), rb"n,,n=", rb"c=biws", rb"[prsv]=[A-Za-z0-9+/=]{16}", rb"md5[0-9a-f]{32}"):
        assert not re.search(secret, recorded + proxy.log().encode()), secret


def contents(recording):
    """What a recording holds, decompressed: its files are made for zstd's own tools."""
    return b"".join(subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True, timeout=60).stdout
                    for path in recording.glob("*.transcript"))


def test_salts_and_keys_of_a_server_stay_between_it_and_its_client(make_proxy, scratch):
    salt, key = b"\xa5\x5a\xc3\x3c", b"a key of thirty-two secret bytes"

    def play(connection):
        connection.sendall(message(b"R", b"\0\0\0\5" + salt))
        heard.append(read_message(connection))
        connection.sendall(message(b"R", b"\0\0\0\0") + message(b"K", b"\0\0\0\7" + key) + message(b"Z", b"I"))
        connection.recv(1)

    heard = []
    with FakeBackend(play) as backend:
        proxy = make_proxy(backend.address, record=scratch / "recording")
        with RawSession(proxy.port, login=False) as client:
            client.send(startup(user="ada"))
            assert client.next() == (b"R", b"\0\0\0\5" + salt)
            client.send(message(b"p", b"md5 of everything\0"))
            greeting = dict(client.until_ready())
    assert heard == [(b"p", b"md5 of everything\0")]
    # The client's key is as long, and opens nothing at the server: the proxy changes one for the other.
    assert greeting[b"K"][:4] == b"\0\0\0\7" and len(greeting[b"K"]) == 4 + len(key)
    assert greeting[b"K"][4:] != key
    assert proxy.stop() == 0
    recorded = contents(scratch / "recording")
    assert b"\0\0\0\7" + bytes(len(key)) in recorded
    for secret in (salt, key, greeting[b"K"][4:], b"md5 of everything"):
        assert secret not in recorded + proxy.log().encode("utf-8", "replace"), secret


def test_channel_binding_is_not_offered_where_there_is_no_tls(encrypting, make_proxy):
    """The server has TLS and offers SCRAM-SHA-256-PLUS with it; the proxy speaks none, to either side."""
    proxy = make_proxy(encrypting.tcp)
    with encrypting.connect(user="scram", password=PASSWORD, sslmode="require", channel_binding="require"):
        pass
    with RawSession(proxy.port, login=False) as client:
        client.send(startup(user="scram", database="postgres"))
        assert client.next() == (b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
    with proxy.connect(user="scram", password=PASSWORD, sslmode="prefer", channel_binding="prefer") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("scram",)
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        proxy.connect(user="scram", password=PASSWORD, channel_binding="require")


def test_a_server_that_insists_on_tls_says_so_itself(encrypting, make_proxy):
    with pytest.raises(psycopg.OperationalError, match='user "tls_only", database "postgres", (no encryption|SSL off)'):
        make_proxy(encrypting.tcp).connect(user="tls_only")


@pytest.fixture(scope="module")
def encrypting(template):
    """A server with TLS."""
    from postgres_server import Server
    with Server(template, settings="ssl = on\n", hba="local all all trust\nhost all postgres all trust\n"
                "host all scram all scram-sha-256\nhostssl all tls_only all trust\n") as server:
        for name in ("server.crt", "server.key"):
            give_to_server(make_certificate(server.data) / name)
        server.start()
        server.execute(f"CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE tls_only LOGIN")
        yield server


def make_certificate(directory):
    directory = pathlib.Path(directory)
    if not (directory / "server.key").exists():
        subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-out", directory / "server.crt", "-keyout", directory / "server.key"],
                       check=True, capture_output=True, timeout=60)
    return directory


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_wrong_password_gives_the_servers_own_error(guarded, make_proxy, method):
    proxy = make_proxy(guarded.tcp)
    errors = []
    for target in (guarded, proxy):
        with pytest.raises(psycopg.OperationalError) as raised:
            target.connect(user=method, password="not " + PASSWORD, sslmode="disable")
        errors.append(str(raised.value).replace(str(target.port), "PORT"))
    assert f'password authentication failed for user "{method}"' in errors[1]
    assert errors[1] == errors[0]


def test_no_password_gives_the_clients_own_error(guarded, make_proxy):
    proxy = make_proxy(guarded.tcp)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        proxy.connect(user="scram-sha-256", sslmode="disable", passfile="/dev/null")


def test_an_unknown_user_and_a_refused_address_are_the_servers_own_errors(guarded, make_proxy):
    proxy = make_proxy(guarded.tcp)
    with pytest.raises(psycopg.OperationalError, match='no pg_hba.conf entry for host .* user "stranger"'):
        proxy.connect(user="stranger")


def test_startup_parameters_reach_the_server(guarded, make_proxy):
    proxy = make_proxy(guarded.tcp)
    with proxy.connect(application_name="an application", options="-c work_mem=5MB -c geqo=off",
                       client_encoding="LATIN1") as connection:
        settings = connection.execute("SELECT current_setting('application_name'), current_setting('work_mem'),"
                                      " current_setting('geqo'), current_setting('client_encoding')").fetchone()
    assert settings == ("an application", "5MB", "off", "LATIN1")


def test_a_backend_that_is_not_there_is_named_in_the_error(make_proxy):
    from waiting import free_port
    port = free_port()
    proxy = make_proxy(f"127.0.0.1:{port}")
    with pytest.raises(psycopg.OperationalError, match=f"could not connect to backend 127.0.0.1:{port}"):
        proxy.connect()
    proxy.await_log("backend_unreachable")


def test_a_backend_that_dies_is_told_to_its_clients_and_they_may_come_again(make_server, make_proxy):
    import signal
    server = make_server()
    proxy = make_proxy(server.tcp)
    with proxy.connect() as connection:
        connection.execute("SELECT 1")
        server.stop(signal.SIGQUIT)
        with pytest.raises(psycopg.OperationalError, match="terminating connection|closed the connection"):
            connection.execute("SELECT 1")
    server.start()
    with proxy.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
