"""Do sessions that depend on each other come out the same, is a lock queue that formed the other way round resolved,
and does a paced replay keep to its pace?"""

import concurrent.futures
import contextlib
import os
import random
import subprocess
import threading
import time

import psycopg
import pytest

from postgres_server import BIN
from replaying import Speaker, query, recorded, replay, replay_whole
from understudy_process import run_understudy
from waiting import await_condition, scaled

SECOND = 1_000_000_000


@pytest.mark.parametrize("record", (False, True))
def test_sessions_that_use_each_others_rows_come_out_the_same_in_causal_order(pair, scratch, record):
    """Each statement is sent after the answer to the one before, by another session: the order is all there is."""
    source = random.Random("test_sessions_that_use_each_others_rows")
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS ledger; CREATE TABLE ledger (id serial PRIMARY KEY, n int, by int)")
    with recorded(pair.production, scratch / "recording") as proxy:
        sessions = [proxy.connect() for _ in range(8)]
        for step in range(scaled(400, least=60)):
            by = source.randrange(len(sessions))
            sql = source.choice(("INSERT INTO ledger (n, by) VALUES (%s, %s)",
                                 "UPDATE ledger SET n = n * 2 + %s, by = %s WHERE id = (SELECT max(id) FROM ledger)",
                                 "INSERT INTO ledger (n, by) SELECT sum(n) %% 1000 + %s, %s FROM ledger",
                                 "DELETE FROM ledger WHERE id % 7 = %s AND by < %s"))
            sessions[by].execute(sql.replace("id % 7", "id %% 7"), [step % 7, by], prepare=source.random() < 0.5)
        for session in sessions:
            session.close()
    extra = ["--record", scratch / "replay"] if record else []
    replay_whole(scratch / "recording", pair.uri, *extra)
    pair.assert_same("ledger")


def test_transactions_that_overlap_see_of_each_other_what_they_had_seen(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS seen, counted; CREATE TABLE seen (n int); CREATE TABLE counted (a int, b int)")
    source = random.Random("test_transactions_that_overlap")
    with recorded(pair.production, scratch / "recording") as proxy:
        sessions = [proxy.connect(autocommit=False) for _ in range(5)]
        for step in range(scaled(300, least=60)):
            session = source.choice(sessions)
            what = source.randrange(4)
            if what == 0:
                session.execute("INSERT INTO seen VALUES (%s)", [step])
            elif what == 1:
                session.execute("INSERT INTO counted SELECT %s, count(*) FROM seen", [step])
            else:
                (session.commit if what == 2 else session.rollback)()
        for session in sessions:
            session.close()
    replay_whole(scratch / "recording", pair.uri)
    pair.assert_same("seen", "counted")


@pytest.mark.parametrize("statements", (
    "CREATE SEQUENCE shared; CREATE TABLE one (id int DEFAULT nextval('shared'), n int);"
    " CREATE TABLE two (id int DEFAULT nextval('shared'), n int)",
    "CREATE TABLE one (n int); CREATE FUNCTION ones() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM one';"
    " CREATE TABLE two (seen int DEFAULT ones(), n int)",
    "CREATE TABLE one (n int); CREATE FUNCTION odd() RETURNS bool LANGUAGE sql AS 'SELECT count(*) % 2 = 1 FROM one';"
    " CREATE TABLE two (n int CHECK (odd()))"), ids=("shared-sequence", "function-in-default", "function-in-check"))
def test_tables_that_depend_on_each_other_out_of_sight_of_the_statements(pair, scratch, statements):
    """No statement names both tables, yet what comes of an insert into one depends on inserts into the other."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS one, two CASCADE; DROP SEQUENCE IF EXISTS shared;"
                       "DROP FUNCTION IF EXISTS ones, odd")
        server.execute(statements)
    source = random.Random("test_tables_that_depend_on_each_other")
    with recorded(pair.production, scratch / "recording") as proxy:
        sessions = [proxy.connect() for _ in range(8)]
        for step in range(scaled(400, least=100)):
            table = source.choice(("one", "two"))
            with contextlib.suppress(psycopg.errors.CheckViolation):
                source.choice(sessions).execute(f"INSERT INTO {table} (n) VALUES (%s)", [step])
        for session in sessions:
            session.close()
    replay_whole(scratch / "recording", pair.uri)
    pair.assert_same("one", "two")


def test_a_session_that_was_idle_for_long_does_not_run_ahead(pair, scratch):
    """What it does at last is in a chunk that others' earlier events are in, too."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS filler, witness; CREATE TABLE filler (n int, t text);"
                       " CREATE TABLE witness (n int)")
    with recorded(pair.production, scratch / "recording") as proxy:
        idle = [proxy.connect() for _ in range(3)]
        with proxy.connect() as busy:
            for n in range(40):  # some megabytes: several chunks
                busy.execute("INSERT INTO filler VALUES (%s, %s)", [n, str(n % 10) * 100_000])
                if n > 30:
                    idle[n % 3].execute("INSERT INTO witness SELECT count(*) FROM filler")
        for session in idle:
            session.close()
    replay_whole(scratch / "recording", pair.uri)
    assert pair.assert_same("witness") == [(n + 1,) for n in range(31, 40)]


