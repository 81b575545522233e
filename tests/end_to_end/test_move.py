"""`understudy ctl move`: are sessions brought to another server by plan, without any of them noticing? And if it does not
work out, are they where they were?"""

import concurrent.futures
import contextlib
import json

import pytest

from admin_port import Admin
from cluster import Cluster
from ledger import Ledger
from tpcb import Tpcb
from waiting import await_condition, free_port

OPTIONS = ["--auth", "trust", "--commit-guard", "on", "--admin-listen"]
WHO = "SELECT inet_server_port()"


@pytest.fixture(scope="module")
def two(template):
    """A primary and two replicas, which nobody else looks after."""
    with Cluster(template, synchronous=False) as servers:
        servers.primary.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE TABLE entry (n int);"
                                "GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO watcher")
        Tpcb.make_tables(servers.primary.server.port)
        yield servers


@pytest.fixture
def cluster(two):
    two.restore()
    return two


@pytest.fixture
def make_mover(make_proxy):
    """make_mover(cluster, *arguments): the admin port of a proxy that has found its primary and its replicas."""
    def make(cluster, *arguments):
        first, *others = cluster.backends
        more = [word for address in others for word in ("--backend", address)]
        admin = Admin(make_proxy(first, *more, *OPTIONS, f":{free_port()}", *arguments))
        admin.proxy.await_log(" primary_found ")
        await_condition(lambda: sum(one["role"] == "replica" for one in admin.read("backends")["backends"]) == 2, "the replicas")
        return admin
    return make


def note_promotion(cluster, node):
    """What the proxy did behind the harness's back."""
    cluster.primary.is_out = True
    cluster.primary = node
    for other in cluster.replicas:
        cluster.follow(other, node)
        cluster.await_following(other)


def node_of(cluster, address):
    return next(node for node in cluster.nodes if node.address == address)


def test_under_load_a_move_is_a_slow_answer_and_the_old_primary_is_left_alone(cluster, make_mover):
    admin = make_mover(cluster)
    old = cluster.primary
    written = "SELECT count(*) FROM pgbench_history"
    # Not prepared: while one session of its prepares, pgbench lets all others of the thread wait, in transactions.
    with Tpcb(admin.proxy.environment, clients=8, rate=200, protocol="extended") as pgbench, \
            Ledger(admin.proxy.connect, old.connect(), clients=6) as ledger:
        pgbench.await_running(old.connect())
        moved = admin.ctl("move", "--promote", "--json")
        assert moved.returncode == 0, moved.stderr
        told = json.loads(moved.stdout)
        new = node_of(cluster, told["to"])
        assert told["moved"] and told["from"] == old.address and new is not old and told["timeline"] > 1
        note_promotion(cluster, new)
        before = ledger.acknowledged()
        left = old.value(written)
        await_condition(lambda: ledger.acknowledged() > before + 50, "commits at the new primary")
        assert old.value(written) == left and not old.value("SELECT pg_is_in_recovery()")
        assert [one["fenced"] for one in admin.read("backends")["backends"] if one["backend"] == old.address] == [True]
        report = pgbench.stop(new.connect())
    books = ledger.check(new.connect())
    assert report.is_clean, report.problems()
    assert books.is_clean, books.problems()
    assert admin.metrics()["understudy_paused"] == "0"


def test_somebody_else_may_promote_the_replica_that_is_named(cluster, make_mover):
    admin = make_mover(cluster)
    to = cluster.replicas[-1]
    with admin.proxy.connect() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        client.execute("SET my.app = 'moved'")
        moving = pool.submit(admin.ctl, "move", "--to", to.address)
        admin.proxy.await_log(" move_begins ")
        cluster.switchover(to)
        assert moving.result().stdout.startswith("moved from ")
        assert client.execute(WHO + ", current_setting('my.app')").fetchone() == (to.server.port, "moved")


def test_when_nobody_promotes_sessions_go_on_where_they_were(cluster, make_mover):
    admin = make_mover(cluster)
    with Ledger(admin.proxy.connect, cluster.primary.connect(), clients=6) as ledger:
        await_condition(lambda: ledger.acknowledged() > 20, "some commits")
        late = admin.ctl("move", "--to", cluster.replicas[0].address, "--timeout", "500ms")
        assert late.returncode == 1 and "to become primary. Sessions go on at" in late.stderr
        before = ledger.acknowledged()
        await_condition(lambda: ledger.acknowledged() > before + 20, "commits")
    books = ledger.check(cluster.primary.connect())
    assert books.is_clean, books.problems()
    assert "session_moved" not in admin.proxy.log()


