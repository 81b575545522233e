"""Does the proxy let in the right clients by itself, and give each a server of its own that nobody left traces in?"""

import contextlib
import re
import socket
import struct
import subprocess
import threading
import time

import psycopg
import pytest

from postgres_server import BIN
from understudy_process import Proxy
from waiting import await_condition, free_port

USERS = "CREATE ROLE ada LOGIN PASSWORD 'secret of ada'; CREATE ROLE bob LOGIN PASSWORD 'bob''s'"
HBA = "local all all trust\nhost all postgres all trust\nhost all all all scram-sha-256\n"


@pytest.fixture(scope="module")
def production(template):
    """A server that asks for SCRAM, and what it keeps of ada's password."""
    from postgres_server import Server
    with Server(template, hba=HBA, settings="max_connections = 50\n") as running:
        running.start().execute(USERS)
        secret = running.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'")
        yield running, secret


@pytest.fixture
def make_guarded(production, make_proxy, scratch):
    """make_guarded(users, *arguments, hba=...): a proxy that authenticates by a file of these users."""
    def make(users, *arguments, hba=None, **options):
        (scratch / "users.txt").write_text("".join(f'"{name}" "{secret}"\n' for name, secret in users.items()))
        extra = ["--auth", "file", "--auth-file", scratch / "users.txt"]
        if hba:
            (scratch / "hba.conf").write_text(hba)
            extra += ["--auth-hba-file", scratch / "hba.conf"]
        return make_proxy(production[0].tcp, *extra, *arguments, **options)
    return make