@pytest.mark.parametrize("lock", (
    "SELECT n FROM hot WHERE id = 1 FOR UPDATE",
    "SELECT hot.n FROM hot JOIN watched USING (id) ORDER BY id FOR NO KEY UPDATE OF hot",
    "LOCK TABLE hot IN EXCLUSIVE MODE",
    "SELECT pg_advisory_xact_lock(7)",
    "WITH locked AS (UPDATE hot SET n = n WHERE id = 1 RETURNING n) SELECT * FROM locked",
    "INSERT INTO hot VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET n = hot.n",
    "UPDATE watched SET n = n WHERE id = 1",
    "UPDATE hot SET n = n WHERE id = 1; SELECT 'two statements'"),
    ids=("for-update", "of-a-join", "lock-table", "advisory", "with", "upsert", "trigger", "two-statements"))
def test_who_gets_a_lock_when_many_want_it_at_once_is_as_it_was(pair, scratch, lock):
    """None of these is understood wholly. The answer comes while the lock is held, so that its order is on record."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot, watched; CREATE TABLE hot (id int PRIMARY KEY, n bigint);"
                       "CREATE TABLE watched (LIKE hot); INSERT INTO hot VALUES (1, 1); INSERT INTO watched VALUES (1, 1);"
                       "CREATE OR REPLACE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS"
                       " 'BEGIN new.n = new.n * 3 % 1009; RETURN new; END';"
                       "CREATE TRIGGER watch BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch()")
    with recorded(pair.production, scratch / "recording") as proxy:
        start = threading.Barrier(4)

        def want(who):
            with proxy.connect(autocommit=False) as session:
                start.wait(60)
                for _ in range(scaled(40, least=8)):
                    session.execute(lock)
                    session.execute(f"UPDATE hot SET n = (n * 31 + {who}) % 1000003 WHERE id = 1 RETURNING n")
                    session.commit()

        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            list(clients.map(want, range(4)))
    summary = replay_whole(scratch / "recording", pair.uri, "--record", scratch / "replay")
    assert summary["rescues"] == 0
    pair.assert_same("hot", "watched")
    compared = run_understudy("diff", scratch / "recording", scratch / "replay")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("autocommit", (True, False), ids=("autocommit", "transactions"))
@pytest.mark.parametrize("key", ("int", "text"))
def test_whose_row_with_a_unique_key_came_first_is_as_it_was(pair, scratch, autocommit, key):
    """Four sessions add the same key at once; three are refused."""
    for server in (pair.production, pair.target):
        server.execute(f"DROP TABLE IF EXISTS taken; CREATE TABLE taken (id {key} PRIMARY KEY, who int, n serial)")
    with recorded(pair.production, scratch / "recording") as proxy:
        start = threading.Barrier(4)

        def add(who):
            with proxy.connect(autocommit=autocommit) as session:
                for n in range(scaled(60, least=15)):
                    start.wait(60)
                    try:
                        session.execute(f"INSERT INTO taken (id, who) VALUES (%s::{key}, %s)", [str(n), who])
                        session.commit()
                    except psycopg.errors.UniqueViolation:
                        session.rollback()

        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            list(clients.map(add, range(4)))
    summary = replay_whole(scratch / "recording", pair.uri, "--record", scratch / "replay")
    assert summary["rescues"] == 0
    pair.assert_same("SELECT id, who FROM taken")
    compared = run_understudy("diff", scratch / "recording", scratch / "replay")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("limit", ("lock_timeout", "statement_timeout"))
@pytest.mark.parametrize("known", (True, False), ids=("set by the client", "set by production"))
def test_a_wait_for_a_lock_that_came_to_nothing_comes_to_nothing(pair, scratch, limit, known):
    """However fast it is played, the holder does not let go before; unless the target has no such limit."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot; CREATE TABLE hot (id int PRIMARY KEY, n int); INSERT INTO hot VALUES (1, 1);"
                       f"ALTER ROLE postgres RESET {limit}")
    if not known:
        pair.production.execute(f"ALTER ROLE postgres SET {limit} = 200")
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as holder, Speaker(proxy.port) as waiter:
        holder.send(query(f"BEGIN; SET LOCAL {limit} = 0; UPDATE hot SET n = n + 1 WHERE id = 1"))
        holder.read_until("Z")
        waiter.send(query(f"SET {limit} = 200" if known else "SELECT 1"))
        waiter.read_until("Z")
        waiter.send(query("UPDATE hot SET n = n * 10 WHERE id = 1"))
        waiter.read_until("Z")
        for sql in ("UPDATE hot SET n = n + 1 WHERE id = 1", "COMMIT"):
            holder.send(query(sql))
            holder.read_until("Z")
        for session in (holder, waiter):
            session.close()
    pair.production.execute(f"ALTER ROLE postgres RESET {limit}")
    summary = replay(scratch / "recording", pair.uri, "--speed", "max")
    gone = 0 if known or limit == "statement_timeout" else 1  # a statement that was stopped is stopped by a cancel
    assert (summary["errors_gone"], summary["rescues"]) == (gone, gone)
    assert pair.target.value("SELECT n FROM hot") == (30 if gone else 3)