def test_a_transaction_that_does_not_end_and_a_replica_that_does_not_replay_are_not_moved_past(cluster, make_mover):
    admin = make_mover(cluster)
    with admin.proxy.connect(autocommit=False) as client:
        client.execute("INSERT INTO entry VALUES (1)")
        late = admin.ctl("move", "--promote", "--timeout", "300ms")
        assert late.returncode == 1 and "(1 had not)" in late.stderr
        client.commit()
    replica = cluster.replicas[0]
    replica.execute("SELECT pg_wal_replay_pause()")
    with contextlib.ExitStack() as stack:
        stack.callback(replica.execute, "SELECT pg_wal_replay_resume()")
        with admin.proxy.connect() as client:
            client.execute("INSERT INTO entry VALUES (2)")
            late = admin.ctl("move", "--to", replica.address, "--promote", "--timeout", "500ms")
            assert late.returncode == 1 and "to replay up to" in late.stderr
            assert client.execute(WHO).fetchone() == (cluster.primary.server.port,)
    assert replica.value("SELECT pg_is_in_recovery()")


def test_what_was_committed_without_waiting_for_the_disk_is_moved_too(cluster, make_mover):
    admin = make_mover(cluster)
    with admin.proxy.connect() as client:
        client.execute("TRUNCATE entry")
        client.execute("SET synchronous_commit = off")
        for number in range(100):
            client.execute("INSERT INTO entry VALUES (%s)", [number])
        moved = admin.ctl("move", "--promote")
        assert moved.returncode == 0, moved.stderr
        assert client.execute("SELECT count(*) FROM entry").fetchone() == (100,)
        port = client.execute(WHO).fetchone()[0]
    note_promotion(cluster, next(node for node in cluster.nodes if node.server.port == port))


def test_what_cannot_be_moved_to_is_refused_and_nothing_stops(cluster, make_mover, server, make_proxy):
    admin = make_mover(cluster)
    for to, reason in [(cluster.primary.address, "is the primary already"), ("127.0.0.1:1", "none of the backends"),
                       ("%00&x=[", "none of the backends")]:
        refused = admin.ctl("move", "--to", to)
        assert refused.returncode in (1, 2) and (reason in refused.stderr or refused.returncode == 2)
    replica = cluster.replicas[0]
    replica.server.stop()
    admin.proxy.await_log(f" backend_down backend={replica.address}")
    assert "is no replica that is up" in admin.ctl("move", "--to", replica.address).stderr
    replica.server.start()
    for query in ("timeout=soon", "timeout=2h", "promote=perhaps"):
        assert admin.post(f"move?{query}")[0] == 400
    assert "understudy_paused 0" in admin.get("/metrics")[2] and "move_begins" not in admin.proxy.log()
    alone = Admin(make_proxy(server.tcp, "--admin-listen", f":{free_port()}"))
    assert "there is one backend" in alone.ctl("move").stderr


def test_who_may_not_promote_is_told_and_sessions_go_on(cluster, make_mover):
    admin = make_mover(cluster, "--health-user", "watcher")
    with admin.proxy.connect() as client:
        refused = admin.ctl("move", "--promote")
        assert refused.returncode == 1 and "permission denied" in refused.stderr
        assert client.execute(WHO).fetchone() == (cluster.primary.server.port,)


def test_a_resume_ends_a_move_and_a_second_one_is_refused(cluster, make_mover):
    admin = make_mover(cluster)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, admin.proxy.connect() as client:
        moving = pool.submit(admin.ctl, "move")
        admin.proxy.await_log(" move_begins ")
        assert "another move is under way" in admin.ctl("move").stderr
        admin.ctl("resume")
        ended = moving.result()
        assert ended.returncode == 1 and "resumed meanwhile" in ended.stderr
        assert client.execute(WHO).fetchone() == (cluster.primary.server.port,)


def test_a_proxy_that_was_paused_stays_so(cluster, make_mover):
    admin = make_mover(cluster)
    admin.post("pause")
    assert admin.ctl("move", "--timeout", "200ms").returncode == 1
    assert admin.metrics()["understudy_paused"] == "1"
    admin.post("resume")
