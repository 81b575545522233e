"""A statement that ran beside another session's COMMIT did not see what that made visible: does a replay, which may be
faster than production was, keep it so?"""

import select

import pytest

from replaying import Speaker, bind, execute, message, parse, query, recorded, replay_whole
from understudy_process import run_understudy
from waiting import await_condition

ROUNDS = 3
WAITS_FOR_A_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def ask(session, sql):
    session.send(query(sql))
    session.read_until("Z")


def prepare(pair):
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS hot, seen, found; CREATE TABLE hot (id int PRIMARY KEY, n int);"
                       "INSERT INTO hot VALUES (1, 0), (2, 0); CREATE TABLE seen (n int); CREATE TABLE found (n int)")


def replay_same(pair, scratch):
    summary = replay_whole(scratch / "recording", pair.uri, "--record", scratch / "replay")
    assert summary["rescues"] == 0
    compared = run_understudy("diff", scratch / "recording", scratch / "replay")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("holder, waiter", (
    ("INSERT INTO seen VALUES ({n}); UPDATE hot SET n = n + 1 WHERE id = 1",
     "UPDATE hot SET n = (SELECT count(*) FROM seen) * 1000 WHERE id = 1"),
    ("DELETE FROM hot WHERE id = 1; INSERT INTO hot VALUES (1, {n})", "DELETE FROM hot WHERE id = 1 RETURNING n"),
    ("UPDATE hot SET n = -{n} - 1 WHERE id = 2; UPDATE hot SET n = n + 1 WHERE id = 1",
     "UPDATE hot SET n = 0 WHERE id = 1 OR n = -{n} - 1"),
    ("INSERT INTO seen VALUES ({n}); SELECT FROM hot WHERE id = 1 FOR UPDATE",
     "INSERT INTO seen SELECT count(*) FROM seen, (SELECT FROM hot WHERE id = 1 FOR UPDATE) AS locked")),
    ids=("subselect", "replaced row", "rows that qualify", "for update"))
def test_who_waited_for_the_commit_saw_what_was_before_it(pair, scratch, holder, waiter):
    prepare(pair)
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as first, Speaker(proxy.port) as second:
        for n in range(ROUNDS):
            ask(first, "BEGIN")
            for sql in holder.format(n=n).split("; "):
                ask(first, sql)
            second.send(query(waiter.format(n=n)))
            await_condition(lambda: pair.production.value(WAITS_FOR_A_LOCK) == 1, "the lock to be waited for")
            ask(first, "COMMIT")
            second.read_until("Z")
        first.close()
        second.close()
    replay_same(pair, scratch)
    pair.assert_same("hot", "seen")


SLOW = "(SELECT count(*) FROM generate_series(1, 500000) AS a WHERE md5(a::text) = '') = 0"


@pytest.mark.parametrize("slow, quick", (
    (f"UPDATE hot SET n = n + 1 WHERE n < 50 AND {SLOW}", "INSERT INTO hot VALUES ({n} + 10, 1)"),
    (f"DELETE FROM hot WHERE n = 7 AND {SLOW}", "INSERT INTO hot VALUES ({n} + 10, 7)"),
    (f"UPDATE hot SET n = n + 1 WHERE n > 50 AND {SLOW}", "UPDATE hot SET n = 60 WHERE id = 2"),
    (f"UPDATE hot SET n = (SELECT count(*) FROM hot) WHERE id = 1 AND {SLOW}", "INSERT INTO hot VALUES ({n} + 10, 1)"),
    (f"SELECT n FROM hot WHERE {SLOW} FOR UPDATE", "INSERT INTO hot VALUES ({n} + 10, 1)")),
    ids=("update", "delete", "rows that qualify", "subselect", "for update"))
def test_a_long_write_does_not_see_what_was_written_while_it_ran(pair, scratch, slow, quick):
    """Both are of one table, and the quick one is answered first."""
    prepare(pair)
    running = f"SELECT count(*) FROM pg_stat_activity WHERE query = $${slow}$$ AND backend_xmin IS NOT NULL"
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as long, Speaker(proxy.port) as short:
        for n in range(ROUNDS):
            long.send(query(slow))
            await_condition(lambda: pair.production.value(running) == 1, "the long one to run")
            ask(short, quick.format(n=n))
            long.read_until("Z")
            ask(short, "UPDATE hot SET n = 1 WHERE id = 2")
        long.close()
        short.close()
    replay_same(pair, scratch)
    pair.assert_same("hot")


def test_a_pipeline_in_pieces_and_those_beside_it_do_not_wait_for_each_other(pair, scratch):
    """Its first piece wants a table that is written by one that waits for a COMMIT, which waits for its second piece."""
    prepare(pair)
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as pipeline, \
            Speaker(proxy.port) as committer, Speaker(proxy.port) as reader:
        for n in range(ROUNDS):
            ask(committer, "BEGIN")
            ask(committer, f"INSERT INTO seen VALUES ({n})")
            for sql in ("UPDATE hot SET n = n + 1 WHERE id = 2", "INSERT INTO found SELECT count(*) FROM seen"):
                pipeline.send(parse(sql) + bind() + execute() + message("H"))
                pipeline.read_until("C")
            ask(committer, "COMMIT")
            ask(reader, f"INSERT INTO hot SELECT {n} + 10, count(*) FROM seen")
            pipeline.send(message("S"))
            pipeline.read_until("Z")
        for session in (pipeline, committer, reader):
            session.close()
    replay_same(pair, scratch)
    pair.assert_same("hot", "found")