@pytest.mark.parametrize("speed", ("max", "1"))
@pytest.mark.parametrize("order", (("victim", "other"), ("other", "victim")), ids=("asks first", "asks second"))
def test_the_session_that_a_deadlock_ended_is_ended_again(pair, scratch, order, speed):
    """In production it was the more impatient one; at the target both are as patient."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot; CREATE TABLE hot (id int PRIMARY KEY, n int);"
                       "INSERT INTO hot VALUES (1, 1), (2, 1); DROP ROLE IF EXISTS victim, other;"
                       "CREATE ROLE victim LOGIN SUPERUSER; CREATE ROLE other LOGIN SUPERUSER")
    pair.production.execute("ALTER ROLE victim SET deadlock_timeout = '300ms'; ALTER ROLE other SET deadlock_timeout = '600s'")
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port, user="victim") as victim, Speaker(proxy.port, user="other") as other:
        for n in range(3):
            rows = {victim: 1, other: 2}
            for session, row in rows.items():
                session.send(query(f"BEGIN; UPDATE hot SET n = n * 3 + {row} WHERE id = {row}"))
                session.read_until("Z")
            for name in order:
                session = {"victim": victim, "other": other}[name]
                session.send(query(f"UPDATE hot SET n = n * 5 + {n} WHERE id = {3 - rows[session]}"))
            for session in (victim, other):
                session.read_until("Z")
                session.send(query("COMMIT"))
                session.read_until("Z")
        for session in (victim, other):
            session.close()
    pair.production.execute("ALTER ROLE victim RESET ALL; ALTER ROLE other RESET ALL")
    summary = replay_whole(scratch / "recording", pair.uri, "--speed", speed, "--record", scratch / "replay")
    assert summary["rescues"] == 0
    pair.assert_same("hot")
    compared = run_understudy("diff", scratch / "recording", scratch / "replay")
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_who_asked_long_before_a_deadlock_is_not_kept_back_for_it(pair, scratch):
    """What the slow statement reads changes while it runs, and before the one that will be ended asks."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot, source, copied; CREATE TABLE hot (id int PRIMARY KEY, n int);"
                       "INSERT INTO hot VALUES (1, 1), (2, 1); CREATE TABLE source (n int); CREATE TABLE copied (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as slow, \
            Speaker(proxy.port) as one, Speaker(proxy.port) as other:
        slow.send(query("INSERT INTO copied SELECT count(*) FROM source, pg_sleep(3)"))
        await_condition(lambda: pair.production.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1, "the slow one to run")
        for sql in ("SELECT pg_sleep(0.5)", "INSERT INTO source VALUES (1)"):
            one.send(query(sql))
            one.read_until("Z")
        for session, row in ((one, 1), (other, 2)):
            session.send(query(f"BEGIN; UPDATE hot SET n = n + 1 WHERE id = {row}"))
            session.read_until("Z")
        for session, row in ((one, 2), (other, 1)):
            session.send(query(f"UPDATE hot SET n = n + 1 WHERE id = {row}"))
        for session in (one, other):
            session.read_until("Z")
            session.send(query("COMMIT"))
            session.read_until("Z")
        slow.read_until("Z")
        for session in (slow, one, other):
            session.close()
    replay_whole(scratch / "recording", pair.uri)
    pair.assert_same("hot", "copied")