def backends(server, user="ada"):
    return server.value(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'")


def pid(connection):
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_scram_with_the_servers_own_secret_needs_no_password_in_a_file(production, make_guarded):
    proxy = make_guarded({"ada": production[1]})
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert client.execute("SELECT current_user").fetchone() == ("ada",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        proxy.connect(user="ada", password="guessed")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        proxy.connect(user="mallory", password="guessed")
    assert re.search(r'login_refused .*user=ada .*reason="the wrong password"', proxy.log())
    assert re.search(r'login_refused .*user=mallory .*reason="no such user"', proxy.log())


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "plain"])
def test_a_plain_password_in_the_file_serves_every_method(make_guarded, method):
    proxy = make_guarded({"ada": "secret of ada"}, "--auth-type", method)
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert client.execute("SELECT current_user").fetchone() == ("ada",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        proxy.connect(user="ada", password="secret of ad")


def test_rules_decide_by_user_and_network(make_guarded):
    proxy = make_guarded({"ada": "secret of ada", "bob": "bob's"},
                         hba="host all bob 127.0.0.0/8 reject\nhost postgres ada 127.0.0.0/8 scram-sha-256\n")
    with proxy.connect(user="ada", password="secret of ada"):
        pass
    with pytest.raises(psycopg.OperationalError, match="no rule lets in"):
        proxy.connect(user="bob", password="bob's")
    with pytest.raises(psycopg.OperationalError, match="no rule lets in"):
        proxy.connect(user="ada", password="secret of ada", dbname="template1")


def test_the_servers_refusal_reaches_the_client_whole(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        proxy.connect(user="ada", password="secret of ada", dbname="nowhere")


def test_a_server_is_used_again_and_bears_no_trace_of_its_last_client(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    with proxy.connect(user="ada", password="secret of ada") as client:
        first = pid(client)
        client.execute("SET search_path = elsewhere")
        client.execute("SET timezone = 'Asia/Tokyo'")
        client.execute("CREATE TEMPORARY TABLE mine (n int)")
        client.execute("PREPARE plan AS SELECT 1")
        client.execute("LISTEN news")
        client.execute("SELECT pg_advisory_lock(1)")
    # The reset runs after the client has left.
    idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada' AND query = 'DISCARD ALL' AND state = 'idle'"
    await_condition(lambda: production[0].value(idle) == 1, "the server to be reset")
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert pid(client) == first
        assert client.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert client.info.parameter_status("TimeZone") == client.execute("SHOW timezone").fetchone()[0] != "Asia/Tokyo"
        assert client.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert client.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        assert client.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
        assert client.execute("SELECT to_regclass('mine')").fetchone() == (None,)


def test_a_server_in_a_transaction_is_not_kept(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    client = proxy.connect(user="ada", password="secret of ada", autocommit=False)
    client.execute("SELECT 1")
    client.close()
    await_condition(lambda: backends(production[0]) == 0, "the server session to be closed")


def test_clients_that_begin_otherwise_do_not_share(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    with proxy.connect(user="ada", password="secret of ada", options="-c work_mem=1MB") as client:
        first = pid(client)
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert pid(client) != first
        assert client.execute("SHOW work_mem").fetchone() == ("4MB",)


def test_a_full_pool_makes_clients_wait_in_order_and_no_longer_than_allowed(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"}, "--default-pool-size", "1", "--query-wait-timeout", "500ms")
    holder = proxy.connect(user="ada", password="secret of ada")
    with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
        proxy.connect(user="ada", password="secret of ada")
    holder.close()
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_waiting_client_gets_the_server_of_one_that_leaves(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"}, "--default-pool-size", "1")
    environment = {**proxy.environment, "PGUSER": "ada", "PGPASSWORD": "secret of ada"}
    with proxy.connect(user="ada", password="secret of ada") as holder:
        held = pid(holder)
        waiter = subprocess.Popen([str(BIN / "psql"), "-XAt", "-c", "SELECT pg_backend_pid()"], env=environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        # It is in the queue once the proxy has two clients and the server still one session.
        await_condition(lambda: established(proxy.port) >= 2, "the second client to connect")
        assert backends(production[0]) == 1
    assert waiter.communicate(timeout=60)[0].strip() == str(held)


def test_a_client_that_has_waited_may_use_the_reserve(production, make_guarded):
    pool = ["--default-pool-size", "1", "--reserve-pool-size", "1", "--query-wait-timeout"]
    with_reserve = make_guarded({"ada": "secret of ada"}, *pool, "60s", "--reserve-pool-timeout", "200ms")
    with with_reserve.connect(user="ada", password="secret of ada") as one, \
            with_reserve.connect(user="ada", password="secret of ada") as other:
        assert pid(one) != pid(other)
        assert backends(production[0]) == 2
    # One that would have to wait longer for it than it may wait at all does not get it.
    without = make_guarded({"ada": "secret of ada"}, *pool, "300ms", "--reserve-pool-timeout", "10min")
    with without.connect(user="ada", password="secret of ada"):
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            without.connect(user="ada", password="secret of ada")


def test_an_idle_server_is_closed(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"}, "--server-idle-timeout", "100ms")
    with proxy.connect(user="ada", password="secret of ada") as client:
        first = pid(client)
    await_condition(lambda: backends(production[0]) == 0, "the idle server to be closed")
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert pid(client) != first


def test_a_server_that_is_old_is_not_used_again(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"}, "--server-lifetime", "100ms")
    with proxy.connect(user="ada", password="secret of ada") as client:
        first = pid(client)
        # Older than that by the server's own clock; a client keeps it nevertheless.
        await_condition(lambda: client.execute("SELECT now() - backend_start > '100ms' FROM pg_stat_activity"
                                               " WHERE pid = pg_backend_pid()").fetchone()[0], "it to be old")
        assert pid(client) == first
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert pid(client) != first


@pytest.mark.parametrize("user, password", [("ada", "guessed"), ("mallory", "guessed"), ("ada", "x" * 2000)])
def test_whoever_is_refused_hears_of_it_after_the_same_time(make_guarded, user, password):
    """Not before half a second is over: what was wrong cannot be told from how long it took."""
    proxy = make_guarded({"ada": "secret of ada"})
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(user=user, password=password)
    assert time.monotonic() - began >= 0.5


def established(port):
    """Connections accepted on a port, as the kernel lists them."""
    wanted = f"{port:04X}"
    lines = open("/proc/net/tcp", encoding="ascii").read().splitlines()[1:]
    return sum(1 for line in lines if line.split()[1].endswith(f":{wanted}") and line.split()[3] == "01")


def test_pgbench_that_connects_each_time_uses_few_servers(production, make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    subprocess.run([str(BIN / "psql"), "-X", "-h", "127.0.0.1", "-p", str(production[0].port), "-U", "postgres", "-c",
                    "GRANT CREATE ON SCHEMA public TO ada", "postgres"], check=True, capture_output=True)
    environment = {**proxy.environment, "PGUSER": "ada", "PGPASSWORD": "secret of ada"}
    subprocess.run([str(BIN / "pgbench"), "-i", "-q"], env=environment, check=True, capture_output=True)
    subprocess.run([str(BIN / "pgbench"), "-n", "-C", "-c", "4", "-t", "50"], env=environment, check=True,
                   capture_output=True)
    assert backends(production[0]) <= 8


def test_a_cancel_reaches_the_pooled_server_and_no_later_client(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    with proxy.connect(user="ada", password="secret of ada") as client:
        first = pid(client)
        with client.cursor() as cursor:
            running = threading.Thread(target=lambda: await_condition(
                lambda: client.pgconn.transaction_status == 1, "the statement to run") and client.cancel())
            running.start()
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                cursor.execute("SELECT pg_sleep(600)")
            running.join()
    with proxy.connect(user="ada", password="secret of ada") as client:
        assert pid(client) != first  # a cancel may still have been on its way to that one


def test_no_secret_is_recorded_or_logged(production, make_guarded, scratch):
    proxy = make_guarded({"ada": "secret of ada"}, record=scratch / "recording")
    with proxy.connect(user="ada", password="secret of ada") as client:
        client.execute("SELECT 'recorded'")
    assert proxy.stop() == 0
    recorded = b"".join(subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
                        for path in (scratch / "recording").glob("*.transcript"))
    assert b"recorded" in recorded
    for secret in (b"secret of ada", b"SCRAM-SHA-256", b",p="):
        assert secret not in recorded
    assert "secret of ada" not in proxy.log()


def test_a_reload_takes_new_users_and_refuses_a_broken_file(make_guarded, scratch):
    config = scratch / "understudy.ini"
    config.write_text("[understudy]\n")
    proxy = make_guarded({"ada": "secret of ada"}, "--config", config)
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(user="bob", password="bob's")
    (scratch / "users.txt").write_text('"bob" "bob\'s"\n')
    proxy.signal(1)
    proxy.await_log(r" reloaded ")
    with proxy.connect(user="bob", password="bob's"):
        pass
    (scratch / "users.txt").write_text('bob without quotes\n')
    proxy.signal(1)
    assert "users.txt:1" in proxy.await_log(r" reload_refused .*").group(0)
    with proxy.connect(user="bob", password="bob's"):
        pass


@pytest.mark.parametrize("answer", [b"Q\0\0\0\x0dSELECT 1\0", b"p\xff\xff\xff\xff", b"p\0\0\0\x04", b"p\0\0\0\x08abcd"])
def test_nonsense_in_place_of_an_answer_ends_the_login_only(make_guarded, answer):
    proxy = make_guarded({"ada": "secret of ada"})
    with proxy.raw() as connection:
        packet = struct.pack("!i", 196608) + b"user\0ada\0database\0postgres\0\0"
        connection.sendall(struct.pack("!i", len(packet) + 4) + packet)
        assert connection.recv(1) == b"R"
        connection.sendall(answer)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        assert b"FATAL" in received
    with proxy.connect(user="ada", password="secret of ada"):
        pass


def test_trust_is_for_this_machine(production, make_proxy):
    proxy = make_proxy(production[0].tcp, "--auth", "trust")
    pids = set()
    for _ in range(4):  # all but the first are let in while their start-up packet is read: a server is there
        with proxy.connect(user="postgres") as client:
            assert client.execute("SELECT current_user").fetchone() == ("postgres",)
            pids.add(pid(client))
        idle = "SELECT count(*) FROM pg_stat_activity WHERE query = 'DISCARD ALL' AND state = 'idle'"
        await_condition(lambda: production[0].value(idle) == 1, "the server to be reset")
    assert len(pids) == 1


def address_in_a_network():
    """Of this machine, and not of its loopback; a UDP socket that is connected sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def test_trust_is_not_for_a_network_unless_it_is_said_twice(production, make_proxy):
    host = address_in_a_network()
    for arguments in ([], ["--auth-trust-network", "off"]):
        proxy = make_proxy(production[0].tcp, "--auth", "trust", *arguments, listen=[f"0.0.0.0:{free_port()}"])
        with pytest.raises(psycopg.OperationalError, match="trust is for clients of the proxy's own machine"):
            proxy.connect(host=host)
        with proxy.connect() as client:
            client.execute("SELECT 1")
    proxy = make_proxy(production[0].tcp, "--auth", "trust", "--auth-trust-network", "on", listen=[f"0.0.0.0:{free_port()}"])
    with proxy.connect(host=host) as client:
        assert client.execute("SELECT current_user").fetchone() == ("postgres",)


def start(connection, *parameters):
    packet = struct.pack("!i", 196608) + b"".join(part.encode() + b"\0" for part in parameters) + b"\0"
    connection.sendall(struct.pack("!i", len(packet) + 4) + packet)


def read_to_end(connection):
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize("own", [True, False], ids=["file", "relay"])
@pytest.mark.parametrize("name, values", [("user", ("ada", "postgres")), ("database", ("postgres", "template1"))])
def test_nobody_is_one_user_to_the_proxy_and_another_to_the_server(production, make_guarded, make_proxy, own, name, values):
    """Of a parameter that is given twice the server takes the last."""
    proxy = make_guarded({"ada": "secret of ada"}) if own else make_proxy(production[0].tcp)
    with proxy.raw() as connection:
        start(connection, *(["user", "ada"] if name == "database" else []), name, values[0], name, values[1])
        assert f'"{name}" is given twice'.encode() in read_to_end(connection)


def spoken(proxy, *messages):
    """A client that is let in by trust, says that, and goes without waiting for an answer."""
    with proxy.raw() as connection:
        start(connection, "user", "postgres", "database", "postgres")
        received = b""
        while not received.endswith(b"Z\0\0\0\5I"):
            received += connection.recv(65536)
        connection.sendall(b"".join(messages))


def message(kind, payload):
    return kind + struct.pack("!i", len(payload) + 4) + payload


@pytest.mark.parametrize("unfinished", [
    [message(b"Q", b"COPY bed FROM STDIN\0"), message(b"d", b"1\n")],
    [message(b"P", b"\0LOCK bed\0\0\0")],
    [message(b"P", b"\0no sql\0\0\0"), message(b"B", b"\0\0\0\0\0\0\0\0")],
    [message(b"Q", b"SELECT 1\0")[:7]],
    [message(b"Q", b"BEGIN; LOCK bed\0")],
], ids=["copy", "no-sync", "error-no-sync", "half-a-message", "transaction"])
def test_a_client_that_leaves_in_the_middle_leaves_no_server_behind(production, make_proxy, unfinished):
    production[0].execute("DROP TABLE IF EXISTS bed; CREATE TABLE bed (n int)")
    proxy = make_proxy(production[0].tcp, "--auth", "trust", "--default-pool-size", "1", "--query-wait-timeout", "20s")
    for _ in range(2):
        spoken(proxy, *unfinished)
    with proxy.connect() as client:
        assert client.execute('SELECT count(*) FROM bed').fetchone() == (0,)
        locks = "SELECT count(*) FROM pg_locks WHERE relation = 'bed'::regclass AND pid <> pg_backend_pid()"
        assert client.execute(locks).fetchone() == (0,)
    assert proxy.stop() == 0


@pytest.mark.parametrize("pieces", [1, 3], ids=["one-write", "cut"])
def test_what_was_asked_before_the_good_bye_is_done(production, make_proxy, pieces):
    production[0].execute("DROP TABLE IF EXISTS last_words; CREATE TABLE last_words (n int)")
    proxy = make_proxy(production[0].tcp, "--auth", "trust", "--default-pool-size", "1")
    asked = message(b"Q", b"INSERT INTO last_words VALUES (1)\0") + message(b"X", b"")
    with proxy.raw() as connection:
        start(connection, "user", "postgres", "database", "postgres")
        received = b""
        while not received.endswith(b"Z\0\0\0\5I"):
            received += connection.recv(65536)
        if pieces > 1:  # the good-bye comes in two pieces
            connection.sendall(asked[:-3])
            while not received.endswith(b"INSERT 0 1\0Z\0\0\0\5I"):
                received += connection.recv(65536)
            asked = asked[-3:]
        connection.sendall(asked)
        read_to_end(connection)
    with proxy.connect() as client:
        assert client.execute("SELECT count(*) FROM last_words").fetchone() == (1,)


def test_settings_that_changed_under_a_client_are_told_to_the_next_as_they_are(production, make_guarded):
    server = production[0]
    proxy = make_guarded({"ada": "secret of ada"})
    try:
        with proxy.connect(user="ada", password="secret of ada") as client:
            first = pid(client)
            server.execute("ALTER SYSTEM SET timezone = 'Asia/Kathmandu'")
            server.execute("SELECT pg_reload_conf()")
            await_condition(lambda: client.execute("SELECT 1") and
                            client.info.parameter_status("TimeZone") == "Asia/Kathmandu", "the client to be told")
        idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada' AND query = 'DISCARD ALL' AND state = 'idle'"
        await_condition(lambda: server.value(idle) == 1, "the server to be reset")
        with proxy.connect(user="ada", password="secret of ada") as client:
            assert pid(client) == first
            assert client.info.parameter_status("TimeZone") == "Asia/Kathmandu"
    finally:
        server.execute("ALTER SYSTEM RESET timezone")
        server.execute("SELECT pg_reload_conf()")


def test_a_client_that_does_not_answer_does_not_keep_the_proxy_from_ending(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"})
    with proxy.raw() as connection:
        start(connection, "user", "ada", "database", "postgres")
        assert connection.recv(1) == b"R"
        proxy.signal(15)
        assert b"C57P01\0" in read_to_end(connection)


def test_what_is_sent_while_a_refusal_waits_is_not_kept(make_guarded):
    proxy = make_guarded({"ada": "secret of ada"}, "--auth-type", "plain")
    before = proxy.resident_kib(peak=True)
    with proxy.raw() as connection:
        start(connection, "user", "ada", "database", "postgres")
        assert connection.recv(1) == b"R"
        connection.sendall(message(b"p", b"wrong\0"))
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                connection.sendall(b"p" * (1 << 20))
    proxy.await_log("login_refused")
    assert proxy.resident_kib(peak=True) - before < 16 * 1024


def test_pooled_servers_are_connected_anew_after_a_reload(make_guarded, scratch):
    (scratch / "understudy.ini").write_text("[understudy]\n")
    proxy = make_guarded({"ada": "secret of ada"}, "--config", scratch / "understudy.ini")
    with proxy.connect(user="ada", password="secret of ada") as client, \
            proxy.connect(user="ada", password="secret of ada") as other:
        before = {pid(client), pid(other)}
        client.close()
        proxy.signal(1)
        proxy.await_log(" reloaded ")
    for _ in range(2):
        with proxy.connect(user="ada", password="secret of ada") as client:
            assert pid(client) not in before


def test_what_is_missing_is_told_at_the_start(production, scratch):
    with pytest.raises(RuntimeError, match="auth = file needs auth_file"):
        Proxy(production[0].tcp, "--auth", "file")
    with pytest.raises(RuntimeError, match="absent.txt"):
        Proxy(production[0].tcp, "--auth", "file", "--auth-file", scratch / "absent.txt")
