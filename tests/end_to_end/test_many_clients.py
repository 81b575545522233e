"""Does the proxy carry a thousand clients, and clients that come and go?"""

import re
import subprocess

import pytest

from postgres_server import BIN
from processes import until_parent_ends
from understudy_process import binary
from waiting import await_condition, free_port, scaled


def pgbench(proxy, *arguments, timeout_s=300):
    result = subprocess.run([str(BIN / "pgbench"), *map(str, arguments)], env=proxy.environment,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
    assert result.returncode == 0, result.stderr
    return result.stdout


def transactions(output):
    failed = re.search(r"number of failed transactions: (\d+)", output)
    assert failed and failed.group(1) == "0", output
    return int(re.search(r"number of transactions actually processed: (\d+)", output).group(1))


def test_a_thousand_clients_at_once(make_server, make_proxy):
    clients = scaled(1000, least=200)
    server = make_server(settings=f"max_connections = {clients + 20}\n")
    proxy = make_proxy(server.tcp)
    connections = [proxy.connect() for _ in range(clients)]
    # All of them are open at the server, and each gets the answers to its own questions.
    assert server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == clients + 1
    for connection in connections:
        connection.pgconn.send_query(f"SELECT {connection.info.backend_pid}, pg_backend_pid()".encode())
    for connection in connections:
        result = connection.pgconn.get_result()
        assert result.get_value(0, 0) == result.get_value(0, 1)
        assert connection.pgconn.get_result() is None
    for connection in connections:
        connection.close()
    assert proxy.stop() == 0
    assert f"sessions={clients}" in proxy.log()


def test_pgbench_with_a_thousand_clients(make_server, make_proxy):
    clients = scaled(1000, least=200)
    server = make_server(settings=f"max_connections = {clients + 20}\n")
    proxy = make_proxy(server.tcp)
    pgbench(proxy, "-i", "-q", "-s", "1")
    assert transactions(pgbench(proxy, "-n", "-S", "-c", clients, "-j", "4", "-t", "5")) == 5 * clients
    assert proxy.counts()["backend_failures"] == 0


def test_pgbench_by_every_protocol(server, make_proxy):
    proxy = make_proxy(server.tcp)
    pgbench(proxy, "-i", "-q", "-s", "1")
    for protocol in ("simple", "extended", "prepared"):
        each = scaled(500, least=50)
        assert transactions(pgbench(proxy, "-n", "-M", protocol, "-c", "8", "-t", each)) == 8 * each


def test_pgbench_connecting_for_each_transaction(server, make_proxy):
    proxy = make_proxy(server.tcp)
    pgbench(proxy, "-i", "-q", "-s", "1")
    each = scaled(100, least=20)
    assert transactions(pgbench(proxy, "-n", "-S", "-C", "-c", "8", "-t", each)) == 8 * each


def test_the_limit_of_clients_is_told_and_counted(server, make_proxy):
    import psycopg
    proxy = make_proxy(server.tcp, "--max-client-conn", "2")
    with proxy.connect() as one, proxy.connect() as two:
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            proxy.connect()
        proxy.await_log("session_refused session=3 .*max_client_conn=2")
        assert proxy.counts()["refused"] == 1
        # A cancel is no client: whoever is in may still use it.
        one.pgconn.send_query(b"SELECT pg_sleep(600)")
        one.pgconn.flush()
        await_condition(lambda: two.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                        .fetchone()[0], "the statement to run")
        one.cancel()
        assert one.pgconn.get_result().status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert one.pgconn.get_result() is None
        assert one.execute("SELECT 1").fetchone() == (1,)

    def come_again():
        try:
            with proxy.connect() as again:
                return again.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    await_condition(come_again, "a place to be free again")


@pytest.mark.parametrize("given,level", (([], "info"), (["--max-client-conn", "500"], "warning")))
def test_few_descriptors_are_worth_a_warning_only_where_more_were_asked_for(server, given, level):
    command = [binary(), "proxy", "--backend", server.tcp, "--listen", f"127.0.0.1:{free_port()}", *given]
    with subprocess.Popen(until_parent_ends(["prlimit", "--nofile=512:512", *command], "KILL"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as proxy:
        lines = []
        while not lines or " started " not in lines[-1]:
            lines.append(proxy.stderr.readline())
            assert lines[-1], lines
        proxy.terminate()
        proxy.stderr.read()
    (line,) = [line for line in lines if " few_descriptors " in line]
    assert f" {level} few_descriptors limit=512 " in line, line