def test_a_lock_queue_that_formed_the_other_way_round_is_resolved_and_counted(pair, scratch):
    """B asked first but dawdled in production, so A got the lock. On the target A dawdles instead: it waits for B, whose
    COMMIT waits for A's answer."""
    for server, dawdler in ((pair.production, "b"), (pair.target, "a")):
        server.execute("CREATE TABLE contended (id int, n int); INSERT INTO contended VALUES (1, 1), (2, 2);"
                       f"CREATE TABLE dawdles (who text, s float); INSERT INTO dawdles VALUES ('{dawdler}', 0.5);"
                       "CREATE FUNCTION change(text, int) RETURNS void LANGUAGE sql AS 'UPDATE contended SET n = n + $2"
                       " WHERE id = (SELECT count(pg_sleep(s)) - count(*) + 1 FROM dawdles WHERE who = $1)'")

    def update(who, by):  # out of sight: of a statement that is seen to lock, the order of the answers is kept
        return query(f"SELECT change('{who}', {by})")

    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as a, Speaker(proxy.port) as b:
        for session in (a, b):
            session.send(query("BEGIN"))
            session.read_until("Z")
        b.send(update("b", 10))
        await_condition(lambda: pair.production.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1, "B to dawdle")
        a.send(update("a", 100))
        a.read_until("Z")
        a.send(query("UPDATE contended SET n = n + 100 WHERE id = 2"))
        a.read_until("Z")
        await_condition(lambda: pair.production.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1, "B to wait for A")
        a.send(query("COMMIT"))
        a.read_until("Z")
        b.read_until("Z")
        b.send(query("COMMIT"))
        b.read_until("Z")
        for session in (a, b):
            session.close()
    summary = replay_whole(scratch / "recording", pair.uri)
    assert summary["rescues"] == 1
    assert pair.assert_same("contended") == [(1, 111), (2, 102)]
    # An ordinary user is not told who waits for what; the replay finds out all the same.
    pair.target.execute("CREATE ROLE ordinary LOGIN; UPDATE contended SET n = id")
    summary = replay_whole(scratch / "recording", pair.uri.replace("postgres@", "ordinary@"))
    assert summary["rescues"] == 1
    pair.assert_same("contended")


