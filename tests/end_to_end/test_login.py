"""Is authentication the client's and the server's own business, with every method, and never on record?"""

import psycopg
import pytest

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


@pytest.mark.parametrize("method", METHODS)
def test_the_client_logs_in_with_its_own_credentials(guarded, make_proxy, scratch, method):
    proxy = make_proxy(guarded.tcp, record=scratch / "recording")
    with proxy.connect(user=method, password=PASSWORD) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (method,)
    assert proxy.stop() == 0
    # Nothing of the exchange is on record, nor in the log.
    recorded = b"".join(path.read_bytes() for path in (scratch / "recording").iterdir())
    assert recorded
    assert PASSWORD.encode() not in recorded + proxy.log().encode()


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
