"""Do clients stay where they are when their server dies, is replaced, falls silent, or comes back from the dead?"""

import concurrent.futures
import contextlib
import itertools
import json
import os
import re
import signal
import threading
import time

import psycopg
import pytest

from admin_port import Admin
from cluster import Cluster
from ledger import Ledger
from raw_session import RawSession, error_fields, query, startup
from tpcb import Tpcb
from understudy_process import run_understudy
from waiting import await_condition, free_port, scaled

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--commit-guard", "on"]
WHO = "SELECT inet_server_port()"


@pytest.fixture(scope="module")
def three(template):
    """A primary and two replicas, replicating synchronously, behind relays; for all tests of this file."""
    with Cluster(template, relays="everything", settings="max_prepared_transactions = 5\n") as servers:
        servers.primary.execute("CREATE TABLE entry (n int, what text)")
        yield servers


@pytest.fixture
def cluster(three):
    """The three, as every test finds them: one primary, two that follow, an empty table."""
    three.restore()
    three.primary.execute("TRUNCATE entry")
    return three


@pytest.fixture
def make_failover_proxy(make_proxy):
    """make_failover_proxy(backends, ...): a proxy that has found its primary."""
    def make(backends, *arguments, failover_timeout="30s", await_primary=True, **options):
        others = [word for address in backends[1:] for word in ("--backend", address)]
        proxy = make_proxy(backends[0], *others, *OPTIONS, "--failover-timeout", failover_timeout, *arguments,
                           **options)
        if await_primary:
            proxy.await_log(r" primary_found .*")
        return proxy
    return make


def entries(cluster, what):
    return cluster.primary.value(f"SELECT count(*) FROM entry WHERE what = '{what}'")


def fail_over(cluster):
    """Power loss, and somebody else takes over."""
    cluster.kill_primary()
    return cluster.take_over()


# ---- Who is the primary

@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_primary_is_found_wherever_it_stands(cluster, make_failover_proxy, place):
    others = [node.address for node in cluster.replicas]
    backends = others[:place] + [cluster.primary.address] + others[place:]
    proxy = make_failover_proxy(backends)
    assert cluster.primary.address in proxy.await_log(r" primary_found .*").group(0)
    with proxy.connect() as client:
        assert client.execute(WHO + ", pg_is_in_recovery()").fetchone() == (cluster.primary.server.port, False)


def test_a_session_that_breaks_has_its_server_looked_at_at_once(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends, "--health-interval", "1h")
    with proxy.connect() as client:
        fail_over(cluster)
        assert client.execute(WHO).fetchone() == (cluster.primary.server.port,)


IMPATIENT = {"--health-query-timeout": "200ms", "--health-connect-timeout": "200ms", "--health-failures": "2"}


@pytest.mark.parametrize("patience", [{"--health-query-timeout": "10min"}, {"--health-connect-timeout": "10min"},
                                      {"--health-failures": "1000000"}, {"--health-interval": "1h"}], ids=lambda one: next(iter(one)))
def test_how_soon_a_silent_server_counts_as_down_is_configured(cluster, make_failover_proxy, patience):
    silent = cluster.replicas[0]
    patient = make_failover_proxy(cluster.backends, *itertools.chain(*{**IMPATIENT, **patience}.items()))
    if "--health-interval" in patience:  # while it looks for the primary it asks more often
        await_condition(lambda: silent.server.value(
            "SELECT count(*) FROM pg_stat_activity WHERE client_port > 0 AND pid <> pg_backend_pid()"
            " AND clock_timestamp() - state_change > '0.5s'") == 1, "its questions to end")
    impatient = make_failover_proxy(cluster.backends, *itertools.chain(*IMPATIENT.items()))
    for proxy in (patient, impatient):
        proxy.await_log(f" backend_up backend={silent.address} ")
    cluster.freeze(silent)
    impatient.await_log(f" backend_down backend={silent.address} ")
    assert " backend_down " not in patient.log()
    cluster.thaw(silent)


# ---- Idle sessions