def test_a_holder_of_a_lock_that_only_waits_for_its_time_is_not_let_through(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot; CREATE TABLE hot (id int PRIMARY KEY, n int);"
                       "INSERT INTO hot VALUES (1, 1), (2, 1)")
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as holder, Speaker(proxy.port) as waiter, Speaker(proxy.port) as other:
        for sql in ("BEGIN", "UPDATE hot SET n = n + 1 WHERE id = 1"):
            holder.send(query(sql))
            holder.read_until("Z")
        waiter.send(query("UPDATE hot SET n = n * 3 WHERE id = 1"))
        await_condition(lambda: pair.production.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1, "the lock to be waited for")
        pair.production.execute("SELECT pg_sleep(0.4)")
        other.send(query("UPDATE hot SET n = n + 7 WHERE id = 2"))
        other.read_until("Z")
        for sql in ("UPDATE hot SET n = n * 2 WHERE id = 2", "COMMIT"):
            holder.send(query(sql))
            holder.read_until("Z")
        waiter.read_until("Z")
        for session in (holder, waiter, other):
            session.close()
    summary = replay_whole(scratch / "recording", pair.uri, "--speed", "1")
    assert summary["rescues"] == 0
    assert pair.assert_same("hot") == [(1, 6), (2, 16)]


@pytest.mark.parametrize("ended", ("its server", "its client", "the proxy"))
def test_what_was_never_answered_does_not_stop_the_replay(pair, scratch, make_proxy, ended):
    """An UPDATE that waits for a lock when it ends; others write the table later, also some that log in later."""
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE IF NOT EXISTS unanswered (id int PRIMARY KEY, n int); TRUNCATE unanswered;"
                       "INSERT INTO unanswered VALUES (1, 0), (2, 0)")
    stuck_update = "UPDATE unanswered SET n = 1 WHERE id = 1"
    waiting = f"FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = '{stuck_update}'"
    proxy = make_proxy(pair.production.tcp, record=scratch / "recording")
    with pair.production.connect(autocommit=False) as holder, Speaker(proxy.port) as stuck, Speaker(proxy.port) as other:
        holder.execute("SELECT FROM unanswered WHERE id = 1 FOR UPDATE")
        stuck.send(query(stuck_update))
        await_condition(lambda: pair.production.value(f"SELECT count(*) {waiting}") == 1, "the lock to be waited for")
        if ended == "its server":
            pair.production.execute(f"SELECT pg_terminate_backend(pid) {waiting}")
            while stuck.read_message():
                pass
        elif ended == "its client":
            stuck.socket.close()
        other.send(query("SELECT pg_sleep(0)"))
        other.read_until("Z")
        with Speaker(proxy.port) as late:
            for n, client in enumerate((other, late, other, late), 3):
                client.send(query(f"INSERT INTO unanswered VALUES ({n}, 0)"))
                client.read_until("Z")
                client.send(query("UPDATE unanswered SET n = n + 1 WHERE id = 2"))
                client.read_until("Z")
        await_condition(lambda: "(6, 0)" in run_understudy("export", scratch / "recording", "--format", "jsonl").stdout,
                        "the last INSERT to be on disk")
        if ended == "the proxy":
            proxy.kill()
    assert ended == "the proxy" or proxy.stop() == 0
    summary = replay(scratch / "recording", pair.uri, "--speed", "max")
    assert summary["sessions_stuck"] == 0 and summary["rescues"] == 0
    pair.assert_same("SELECT * FROM unanswered WHERE id > 1")