def test_who_holds_a_lock_and_waits_for_one_whose_statement_takes_its_time_is_not_let_through(pair, scratch):
    prepare(pair)
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as holder, \
            Speaker(proxy.port) as waiter, Speaker(proxy.port) as reporter, Speaker(proxy.port) as committer:
        for n in range(ROUNDS):
            ask(committer, "BEGIN")
            ask(committer, f"INSERT INTO seen VALUES ({n})")
            ask(holder, "BEGIN")
            ask(holder, "UPDATE hot SET n = n + 1 WHERE id = 1")
            waiter.send(query("UPDATE hot SET n = n * 2 WHERE id = 1"))
            await_condition(lambda: pair.production.value(WAITS_FOR_A_LOCK) == 1, "the lock to be waited for")
            ask(reporter, f"SELECT count(*) FROM seen WHERE {SLOW}")
            ask(committer, "COMMIT")
            ask(holder, "INSERT INTO found SELECT count(*) FROM seen")
            ask(holder, "COMMIT")
            waiter.read_until("Z")
        for session in (holder, waiter, reporter, committer):
            session.close()
    replay_same(pair, scratch)
    assert pair.assert_same("found") == [(n + 1,) for n in range(ROUNDS)]


@pytest.mark.parametrize("in_transaction", (False, True), ids=("autocommit", "transaction"))
def test_a_report_does_not_see_what_was_written_while_it_ran(pair, scratch, in_transaction):
    prepare(pair)
    report = f"INSERT INTO found SELECT count(*) FROM seen WHERE {SLOW}"
    running = f"SELECT count(*) FROM pg_stat_activity WHERE query = $${report}$$ AND backend_xmin IS NOT NULL"
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as reporter, Speaker(proxy.port) as writer:
        for n in range(ROUNDS):
            reporter.send(query(report))
            await_condition(lambda: pair.production.value(running) == 1, "the report to run")
            for sql in ("BEGIN", "INSERT", "COMMIT") if in_transaction else ("INSERT",):
                ask(writer, f"INSERT INTO seen VALUES ({n})" if sql == "INSERT" else sql)
            reporter.read_until("Z")
        reporter.close()
        writer.close()
    replay_same(pair, scratch)
    assert pair.assert_same("found") == [(n,) for n in range(ROUNDS)]


@pytest.mark.parametrize("statement", (
    "UPDATE hot SET n = {n} WHERE id = (SELECT min(id) FROM hot WHERE n = 0) AND n = 0 RETURNING id",
    "DELETE FROM hot WHERE id = (SELECT min(id) FROM hot)"), ids=("take the next", "take it away"))
def test_those_that_wait_in_a_row_all_saw_what_was_before_the_first_commit(pair, scratch, statement):
    """Workers that each look for the next job, and all find the same."""
    prepare(pair)
    for server in (pair.production, pair.target):
        server.execute("INSERT INTO hot SELECT i, 0 FROM generate_series(3, 40) AS i")
    with recorded(pair.production, scratch / "recording") as proxy:
        workers = [Speaker(proxy.port) for _ in range(5)]
        for n in range(ROUNDS):
            for waiting, worker in enumerate(workers):
                if waiting == 0:
                    ask(worker, "BEGIN")
                worker.send(query(statement.format(n=1 + n * len(workers) + waiting)))
                if waiting == 0:
                    worker.read_until("Z")
                await_condition(lambda: pair.production.value(WAITS_FOR_A_LOCK) == waiting, "the lock to be waited for")
            ask(workers[0], "COMMIT")
            waiters = {worker.socket: worker for worker in workers[1:]}
            while waiters:  # whom the server lets go on next
                for answered in select.select(list(waiters), [], [], 60)[0]:
                    waiters.pop(answered).read_until("Z")
            workers.append(workers.pop(0))
        for worker in workers:
            worker.close()
    replay_same(pair, scratch)
    pair.assert_same("hot")


def test_who_closes_the_circle_of_a_deadlock_does_not_wait_for_one_that_is_in_it(pair, scratch):
    """Its last request was answered after that of a third session, which waits for the one that the deadlock ended."""
    prepare(pair)
    for server in (pair.production, pair.target):
        server.execute("INSERT INTO hot VALUES (3, 0)")
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as closer, \
            Speaker(proxy.port) as victim, Speaker(proxy.port) as third, Speaker(proxy.port) as committer:
        for n in range(ROUNDS):
            ask(committer, "BEGIN")
            ask(committer, f"INSERT INTO seen VALUES ({n})")
            ask(closer, "BEGIN")
            ask(closer, "UPDATE hot SET n = n + 1 WHERE id = 2")
            ask(victim, "BEGIN")
            ask(victim, "UPDATE hot SET n = n + 10 WHERE id = 1")
            victim.send(query("UPDATE hot SET n = n + 10 WHERE id = 2"))
            await_condition(lambda: pair.production.value(WAITS_FOR_A_LOCK) == 1, "the victim to wait")
            third.send(query("UPDATE hot SET n = n + (SELECT count(*) FROM seen) WHERE id = 1"))
            await_condition(lambda: pair.production.value(WAITS_FOR_A_LOCK) == 2, "the third to wait")
            ask(committer, "COMMIT")
            closer.send(query("UPDATE hot SET n = n + 100 WHERE n < 1000000 AND id <> 3"))
            victim.read_until("Z")
            ask(victim, "ROLLBACK")
            for session in (third, closer):
                session.read_until("Z")
            ask(closer, "COMMIT")
        for session in (closer, victim, third, committer):
            session.close()
    replay_same(pair, scratch)
    pair.assert_same("hot")