def test_an_idle_session_moves_with_all_that_is_its_own(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    news = []
    with proxy.connect() as client:
        client.add_notify_handler(lambda notice: news.append(notice.payload))
        client.prepare_threshold = 1 << 30
        client.execute("SET search_path = elsewhere, public")
        client.execute("SET my.app = 'x'")
        client.execute("SET timezone = 'Asia/Kathmandu'")
        client.execute("BEGIN; SET my.app = 'rolled back'; ROLLBACK")
        client.execute("PREPARE twice AS SELECT 2 * $1::int")
        client.execute("LISTEN news")
        assert client.execute("SELECT %s::int + 1", [1], prepare=True).fetchone() == (2,)
        before = client.execute(WHO).fetchone()

        fail_over(cluster)

        assert client.execute("SELECT %s::int + 1", [2], prepare=True).fetchone() == (3,)
        assert client.execute(WHO).fetchone() == (cluster.primary.server.port,) != before
        settings = "SELECT current_setting('search_path'), current_setting('my.app'), current_setting('timezone')"
        assert client.execute(settings).fetchone() == ("elsewhere, public", "x", "Asia/Kathmandu")
        assert client.info.parameter_status("TimeZone") == "Asia/Kathmandu"
        assert client.execute("EXECUTE twice(21)").fetchone() == (42,)
        cluster.primary.execute("NOTIFY news, 'after'")
        await_condition(lambda: client.execute("SELECT") and news, "the notification")
        assert news == ["after"]


def test_an_idle_session_outlives_any_number_of_losses(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with proxy.connect() as client:
        assert client.execute("SELECT 1").fetchone() == (1,)  # leaves nothing that a server would be asked to make again
        for losses in range(1, 8):
            cluster.primary.kill()
            cluster.primary.server.start()
            await_condition(lambda: proxy.log().count(" session_moved ") == losses,
                            lambda: f"move {losses}: {proxy.log()}")
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_listener_that_asks_for_nothing_hears_of_what_happens_afterwards(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with RawSession(proxy.port) as client:
        client.ask("SET application_name = 'listener'")
        client.ask("LISTEN news")
        fail_over(cluster)
        moved = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'listener' AND state = 'idle'"
        await_condition(lambda: cluster.primary.value(moved), "the listener to move")
        # It says LISTEN at some time after it is there: it is told again until it hears.
        heard = []
        teller = threading.Thread(target=lambda: await_condition(
            lambda: cluster.primary.execute("NOTIFY news, 'hello'") or heard, "the listener to hear"))
        teller.start()
        try:
            heard += client.until(b"A")
        finally:
            heard.append(None)
            teller.join()
        assert heard[-2][1].endswith(b"news\0hello\0")


# ---- Transactions

@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
@pytest.mark.parametrize("steps", [1, 2, 3], ids=["after-begin", "after-insert", "after-select"])
def test_a_transaction_goes_on_where_it_was_and_is_applied_once(cluster, make_failover_proxy, steps, prepare):
    proxy = make_failover_proxy(cluster.backends)
    with proxy.connect() as client:
        asked = [("BEGIN", None), ("INSERT INTO entry VALUES (1, 'once')", "INSERT 0 1"),
                 ("SELECT n FROM entry", "SELECT 1"), ("COMMIT", "COMMIT")]
        for number, (statement, answer) in enumerate(asked):
            cursor = client.execute(statement, prepare=prepare)
            assert answer is None or cursor.statusmessage == answer
            if number + 1 == steps:
                fail_over(cluster)
        assert client.execute("SELECT n FROM entry").fetchall() == [(1,)]
    assert entries(cluster, "once") == 1


@pytest.mark.parametrize("question", ["SELECT clock_timestamp()", WHO], ids=["clock", "port"])
def test_a_transaction_that_would_be_answered_otherwise_fails_and_its_session_lives_on(
        cluster, make_failover_proxy, question):
    proxy = make_failover_proxy(cluster.backends)
    with proxy.connect() as client:
        client.execute("SET my.app = 'x'")
        client.execute("BEGIN")
        client.execute(question).fetchone()
        client.execute("INSERT INTO entry VALUES (1, 'never')")
        fail_over(cluster)
        with pytest.raises(psycopg.errors.SerializationFailure):
            client.execute("SELECT n FROM entry")
        client.execute("ROLLBACK")
        assert client.execute("SELECT current_setting('my.app')").fetchone() == ("x",)
        client.execute("INSERT INTO entry VALUES (2, 'then')")
    assert (entries(cluster, "never"), entries(cluster, "then")) == (0, 1)


def test_a_replay_that_waits_for_a_lock_fails_in_time_and_its_session_lives_on(cluster, make_failover_proxy):
    """Somebody else has the row on the new primary, and may never let it go."""
    proxy = make_failover_proxy(cluster.backends, failover_timeout="5s")
    cluster.primary.execute("INSERT INTO entry VALUES (1, 'wanted')")
    with proxy.connect() as client:
        client.execute("SET my.app = 'x'")
        client.execute("BEGIN")
        client.execute("UPDATE entry SET n = 2 WHERE what = 'wanted'")
        node = cluster.most_advanced_replica()
        cluster.partition(node)
        cluster.kill_primary()
        cluster.promote(node)
        with node.connect(autocommit=False) as holder:
            holder.execute("UPDATE entry SET n = 3 WHERE what = 'wanted'")
            node.relay.heal()
            with pytest.raises(psycopg.errors.SerializationFailure, match="no answer within failover_timeout"):
                client.execute("SELECT 1")
            holder.rollback()
        client.execute("ROLLBACK")
        assert client.execute("SELECT current_setting('my.app')").fetchone() == ("x",)
        assert client.execute("SELECT n FROM entry").fetchall() == [(1,)]
    for other in cluster.replicas:
        cluster.follow(other, node)
        cluster.await_following(other)


def test_a_session_that_cannot_move_is_told_why(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with RawSession(proxy.port) as client:
        client.send(query("CREATE TEMP TABLE mine (n int)"))
        client.until_ready()
        fail_over(cluster)
        with contextlib.suppress(OSError):  # it may have been told already
            client.send(query("SELECT * FROM mine"))
        [error] = error_fields(client.to_end())
        assert (error["S"], error["C"]) == ("FATAL", "57P01")
        assert "temporary table" in error["D"] and "mine" in error["D"]
    with proxy.connect() as another:
        assert another.execute("SELECT to_regclass('pg_temp.mine')").fetchone() == (None,)


HELD_NO_MORE = {
    "dropped": ["CREATE TEMP TABLE mine (n int)", "CREATE TEMP VIEW seen AS SELECT 1", "DROP VIEW seen",
                "DROP TABLE mine"],
    "dropped in a transaction": ["CREATE TEMP TABLE mine (n serial)", "BEGIN", "DROP TABLE mine", "COMMIT"],
    "rolled back": ["BEGIN", "CREATE TEMP TABLE mine (n int)", "SELECT 1 INTO TEMP other", "ROLLBACK"],
    "of its transaction": ["BEGIN", "CREATE TEMP TABLE mine (n int) ON COMMIT DROP", "COMMIT"],
    "discarded": ["CREATE TEMP TABLE mine (n int)", "DISCARD TEMP"],
    "function": ["CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pg_temp.f()"],
    "unlocked": ["SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)",
                 "SELECT pg_advisory_unlock(1)"],
    "all unlocked": ["SELECT pg_advisory_lock(2)", "SELECT pg_try_advisory_lock_shared(3, 4)",
                     "SELECT pg_advisory_unlock_all()"],
    "closed": ["DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c"],
    "everything": ["CREATE TEMP TABLE mine (n int)", "SELECT pg_advisory_lock(5)",
                   "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                   "CLOSE ALL; DROP TABLE mine; SELECT pg_advisory_unlock(5)"]}
HELD_YET = {
    "one of two": ["CREATE TEMP TABLE mine (n int)", "CREATE TEMP TABLE other (n int)", "DROP TABLE mine"],
    "the other of that name": ["CREATE TABLE IF NOT EXISTS mine (n int)", "SET search_path = public, pg_temp",
                               "CREATE TEMP TABLE mine (n int)", "DROP TABLE mine"],
    "not dropped after all": ["CREATE TEMP TABLE mine (n int)", "BEGIN", "DROP TABLE mine", "ROLLBACK"],
    "made out of sight": ["DO 'BEGIN CREATE TEMP TABLE mine (n int); END'"],
    "locked out of sight": ["BEGIN", "DO 'BEGIN PERFORM pg_advisory_lock(7); END'", "COMMIT"],
    "locked twice": ["SELECT pg_advisory_lock(6)", "SELECT pg_advisory_lock(6)", "SELECT pg_advisory_unlock(6)"],
    "another cursor": ["DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE d CURSOR WITH HOLD FOR SELECT 1", "CLOSE c"]}


def test_a_session_moves_once_it_holds_nothing_more_that_cannot_move(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with contextlib.ExitStack() as stack:
        sessions = {}
        for name, statements in (HELD_NO_MORE | HELD_YET).items():
            client = stack.enter_context(RawSession(proxy.port))
            for statement in [*statements, "SELECT 1"]:
                client.send(query(statement))
                assert not error_fields(client.until_ready()), (name, statement)
            sessions[name] = client
        fail_over(cluster)
        for name in HELD_NO_MORE:
            sessions[name].send(query("SELECT 'goes on'"))
            assert b"goes on" in sessions[name].until_ready()[1][1], name
        for name in HELD_YET:
            with contextlib.suppress(OSError):  # it may have been told already
                sessions[name].send(query("SELECT 1"))
            [error] = error_fields(sessions[name].to_end())
            assert (error["S"], error["C"]) == ("FATAL", "57P01"), name


# ---- While there is no primary

@pytest.mark.parametrize("is_new", [False, True], ids=["session", "new-connection"])
def test_without_a_primary_clients_wait_until_there_is_one(cluster, make_failover_proxy, is_new):
    proxy = make_failover_proxy(cluster.backends)
    with contextlib.ExitStack() as stack:
        client = None if is_new else stack.enter_context(proxy.connect())
        cluster.kill_primary()
        begun = time.monotonic()
        later = threading.Timer(3, cluster.take_over)
        later.start()
        try:
            client = client or stack.enter_context(proxy.connect())
            client.execute("INSERT INTO entry VALUES (1, 'waited')")
            waited = time.monotonic() - begun
        finally:
            later.join()
        assert waited >= 2.9
    assert entries(cluster, "waited") == 1


@pytest.mark.parametrize("auth", ["trust", "relay"])
def test_a_login_under_way_at_a_silent_server_is_begun_anew(cluster, make_failover_proxy, auth):
    proxy = make_failover_proxy(cluster.backends, "--auth", auth)
    cluster.partition(cluster.primary)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(proxy.connect)
        await_condition(lambda: proxy.counts()["connections"] == 1, "the client to come in")
        cluster.take_over()
        with connecting.result() as client:
            client.execute("INSERT INTO entry VALUES (1, 'late')")
    assert entries(cluster, "late") == 1


def test_without_a_primary_nobody_waits_longer_than_allowed(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends, failover_timeout="1s")
    with RawSession(proxy.port) as client:  # psycopg may not look at what comes with the end of its connection
        cluster.kill_primary()
        begun = time.monotonic()
        client.send(query("INSERT INTO entry VALUES (1, 'refused')"))
        [error] = error_fields(client.until_ready())
        assert error["C"] in ("08006", "57P03")
        with pytest.raises(psycopg.OperationalError) as refused:
            proxy.connect()
        assert any(address in str(refused.value) for address in cluster.backends)  # it says what the proxy sees
        assert time.monotonic() - begun < 10
    cluster.take_over()
    with proxy.connect() as client:
        client.execute("INSERT INTO entry VALUES (2, 'then')")
    assert (entries(cluster, "refused"), entries(cluster, "then")) == (0, 1)


@pytest.mark.parametrize("auth", ["trust", "relay"])
def test_a_client_that_waits_for_a_primary_may_leave_and_does_not_keep_the_proxy(cluster, make_failover_proxy, auth):
    proxy = make_failover_proxy(cluster.backends, "--auth", auth, "--admin-listen", f":{free_port()}", failover_timeout="1h")
    admin = Admin(proxy)
    cluster.kill_primary()
    proxy.await_log(" primary_lost ")
    with RawSession(proxy.port, login=False) as leaver, RawSession(proxy.port, login=False) as patient:
        for client in (leaver, patient):
            client.send(startup(user="postgres", database="postgres"))
        await_condition(lambda: [one["moving"] for one in admin.read("sessions")["sessions"]] == [True, True], "both to wait")
        leaver.socket.close()
        await_condition(lambda: proxy.counts()["open"] == 1, "it to be missed")
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(60) == 0  # after a single signal, and not after an hour
        [error] = error_fields(patient.to_end())
        assert error["C"] == "57P01"


# ---- Under load

@contextlib.contextmanager
def load(cluster, proxy):
    """The ledger and pgbench at work; at the end neither has noticed anything, and all of it is on record."""
    Tpcb.make_tables(cluster.primary.server.port)
    with Tpcb(proxy.environment, clients=scaled(8, least=2), rate=scaled(100, least=10)) as tpcb:
        with Ledger(proxy.connect, cluster.primary.connect()) as ledger:
            tpcb.await_running(cluster.primary.connect())
            await_condition(lambda: ledger.all_acknowledged(0), "every client to have begun")
            yield ledger
        booked = ledger.check(cluster.primary.connect())
        benched = tpcb.stop(cluster.primary.connect())
    assert booked.acknowledged > 0
    assert booked.problems() + benched.problems() == []
    proxy.stop()
    assert run_understudy("verify", proxy.record).returncode == 0
    recorded = json.loads(run_understudy("show", proxy.record, "--stats", "--json").stdout)
    assert (recorded["missing"], recorded["bytes_not_read"], recorded["chunks_damaged"]) == ({}, 0, 0)
    answers = run_understudy("export", proxy.record, "--format", "jsonl").stdout
    # Each commit of the ledger and each transaction of pgbench has one.
    assert answers.count('"INSERT 0 1"') >= booked.acknowledged + benched.transactions > booked.acknowledged


def await_answers(ledger, since):
    """Every client has had a commit acknowledged."""
    await_condition(lambda: ledger.all_acknowledged(since) or ledger.failures(),
                    lambda: f"every client to be answered; failures: {ledger.failures()}")


def test_without_a_proxy_the_same_checker_notices(cluster):
    with Ledger(lambda: cluster.primary.connect(), cluster.primary.connect()) as ledger:
        await_condition(lambda: ledger.all_acknowledged(0), "every client to have begun")
        promoted = fail_over(cluster)
        await_condition(lambda: ledger.all_acknowledged(promoted.asked_at), "every client to be answered")
    clean = ledger.check(cluster.primary.connect())
    assert len({failure.client for failure in clean.failures}) == len(ledger.clients)
    assert (clean.lost, clean.twice, clean.uninvited, clean.wrong_balances, clean.hung) == ([], [], [], [], [])
    cluster.primary.execute("DELETE FROM bank.ledger WHERE (client, sequence) = (0, 1);"
                            "INSERT INTO bank.ledger SELECT * FROM bank.ledger WHERE (client, sequence) = (1, 1)")
    cluster.primary.execute("INSERT INTO bank.ledger VALUES (2, 1000000, 1);"
                            "UPDATE bank.account SET balance = balance + 1 WHERE client = 3")
    harmed = ledger.check(cluster.primary.connect())
    assert (harmed.lost, harmed.twice, harmed.uninvited) == ([(0, 1)], [(1, 1)], [(2, 1000000)])
    assert [row[0] for row in harmed.wrong_balances] == [0, 1, 2, 3]


def test_nobody_notices_a_switchover(cluster, make_failover_proxy, scratch):
    with load(cluster, make_failover_proxy(cluster.backends, record=scratch / "recording")) as ledger:
        await_answers(ledger, cluster.switchover(rejoin=False).asked_at)


def test_nobody_notices_a_power_loss(cluster, make_failover_proxy, scratch):
    with load(cluster, make_failover_proxy(cluster.backends, record=scratch / "recording")) as ledger:
        await_answers(ledger, fail_over(cluster).asked_at)


def test_nobody_notices_a_primary_that_falls_silent(cluster, make_failover_proxy, scratch):
    with load(cluster, make_failover_proxy(cluster.backends, record=scratch / "recording")) as ledger:
        silent = cluster.primary
        cluster.freeze(silent)
        await_answers(ledger, cluster.take_over().asked_at)
        cluster.thaw(silent)
        await_answers(ledger, time.monotonic())


def test_nobody_notices_a_partition(cluster, make_failover_proxy, scratch):
    with load(cluster, make_failover_proxy(cluster.backends, record=scratch / "recording")) as ledger:
        lonely = cluster.primary
        cluster.partition(lonely)
        await_answers(ledger, cluster.take_over().asked_at)
        lonely.relay.heal()
        await_answers(ledger, time.monotonic())


def test_nobody_notices_a_restart(cluster, make_failover_proxy, scratch):
    with load(cluster, make_failover_proxy(cluster.backends, record=scratch / "recording")) as ledger:
        await_answers(ledger, cluster.restart_primary().asked_at)


# ---- Recording goes on

def test_the_recording_says_who_answered_what_and_holds_nothing_of_the_proxys_own(
        cluster, make_failover_proxy, scratch):
    proxy = make_failover_proxy(cluster.backends, record=scratch / "recording")
    before = cluster.primary.address
    with RawSession(proxy.port) as client:
        client.ask("INSERT INTO entry VALUES (1, 'before')")
        fail_over(cluster)
        client.ask("INSERT INTO entry VALUES (2, 'after')")
    proxy.stop()
    assert run_understudy("verify", scratch / "recording").returncode == 0
    shown = run_understudy("show", scratch / "recording", "--session", "1.1").stdout
    said, after = shown.index("'before'"), shown.index("'after'")
    assert before in shown[:said]
    assert cluster.primary.address in shown[said:after]
    assert "BEGIN" not in shown and "txid" not in shown


def test_a_transaction_that_was_prepared_when_its_answer_was_lost_gets_it(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with RawSession(proxy.port) as client:
        client.ask("BEGIN")
        client.ask("INSERT INTO entry VALUES (1, 'prepared')")
        for replica in cluster.replicas:
            cluster.freeze(replica)  # so that the primary waits for them, and says nothing
        client.send(query("PREPARE TRANSACTION 'understudy'"))
        await_condition(lambda: cluster.primary.value("SELECT count(*) FROM pg_prepared_xacts"), "the transaction")
        cluster.primary.kill()
        cluster.primary.server.start()
        answer = client.until_ready()
        assert (b"C", b"PREPARE TRANSACTION\0") in answer and not error_fields(answer)
    for replica in cluster.replicas:
        replica.thaw()
    cluster.primary.execute("ROLLBACK PREPARED 'understudy'")


# ---- What asynchronous replication loses

def test_an_acknowledged_commit_that_the_new_primary_lacks_is_reported(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with proxy.connect() as client, proxy.connect() as other:
        other.execute("INSERT INTO entry VALUES (0, 'arrived')")
        client.execute("SET synchronous_commit = local")
        senders = cluster.primary.value("SELECT array_agg(pid) FROM pg_stat_replication")
        for sender in senders:
            os.kill(sender, signal.SIGSTOP)
        client.execute("INSERT INTO entry VALUES (1, 'lost')")
        fail_over(cluster)
        assert client.execute("SELECT count(*) FROM entry WHERE what = 'lost'").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM entry WHERE what = 'arrived'").fetchone() == (1,)
    assert len(re.findall(r" commits_lost session=", proxy.log())) == 1
    assert proxy.counts()["commits_lost"] == 1


def test_a_session_that_is_terminated_ends(cluster, make_failover_proxy):
    """By an administrator: it is not made again elsewhere."""
    proxy = make_failover_proxy(cluster.backends)
    with RawSession(proxy.port) as client:
        client.ask("SET application_name = 'unwanted'")
        cluster.primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                " WHERE application_name = 'unwanted'")
        assert error_fields(client.until(b"E"))[0]["C"] == "57P01"


# ---- The old primary comes back

def test_an_old_primary_that_comes_back_is_not_written_to(cluster, make_failover_proxy):
    proxy = make_failover_proxy(cluster.backends)
    with proxy.connect() as client:
        client.execute("INSERT INTO entry VALUES (0, 'before')")
        old = cluster.kill_primary()
        cluster.take_over()
        client.execute("INSERT INTO entry VALUES (1, 'after')")
        cluster.start_as_stray(old)
        await_condition(lambda: old.foreign_questions() >= 2, "the proxy to have looked at the old primary twice")
        client.execute("INSERT INTO entry VALUES (2, 'after')")
        with proxy.connect() as another:
            assert another.execute(WHO).fetchone() == (cluster.primary.server.port,)
            another.execute("INSERT INTO entry VALUES (3, 'after')")
    assert old.value("SELECT pg_is_in_recovery()") is False
    assert old.value("SELECT count(*) FROM entry WHERE what = 'after'") == 0
    assert entries(cluster, "after") == 3


def test_a_proxy_that_starts_between_two_primaries_takes_the_one_on_the_higher_timeline(cluster, make_failover_proxy):
    old = cluster.kill_primary()
    cluster.take_over()
    cluster.start_as_stray(old)
    for backends in ([old.address, cluster.primary.address], [cluster.primary.address, old.address]):
        asked = old.foreign_questions()
        proxy = make_failover_proxy(backends)
        await_condition(lambda: old.foreign_questions() >= asked + 2, "the proxy to have looked at it twice")
        with proxy.connect() as client:
            assert client.execute(WHO).fetchone() == (cluster.primary.server.port,)
