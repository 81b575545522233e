"""Does psql see any difference between a server and the same server behind the proxy?"""

import os
import pathlib
import re
import signal
import subprocess

from postgres_server import BIN
from understudy_process import run_understudy
from waiting import await_condition, free_port

SCRIPT = pathlib.Path(__file__).with_name("compatibility.sql")


def psql(port, *arguments, host="127.0.0.1", **options):
    command = [str(BIN / "psql"), "-X", "-h", host, "-p", str(port), "-U", "postgres", "-d", "postgres", *arguments]
    options.setdefault("timeout", 300)
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **options)


def without_process_ids(output):
    """The two servers' process ids, which psql prints with a notification, are all that may differ."""
    return re.sub(rb"server process with PID \d+", b"server process with PID N", output)


def test_more_than_300_statements_print_the_same_byte_for_byte(make_server, make_proxy):
    direct, behind = make_server(), make_server()
    proxy = make_proxy(behind.tcp)
    # Output and errors in one stream, so that their order is compared too.
    runs = [psql(port, "-a", "-f", str(SCRIPT)) for port in (direct.port, proxy.port)]
    assert runs[0].returncode == runs[1].returncode == 0
    assert len(re.findall(rb";$", SCRIPT.read_bytes(), re.MULTILINE)) >= 300
    assert runs[0].stderr.count(b"ERROR:  ") > 80  # errors of many kinds are part of it
    assert len(runs[0].stdout) > 5_000_000
    assert without_process_ids(runs[1].stdout) == without_process_ids(runs[0].stdout)
    assert runs[1].stderr == runs[0].stderr


def test_a_database_that_does_not_exist_is_the_servers_own_error(server, make_proxy):
    proxy = make_proxy(server.tcp)
    runs = [psql(port, "-d", "no_such_database") for port in (server.port, proxy.port)]
    assert b'FATAL:  database "no_such_database" does not exist' in runs[0].stderr
    assert runs[1].stderr.replace(str(proxy.port).encode(), str(server.port).encode()) == runs[0].stderr
    assert runs[0].returncode == runs[1].returncode == 2


def interrupt_a_sleeping_query(server, port, host="127.0.0.1"):
    """psql, interrupted once its statement runs, as Ctrl-C does it."""
    running = subprocess.Popen(
        [str(BIN / "psql"), "-X", "-h", host, "-p", str(port), "-U", "postgres", "-d", "postgres",
         "-c", "SELECT pg_sleep(600)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                                         " AND query = 'SELECT pg_sleep(600)'"), "the statement to run")
    running.send_signal(signal.SIGINT)
    return running.communicate(timeout=60)


def test_an_interrupted_statement_is_cancelled_at_the_server(server, make_proxy):
    proxy = make_proxy(server.tcp)
    direct, through = (interrupt_a_sleeping_query(server, port) for port in (server.port, proxy.port))
    assert b"Cancel request sent" in through[1]
    assert b"canceling statement due to user request" in through[1]
    assert through == direct


def test_an_interrupt_works_over_unix_sockets_too(server, make_proxy, scratch):
    proxy = make_proxy(server.socket, listen=[f"{scratch}:6432"])
    _, errors = interrupt_a_sleeping_query(server, 6432, host=str(scratch))
    assert b"Cancel request sent" in errors and b"canceling statement due to user request" in errors
    assert proxy.counts()["cancels"] == 1


def test_a_cancel_reaches_no_other_session(server, make_proxy):
    proxy = make_proxy(server.tcp)
    with proxy.connect() as bystander:
        interrupt_a_sleeping_query(server, proxy.port)
        assert bystander.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)


def test_unix_sockets_on_both_sides(server, make_proxy, scratch):
    proxy = make_proxy(server.socket, listen=[f"{scratch}:6432"])
    result = psql(6432, "-At", "-c", "SELECT inet_client_addr() IS NULL, 'over sockets'", host=str(scratch))
    assert result.stdout == b"t|over sockets\n", result.stderr
    assert os.path.exists(scratch / ".s.PGSQL.6432")
    assert proxy.stop() == 0
    assert not os.path.exists(scratch / ".s.PGSQL.6432")


def test_the_permissions_of_a_unix_socket_are_those_asked_for(server, make_proxy, scratch):
    make_proxy(server.socket, "--unix-socket-mode", "0600", listen=[f"{scratch}:6432"])
    assert os.stat(scratch / ".s.PGSQL.6432").st_mode & 0o777 == 0o600


def test_a_unix_socket_left_by_a_killed_proxy_is_taken_over_and_a_living_ones_is_not(server, make_proxy, scratch):
    make_proxy(server.socket, listen=[f"{scratch}:6432"]).kill()
    assert os.path.exists(scratch / ".s.PGSQL.6432")
    make_proxy(server.socket, listen=[f"{scratch}:6432"])
    refused = run_understudy("proxy", "--backend", server.socket, "--listen", f"{scratch}:6432")
    assert refused.returncode == 1 and "another process listens there" in refused.stderr
    assert psql(6432, "-At", "-c", "SELECT 1", host=str(scratch)).stdout == b"1\n"


def test_a_file_is_imported_and_exported_as_a_large_object(server, make_proxy, scratch):
    """psql's \\lo_import and \\lo_export are function calls of libpq."""
    data = bytes(range(256)) * 10_000
    (scratch / "in").write_bytes(data)
    proxy = make_proxy(server.tcp)
    result = psql(proxy.port, "-At", "-c", f"\\lo_import {scratch}/in", "-c", "SELECT max(oid) FROM pg_largeobject_metadata")
    oid = int(re.match(rb"lo_import (\d+)", result.stdout).group(1))
    assert psql(proxy.port, "-c", f"\\lo_export {oid} {scratch}/out").returncode == 0
    assert (scratch / "out").read_bytes() == data


def test_ipv6_on_both_sides_and_several_addresses_at_once(server, make_proxy, scratch):
    ports = [free_port(), free_port()]
    make_proxy(f"[::1]:{server.port}", listen=[f"[::1]:{ports[0]}", f"127.0.0.1:{ports[1]}", f"{scratch}:6432"])
    question = ["-At", "-c", "SELECT host(inet_client_addr())"]
    answers = [psql(port, *question, host=host).stdout
               for host, port in (("::1", ports[0]), ("127.0.0.1", ports[1]), (str(scratch), 6432))]
    assert answers == [b"::1\n"] * 3


def test_sslmode_require_is_refused_and_prefer_goes_on_in_the_clear(server, make_proxy):
    proxy = make_proxy(server.tcp)
    result = psql(proxy.port, "-At", "-c", "SELECT 1", env={**os.environ, "PGSSLMODE": "require"})
    assert b"server does not support SSL" in result.stderr
    assert psql(proxy.port, "-At", "-c", "SELECT 1", env={**os.environ, "PGSSLMODE": "prefer"}).stdout == b"1\n"
