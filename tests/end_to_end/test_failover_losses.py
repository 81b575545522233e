"""With asynchronous replication a new primary may lack what clients were told is committed. Is all of it reported, also
what no session can look up: of sessions that have closed, and of statements whose transaction id is not known?"""

import os
import re
import signal

import pytest

from admin_port import Admin
from waiting import await_condition, free_port

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--commit-guard", "on", "--failover-timeout", "60s"]
SETUP = """
    CREATE TABLE entry (n int, what text);
    CREATE PROCEDURE enter() LANGUAGE sql AS $$INSERT INTO entry VALUES (1, 'lost')$$"""


def in_a_session_of_its_own(proxy, what):
    """It has closed before the primary is lost, and its proxy knows."""
    before = proxy.log().count(" session_closed ")
    with proxy.connect() as client:
        what(client)
    await_condition(lambda: proxy.log().count(" session_closed ") > before, "the session to be closed")


def insert(client):
    client.execute("INSERT INTO entry VALUES (1, 'lost')")


def insert_in_transaction(client):
    client.autocommit = False
    client.execute("INSERT INTO entry VALUES (1, 'lost')")
    client.commit()


def copy_in(client):
    with client.cursor() as cursor, cursor.copy("COPY entry FROM STDIN") as copy:
        copy.write(b"1\tlost\n")


def create_table(client):
    client.execute("CREATE TABLE lost AS SELECT 1 AS n")


def call(client):
    client.execute("CALL enter()")


def several(client):
    client.execute("INSERT INTO entry VALUES (1, 'lost'); INSERT INTO entry VALUES (2, 'lost')")


def lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


@pytest.fixture
def proxy(cluster, make_proxy):
    """That has found both servers, tells of sessions, and has an admin port."""
    proxy = make_proxy(cluster.primary.address, "--backend", cluster.replicas[0].address, *OPTIONS,
                       "--log-connections", "on", "--admin-listen", f"127.0.0.1:{free_port()}")
    proxy.await_log(f" backend_up backend={cluster.replicas[0].address} role=replica")
    proxy.await_log(" primary_found ")
    return proxy


def await_look(cluster, proxy):
    """Until the proxy has seen a position of the primary's behind all that was committed. Twice: it may just be asking.
    (Committed, the message is flushed, with all that was inserted before.)"""
    admin = Admin(proxy)
    for _ in range(2):
        position = cluster.primary.value("SELECT pg_logical_emit_message(true, 'test', '')")
        await_condition(lambda: any(backend["primary"] and lsn(backend["lsn"]) >= lsn(position)
                                    for backend in admin.read("backends")["backends"]), "the proxy to look")


def hold_back_replication(cluster):
    for sender in cluster.primary.value("SELECT array_agg(pid) FROM pg_stat_replication"):
        os.kill(sender, signal.SIGSTOP)


def reported(proxy, event):
    """Of sessions one each, of those that no session can look up their number."""
    lines = re.findall(rf" {event} (?:count=(\d+) )?", proxy.log())
    assert sum(int(count or 1) for count in lines) == proxy.counts()[event]
    return proxy.counts()[event]


@pytest.mark.parametrize("commit, event", [(insert, "commits_lost"), (insert_in_transaction, "commits_lost"),
                                           (create_table, "commits_lost"), (several, "commits_lost"),
                                           (copy_in, "commits_lost"), (call, "commits_unclear")])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_a_commit_that_the_new_primary_lacks_is_reported(cluster, proxy, commit, event, closed):
    cluster.primary.execute("DROP TABLE IF EXISTS arrived")
    in_a_session_of_its_own(proxy, lambda client: client.execute("INSERT INTO entry VALUES (0, 'arrived')"))
    in_a_session_of_its_own(proxy, lambda client: client.execute("CREATE TABLE arrived (n int)"))
    in_a_session_of_its_own(proxy, lambda client: client.execute("CALL enter(); DELETE FROM entry WHERE what = 'lost'"))
    await_look(cluster, proxy)
    cluster.await_streaming(cluster.replicas[0])
    hold_back_replication(cluster)
    client = proxy.connect()
    if closed:
        in_a_session_of_its_own(proxy, commit)
    else:
        commit(client)
        await_look(cluster, proxy)
    cluster.kill_primary()
    cluster.take_over()
    client.rollback()
    assert client.execute("SELECT count(*) FROM entry WHERE what = 'lost'").fetchone() == (0,)
    assert client.execute("SELECT to_regclass('lost') IS NULL, to_regclass('arrived') IS NOT NULL").fetchone() == (
        True, True)
    client.close()
    other = "commits_unclear" if event == "commits_lost" else "commits_lost"
    assert (reported(proxy, event), reported(proxy, other)) == (1, 0)
    assert closed or re.search(r" wal_lost timeline=\d+ left_at=\S+ flushed=\S+ bytes=[1-9]", proxy.log())


def test_what_has_arrived_is_not_reported(cluster, proxy):
    commits = (insert, insert_in_transaction, create_table, several, copy_in, call)
    for commit in commits:
        in_a_session_of_its_own(proxy, commit)
    await_look(cluster, proxy)
    cluster.await_streaming(cluster.replicas[0])
    cluster.kill_primary()
    cluster.take_over()
    with proxy.connect() as client:
        assert client.execute("SELECT count(*) FROM entry WHERE what = 'lost'").fetchone() == (6,)
    assert (reported(proxy, "commits_lost"), reported(proxy, "commits_unclear")) == (0, 0)
    cluster.primary.execute("DROP TABLE lost; TRUNCATE entry")
