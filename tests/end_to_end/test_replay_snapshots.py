"""A statement that ran beside another session's COMMIT did not see what that made visible: does a replay, which may be
faster than production was, keep it so?"""

import pytest

from replaying import Speaker, query, recorded, replay_whole
from understudy_process import run_understudy
from waiting import await_condition

ROUNDS = 5
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


@pytest.mark.parametrize("in_transaction", (False, True), ids=("autocommit", "transaction"))
def test_a_report_does_not_see_what_was_written_while_it_ran(pair, scratch, in_transaction):
    prepare(pair)
    report = ("INSERT INTO found SELECT count(*) + 0 * (SELECT count(*) FROM generate_series(1, 500000) AS a"
              " WHERE md5(a::text) = '') FROM seen")
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