@pytest.mark.parametrize("order", ("session", "causal"))
def test_hot_rows_under_load_do_not_stop_the_replay(pair, scratch, order):
    """pgbench at scale 1: every transaction of eight clients updates the one branch."""
    pgbench(pair.production.port, "-i", "-q")
    pgbench(pair.target.port, "-i", "-q")
    with recorded(pair.production, scratch / "recording") as proxy:
        pgbench(proxy.port, "-n", "-c", 8, "-t", scaled(200, least=30), "-b", "tpcb-like@1", "-b", "select-only@1")
    replay_whole(scratch / "recording", pair.uri, "--order", order)
    pair.assert_same("pgbench_branches", "pgbench_tellers", "pgbench_accounts")


@pytest.mark.parametrize("order, workers", (("session", 1), ("session", 3), ("time", 3), ("causal", 3)))
def test_a_connection_for_each_transaction(pair, scratch, order, workers):
    pgbench(pair.production.port, "-i", "-q")
    pgbench(pair.target.port, "-i", "-q")
    transactions = scaled(50, least=10)
    with recorded(pair.production, scratch / "recording") as proxy:
        pgbench(proxy.port, "-n", "-C", "-c", 4, "-t", transactions)
    summary = replay_whole(scratch / "recording", pair.uri, "--order", order, "--workers", workers,
                           "--speed", "100" if order == "time" else "max")
    assert summary["sessions"] == 4 * transactions + 1
    pair.assert_same("pgbench_branches", "pgbench_tellers", "pgbench_accounts")


def test_in_order_time_requests_go_when_they_are_due_whatever_was_answered(pair, scratch):
    """Not later, although another session has no answer yet; not sooner, although one has its answer already."""
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE due (at timestamptz); CREATE TABLE answered (meanwhile boolean)")
    pair.production.execute("CREATE FUNCTION work() RETURNS void AS $$ INSERT INTO answered SELECT EXISTS (SELECT FROM due) $$ LANGUAGE sql;"
                            "CREATE FUNCTION nap() RETURNS void AS $$ SELECT pg_sleep(0.5) $$ LANGUAGE sql")
    pair.target.execute("CREATE FUNCTION work() RETURNS void AS $$ BEGIN FOR i IN 1 .. 3000 LOOP"
                        " EXIT WHEN EXISTS (SELECT FROM due); PERFORM pg_sleep(0.01); END LOOP;"
                        " INSERT INTO answered SELECT EXISTS (SELECT FROM due); END $$ LANGUAGE plpgsql;"
                        "CREATE FUNCTION nap() RETURNS void AS '' LANGUAGE sql")
    with recorded(pair.production, scratch / "recording") as proxy, \
            proxy.connect() as worker, proxy.connect() as sleeper, proxy.connect() as other:
        worker.execute("SELECT work()")
        sleeper.execute("SELECT nap()")
        other.execute("INSERT INTO due VALUES (clock_timestamp())")
    began = time.time()
    replay_whole(scratch / "recording", pair.uri, "--order", "time", "--speed", 1)
    assert pair.production.value("SELECT meanwhile FROM answered") is False
    assert pair.target.value("SELECT meanwhile FROM answered") is True
    assert pair.target.value("SELECT extract(epoch FROM at)::float8 FROM due") - began >= 0.5


