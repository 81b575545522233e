"""Servers of other major versions: the oldest and the newest PostgreSQL there is, and the newest protocol. tests/versions/run
runs much more than this, on every version between them."""

import contextlib
import ctypes
import os
import pathlib
import subprocess
import sys
import threading

import pytest

import versions
from waiting import await_condition

HERE = pathlib.Path(__file__).resolve().parent
# Logins, pools, statements of every kind, a death of the primary under load, and one of it in a transaction.
TESTS = ["test_failover.py::test_an_idle_session_moves_with_all_that_is_its_own",
         "test_failover.py::test_a_transaction_goes_on_where_it_was_and_is_applied_once[after-insert-prepared]",
         "test_failover.py::test_nobody_notices_a_power_loss",
         "test_auth.py::test_scram_with_the_servers_own_secret_needs_no_password_in_a_file",
         "test_auth.py::test_a_server_is_used_again_and_bears_no_trace_of_its_last_client",
         "test_protocol.py::test_replies_are_the_same_to_the_byte",
         "test_import.py::test_a_proxy_and_a_log_of_the_same_sessions_are_equal_statement_by_statement[log_min_duration_statement]",
         "test_import.py::test_where_pgreplay_fails"]


def run_tests(major, *arguments, timeout_s=600):
    """A pytest of its own: a process has servers of one version."""
    return subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=HERE,
                          env={**os.environ, "PGBIN": str(versions.fetch(major))}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout_s)


@pytest.mark.parametrize("major", [versions.MAJORS[0], versions.MAJORS[-1]])
def test_logins_statements_and_failovers(major):
    done = run_tests(major, *TESTS)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]


class NewestLibpq:
    """A session of protocol 3.2, by the libpq of the newest version."""

    def __init__(self, port):
        self._libpq = ctypes.CDLL(str(versions.library(versions.MAJORS[-1], "libpq.so.5")))
        for name in ("PQconnectdb", "PQexec", "PQcancelCreate"):
            getattr(self._libpq, name).restype = ctypes.c_void_p
        for name in ("PQgetvalue", "PQresultErrorField", "PQerrorMessage"):
            getattr(self._libpq, name).restype = ctypes.c_char_p
        self._connection = ctypes.c_void_p(self._libpq.PQconnectdb(
            f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable"
            " min_protocol_version=3.2 max_protocol_version=3.2".encode()))
        assert self._libpq.PQstatus(self._connection) == 0, self._libpq.PQerrorMessage(self._connection)

    @property
    def protocol(self):
        return self._libpq.PQfullProtocolVersion(self._connection)

    def ask(self, sql):
        """The first value, or the SQLSTATE of an error."""
        result = ctypes.c_void_p(self._libpq.PQexec(self._connection, sql.encode()))
        failed = self._libpq.PQresultErrorField(result, ord("C"))
        answer = failed or self._libpq.PQgetvalue(result, 0, 0)
        self._libpq.PQclear(result)
        return answer.decode()

    def cancel(self):
        request = ctypes.c_void_p(self._libpq.PQcancelCreate(self._connection))
        assert self._libpq.PQcancelBlocking(request) == 1
        self._libpq.PQcancelFinish(request)

    def close(self):
        self._libpq.PQfinish(self._connection)


def cancelled(session, server):
    """What a statement ends with that is cancelled while it runs."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(session.ask("SELECT pg_sleep(600)")))
    thread.start()
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
                    "the statement to run")
    session.cancel()
    thread.join()
    return answers[0]


def newest_protocol():
    """Run in a process whose servers are of the newest version (below)."""
    from cluster import Cluster
    from understudy_process import Proxy
    with Cluster(replicas=1, synchronous=False) as cluster, \
            Proxy(cluster.backends[0], "--backend", cluster.backends[1]) as proxy:
        proxy.await_log(" primary_found ")
        with contextlib.closing(NewestLibpq(proxy.port)) as session:
            assert session.protocol == 30002
            assert session.ask("SELECT 'usable'") == "usable"
            assert cancelled(session, cluster.primary) == "57014"
            cluster.kill_primary()
            cluster.promote(cluster.replicas[0])
            assert session.ask("SELECT 'moved'") == "moved"
            assert cancelled(session, cluster.primary) == "57014"


def test_the_newest_protocol_with_its_long_cancel_keys_before_and_after_a_failover():
    code = "import conftest, test_versions; test_versions.newest_protocol()"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=HERE,
                          env={**os.environ, "PGBIN": str(versions.fetch(versions.MAJORS[-1]))},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-5000:]
