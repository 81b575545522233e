"""Does a cancel stop what it is meant for, also while the session has no server, and nothing else?"""

import concurrent.futures
import contextlib

import psycopg
import pytest

from raw_session import RawSession, error_fields, kinds, query
from waiting import await_condition

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--commit-guard", "on", "--failover-timeout", "60s"]
SETUP = "CREATE TABLE entry (n int)"
WHO = "SELECT inet_server_port()"
# May be asked again, and ends by a cancel; by a time-out where that is lost.
BOUND = "SET statement_timeout = '45s'"
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000)"


@contextlib.contextmanager
def asking(client, sql):
    """The future answer, from another thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        yield threads.submit(lambda: client.execute(sql).fetchall())


def await_running(node, sql):
    running = f"SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query = '{sql}'"
    await_condition(lambda: node.value(running), f"{sql} to run")


def assert_cancelled(answer):
    with pytest.raises(psycopg.errors.QueryCanceled, match="canceling statement due to user request"):
        answer.result(timeout=60)


def test_a_read_that_waits_for_a_primary_ends_at_once(cluster, cluster_proxy):
    with cluster_proxy.connect() as client:
        client.execute(BOUND)
        client.execute("SET my.own = 'kept'")
        with asking(client, ENDLESS) as answer:
            await_running(cluster.primary, ENDLESS)
            cluster.kill_primary()
            cluster_proxy.await_log(" server_lost ")
            client.cancel()
            assert_cancelled(answer)  # while there is no primary
        new = cluster.take_over()
        assert client.execute(WHO).fetchone() == (new.node.server.port,)
        assert client.execute("SHOW my.own").fetchone() == ("kept",)


def test_in_a_transaction_it_ends_at_the_new_primary(cluster, cluster_proxy):
    with cluster_proxy.connect() as client:
        client.execute(BOUND)
        client.execute("BEGIN")
        client.execute("INSERT INTO entry VALUES (1)")
        with asking(client, ENDLESS) as answer:
            await_running(cluster.primary, ENDLESS)
            cluster.kill_primary()
            cluster_proxy.await_log(" server_lost ")
            client.cancel()
            new = cluster.take_over()
            assert_cancelled(answer)
        assert client.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        client.execute("ROLLBACK")
        assert client.execute(WHO).fetchone() == (new.node.server.port,)
        assert client.execute("SELECT count(*) FROM entry").fetchone() == (0,)


@pytest.mark.parametrize("sql", [ENDLESS, "INSERT INTO entry VALUES (7)"])
def test_what_was_asked_while_there_was_no_primary_ends_at_once(cluster, cluster_proxy, sql):
    with RawSession(cluster_proxy.port) as client:
        cluster.kill_primary()
        cluster_proxy.await_log(" server_lost ")
        client.send(query(sql))
        client.cancel()
        answer = client.until_ready()  # while there is no primary
        assert (kinds(answer), error_fields(answer)[0]["C"]) == ("EZ", "57014")
        new = cluster.take_over()
        assert client.ask(WHO) == str(new.node.server.port)
        assert client.ask("SELECT count(*) FROM entry WHERE n = 7") == "0"


def test_what_was_asked_in_a_transaction_while_there_was_no_primary_ends_at_the_new_one(cluster, cluster_proxy):
    with RawSession(cluster_proxy.port) as client:
        client.ask(BOUND)
        client.ask("BEGIN")
        cluster.kill_primary()
        cluster_proxy.await_log(" server_lost ")
        client.send(query(ENDLESS))
        client.cancel()
        new = cluster.take_over()
        answer = client.until_ready()
        assert error_fields(answer)[0]["M"] == "canceling statement due to user request"
        client.ask("ROLLBACK")
        assert client.ask(WHO) == str(new.node.server.port)


def test_an_idle_session_that_moves_has_nothing_to_be_cancelled(cluster, cluster_proxy):
    with cluster_proxy.connect() as client:
        client.execute("SELECT 1")
        cluster.kill_primary()
        cluster_proxy.await_log(" server_lost ")
        client.cancel()
        new = cluster.take_over()
        assert client.execute(WHO).fetchone() == (new.node.server.port,)
        assert client.execute("SELECT 1 FROM pg_sleep(0.3)").fetchone() == (1,)