def test_who_waits_for_the_lock_of_another_threads_session_does_not_wait_for_a_stranger(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE held (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as holder, Speaker(proxy.port) as waiter:
        holder.send(query("BEGIN; LOCK TABLE held"))
        holder.read_until("Z")
        waiter.send(query("INSERT INTO held VALUES (1)"))
        await_condition(lambda: pair.production.value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1, "one to wait for the other")
        holder.send(query("SELECT pg_sleep(1.5); COMMIT"))
        holder.read_until("Z")
        waiter.read_until("Z")
        for session in (holder, waiter):
            session.close()
    summary = replay_whole(scratch / "recording", pair.uri, "--order", "session", "--workers", 2,
                           "--stall-timeout", "300ms")
    assert summary["lock_waits_ended"] == 0
    pair.assert_same("held")


@pytest.fixture(scope="module")
def leisurely(pair):
    """A recording of two sessions that take their time: some three seconds."""
    from processes import make_directory, remove_directory
    import pathlib
    directory = make_directory("leisurely")
    pair.production.execute("CREATE TABLE leisure (n int)")
    pair.target.execute("CREATE TABLE leisure (n int)")
    with recorded(pair.production, pathlib.Path(directory)) as proxy, proxy.connect() as first:
        for n in range(10):
            pair.production.execute("SELECT pg_sleep(0.3)")
            first.execute("INSERT INTO leisure VALUES (%s)", [n])
            if n == 5:
                with proxy.connect() as second:
                    second.execute("INSERT INTO leisure VALUES (100)")
    yield pathlib.Path(directory)
    remove_directory(directory)


@pytest.mark.parametrize("order", ("session", "time", "causal"))
@pytest.mark.parametrize("speed", ("1", "4"))
def test_a_paced_replay_takes_the_recorded_time(pair, leisurely, order, speed):
    pair.target.execute("TRUNCATE leisure")
    summary = replay_whole(leisurely, pair.uri, "--order", order, "--speed", speed)
    assert summary["recorded_span_ns"] >= 3 * SECOND
    # The last that is played is not quite the last that was recorded: a server's end of file.
    assert summary["wall_time_ns"] >= 0.9 * summary["recorded_span_ns"] / int(speed)
    assert speed == "1" or summary["wall_time_ns"] < 0.9 * summary["recorded_span_ns"]
    assert summary["server_slower"]["max_ns"] >= summary["server_slower"]["p50_ns"] >= 0
    assert summary["replayer_late"]["max_ns"] >= summary["replayer_late"]["p50_ns"] > 0
    pair.assert_same("leisure")


@pytest.mark.parametrize("order", ("session", "causal"))
def test_an_unpaced_replay_does_not_wait_for_the_recorded_time(pair, leisurely, order):
    pair.target.execute("TRUNCATE leisure")
    summary = replay_whole(leisurely, pair.uri, "--order", order, "--speed", "max")
    assert summary["wall_time_ns"] < summary["recorded_span_ns"]
    assert "server_slower" not in summary
    pair.assert_same("leisure")


def test_only_sessions_within_from_and_until(pair, leisurely):
    pair.target.execute("TRUNCATE leisure")
    summary = replay(leisurely, pair.uri, "--speed", "max", "--from", "1s")
    assert (summary["sessions"], summary["sessions_skipped"]) == (1, 1)
    assert pair.target.value("SELECT array_agg(n) FROM leisure") == [100]
    summary = replay(leisurely, pair.uri, "--speed", "max", "--until", "1s")
    assert (summary["sessions"], summary["sessions_skipped"]) == (1, 1)
    assert pair.target.value("SELECT count(*) FROM leisure") == 11


def test_a_server_that_is_slower_is_told_from_a_replay_that_is_late(pair, scratch):
    """A trigger makes every statement of the target take longer than the recorded client's pauses."""
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE delayed (n int)")
    pair.target.execute("CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
                        " 'BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END';"
                        "CREATE TRIGGER dawdle BEFORE INSERT ON delayed FOR EACH ROW EXECUTE FUNCTION dawdle()")
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        for n in range(10):
            connection.execute("INSERT INTO delayed VALUES (%s)", [n])
    summary = replay_whole(scratch / "recording", pair.uri, "--speed", "1")
    assert summary["server_slower"]["max_ns"] > SECOND
    assert summary["server_slower"]["max_ns"] > summary["replayer_late"]["max_ns"]
    pair.assert_same("delayed")


def pgbench(port, *arguments):
    subprocess.run([str(BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", *map(str, arguments),
                    "postgres"], check=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL,
                   env={**os.environ, "PGSSLMODE": "disable"})
