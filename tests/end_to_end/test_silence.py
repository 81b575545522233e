"""Is anybody kept waiting by a server that has fallen silent, its connections still open, and that nobody takes the
place of? Stopped processes, and connections that carry nothing any more."""

import contextlib

import pytest

from cluster import Cluster
from raw_session import RawSession, error_fields, kinds, query
from waiting import await_condition

OPTIONS = ["--auth", "trust", "--health-user", "postgres"]
COUNT = "SELECT count(*) FROM entry"
WRITE = "INSERT INTO entry VALUES (1)"
SILENCES = ["frozen", "dropped"]


@pytest.fixture(scope="module")
def three(template):
    """A primary and two replicas, behind relays; for all tests of this file."""
    with Cluster(template, synchronous=False, relays="clients") as servers:
        servers.primary.execute("CREATE TABLE entry (n int); CREATE TABLE other (n int)")
        yield servers


@pytest.fixture
def cluster(three):
    three.restore()
    three.primary.execute("TRUNCATE entry")
    return three


@pytest.fixture
def make_watching_proxy(make_proxy, cluster):
    """make_watching_proxy(...): a proxy that has found all servers."""
    def make(*arguments):
        others = [word for address in cluster.backends[1:] for word in ("--backend", address)]
        proxy = make_proxy(cluster.backends[0], *others, *OPTIONS, *arguments)
        proxy.await_log(" primary_found ")
        for replica in cluster.replicas:
            proxy.await_log(f" backend_up backend={replica.address} role=replica")
        return proxy
    return make


@contextlib.contextmanager
def silent(node, how):
    node.freeze() if how == "frozen" else node.relay.drop()
    try:
        yield
    finally:
        node.thaw() if how == "frozen" else node.relay.heal()


def waits_for_a_lock(node, sql):
    return node.value("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                      f" AND query = '{sql}'")


# ---- Replicas

def await_read_at_a_replica(proxy, client):
    def read():
        before = proxy.counts()["replica_reads"]
        client.ask("SELECT 1")
        return proxy.counts()["replica_reads"] > before
    await_condition(read, "a read at a replica")


def lock_everywhere(cluster, locker):
    """Whoever reads the table waits, at the replicas as well."""
    locker.execute("BEGIN")
    locker.execute("LOCK TABLE entry")
    cluster.primary.execute("INSERT INTO other VALUES (1)")  # takes the lock's record along to the replicas
    for node in cluster.replicas:
        await_condition(lambda: node.value("SELECT count(*) FROM pg_locks WHERE granted AND relation = 'entry'::regclass"
                                           " AND mode = 'AccessExclusiveLock'"), f"the lock at {node}")


@pytest.mark.parametrize("how", SILENCES)
@pytest.mark.parametrize("mode", ["split", "replica"])
def test_a_replica_that_falls_silent_is_left_with_what_it_was_asked(cluster, make_watching_proxy, mode, how):
    proxy = make_watching_proxy("--mode", mode)
    with RawSession(proxy.port) as client, cluster.primary.connect() as locker:
        lock_everywhere(cluster, locker)
        client.ask("SET my.setting = 'mine'")
        if mode == "split":
            await_read_at_a_replica(proxy, client)
        client.send(query(COUNT))
        asked = await_condition(lambda: next((one for one in cluster.replicas if waits_for_a_lock(one, COUNT)), None),
                                "the read to wait at a replica")
        with silent(asked, how):
            locker.execute("ROLLBACK")
            assert kinds(client.until_ready()) == "TDCZ"
            assert client.ask(COUNT) == "0"
            if mode == "replica":
                assert client.ask("SELECT current_setting('my.setting') || pg_is_in_recovery()") == "minetrue"


# ---- Primaries

def assert_ended(messages, sqlstate):
    [error] = error_fields(messages)
    assert (error["S"], error["C"]) == ("FATAL", sqlstate)
    assert "failover_timeout" in error["M"]


@pytest.mark.parametrize("how", SILENCES)
def test_without_another_primary_whoever_asks_is_told_in_time(cluster, make_watching_proxy, how):
    proxy = make_watching_proxy("--failover-timeout", "2s")
    with contextlib.ExitStack() as stack:
        idle, late, inside, reading, writing = (stack.enter_context(RawSession(proxy.port)) for _ in range(5))
        with cluster.primary.connect() as locker:
            inside.ask("BEGIN")
            inside.ask("SELECT 1")
            idle.ask("SET my.setting = 'mine'")
            locker.execute("BEGIN")
            locker.execute("LOCK TABLE entry")
            reading.send(query(COUNT))
            writing.send(query(WRITE))
            for sql in (COUNT, WRITE):
                await_condition(lambda: waits_for_a_lock(cluster.primary, sql), f"{sql} to wait at the primary")
            with silent(cluster.primary, how):
                proxy.await_log(" primary_lost ")
                late.send(query("SELECT 1"))
                inside.send(query("SELECT 2"))
                assert_ended(reading.to_end(), "08006")
                assert_ended(writing.to_end(), "08007")  # nobody knows whether it was done
                assert_ended(late.to_end(), "08006")
                assert_ended(inside.to_end(), "08006")
            locker.execute("ROLLBACK")
        assert idle.ask("SELECT current_setting('my.setting')") == "mine"


def test_a_primary_that_is_back_in_time_answers_what_it_was_asked(cluster, make_watching_proxy):
    proxy = make_watching_proxy("--failover-timeout", "120s")
    with RawSession(proxy.port) as client:
        client.ask("CREATE TEMPORARY TABLE stays AS SELECT 7 AS n")
        with silent(cluster.primary, "frozen"):
            proxy.await_log(" primary_lost ")
            client.send(query("SELECT n FROM stays"))
        assert "D" in kinds(client.until_ready())
        assert client.ask("SELECT n FROM stays") == "7"
    assert " server_lost " not in proxy.log()
