"""When the target goes another way than the recorded server, does the session find its place again, go on, and is it
counted? And does nobody else notice?"""

import json
import signal
import threading

import psycopg
import pytest

from postgres_server import Server
from replaying import (COPY_DONE, FLUSH, SYNC, Pair, Speaker, bind, copy_data, execute, parse, query, recorded, replay,
                       statement)
from understudy_process import run_understudy
from waiting import await_condition

ORDERS = ("session", "causal")


@pytest.fixture
def differing(pair):
    """differing(production_sql, target_sql): the pair, in a fresh schema made so."""

    def make(production_sql, target_sql):
        for server, sql in ((pair.production, production_sql), (pair.target, target_sql)):
            server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE reached (n int);" + sql)
        return pair

    return make


def counts(summary):
    """The counts of divergence that are not zero."""
    names = ("unstuck", "errors_new", "errors_gone", "transaction_state_differs", "sessions_ended_early",
             "sessions_stuck", "sessions_failed")
    return {name: summary[name] for name in names if summary[name]}


def reached(server):
    return server.value("SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM reached")


@pytest.mark.parametrize("order", ORDERS)
def test_an_error_where_a_copy_took_data(differing, scratch, order):
    pair = differing("CREATE TABLE t (n int)", "")
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection, connection.cursor() as cursor:
            with cursor.copy("COPY t FROM STDIN") as copy:
                for n in range(1000):
                    copy.write(f"{n}\n")
            cursor.execute("INSERT INTO reached VALUES (1)")
        with Speaker(proxy.port) as client:  # as JDBC: one Sync before the data, one after
            client.send(parse("COPY t FROM STDIN"), bind(), execute(), SYNC)
            client.read_until("G")
            client.send(copy_data(b"1\n"))
            client.send(COPY_DONE, SYNC)
            client.read_until("Z")
            client.send(statement("INSERT INTO reached VALUES (2)"), SYNC)
            client.read_until("Z")
            client.close()
        with Speaker(proxy.port) as client:  # in a pipeline that goes on at once
            client.send(parse("COPY t FROM STDIN"), bind(), execute(), FLUSH)
            client.read_until("G")
            client.send(copy_data(b"1\n"), COPY_DONE, SYNC, statement("INSERT INTO reached VALUES (3)"), SYNC)
            client.read_until("Z", 2)
            client.close()
    assert counts(replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")) == {"errors_new": 3}
    assert reached(pair.target) == [1, 2, 3]


@pytest.mark.parametrize("order", ORDERS)
def test_a_copy_that_takes_data_where_there_was_an_error(differing, scratch, order):
    """The target waits for data that the recorded client never sent."""
    pair = differing("", "CREATE TABLE t (n int)")
    with recorded(pair.production, scratch / "recording") as proxy:
        with Speaker(proxy.port) as client:
            client.send(query("COPY t FROM STDIN"))
            assert client.read_until("Z") == "EZ"
            client.send(query("INSERT INTO reached VALUES (1)"))
            client.read_until("Z")
            client.close()
        for sync_first in (True, False):
            with Speaker(proxy.port) as client:
                client.send(parse("COPY t FROM STDIN"), bind(), execute(), SYNC if sync_first else FLUSH)
                client.read_until("E")
                if not sync_first:
                    client.send(SYNC)
                client.read_until("Z")
                client.send(statement("INSERT INTO reached VALUES (2)"), SYNC)
                client.read_until("Z")
                client.close()
    # In extended protocol it takes two things to end it: CopyFail, and then the Sync that COPY has swallowed.
    assert counts(replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")) == {"unstuck": 5}
    assert reached(pair.target) == [1, 2, 2]
    assert pair.target.value("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("order", ORDERS)
def test_another_transaction_state(differing, scratch, order):
    pair = differing("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE t (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as client:
        for sql in ("BEGIN", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "INSERT INTO reached VALUES (1)",
                    "COMMIT", "INSERT INTO reached VALUES (2)"):
            client.send(query(sql))
            client.read_until("Z")
        client.close()
    summary = replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")
    assert counts(summary) == {"errors_gone": 2, "transaction_state_differs": 2}
    assert (reached(pair.production), reached(pair.target)) == ([2], [1, 2])


@pytest.mark.parametrize("order", ORDERS)
def test_an_error_more_in_a_pipeline(differing, scratch, order):
    pair = differing("CREATE TABLE t (n int)", "CREATE TABLE t (n int CHECK (n <> 5))")
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            with connection.pipeline() as pipeline:
                for n in range(10):
                    connection.execute("INSERT INTO t VALUES (%s)", [n], prepare=False)
                    connection.execute("INSERT INTO reached VALUES (%s)", [n], prepare=False)
                    pipeline.sync()
            connection.execute("INSERT INTO reached VALUES (100)")
        with Speaker(proxy.port) as client:  # asks for answers by Flush; after the error none come until the Sync
            for n in (5, 6):
                client.send(statement("INSERT INTO t VALUES ($1)", str(n)), FLUSH)
                client.read_until("C")
            client.send(SYNC)
            client.read_until("Z")
            client.send(query("INSERT INTO reached VALUES (101)"))
            client.read_until("Z")
            client.close()
    summary = replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")
    assert counts(summary) == {"errors_new": 2}
    assert reached(pair.target) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 100, 101]


@pytest.mark.parametrize("order", ORDERS)
def test_an_error_less_in_a_pipeline(differing, scratch, order):
    pair = differing("CREATE TABLE t (n int CHECK (n <> 5))", "CREATE TABLE t (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as client:
        client.send(*(statement("INSERT INTO t VALUES ($1)", str(n)) for n in (4, 5, 6)), SYNC,
                    statement("INSERT INTO reached VALUES (1)"), SYNC)
        client.read_until("Z", 2)
        client.close()
    assert counts(replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")) == {"errors_gone": 1}
    assert (reached(pair.target), pair.target.value("SELECT count(*) FROM t")) == ([1], 3)


@pytest.mark.parametrize("order", ORDERS)
def test_more_rows_fewer_rows_and_portals_that_end_elsewhere(differing, scratch, order):
    pair = differing("CREATE TABLE t AS SELECT generate_series(1, 100) n", "CREATE TABLE t AS SELECT generate_series(1, 15) n")
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as client:
        client.send(query("SELECT * FROM t"))
        client.read_until("Z")
        client.send(query("BEGIN"))
        client.read_until("Z")
        client.send(parse("SELECT * FROM t"), bind(portal="p"), execute(10, "p"), FLUSH)
        client.read_until("s")
        for _ in range(3):
            client.send(execute(10, "p"), FLUSH)
            client.read_until("s")
        client.send(SYNC)
        client.read_until("Z")
        client.send(query("COMMIT"))
        client.read_until("Z")
        client.send(query("INSERT INTO reached VALUES (1)"))
        client.read_until("Z")
        client.close()
    assert counts(replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max")) == {}
    assert reached(pair.target) == [1]


@pytest.mark.parametrize("order", ORDERS)
def test_a_session_that_the_target_ends_is_counted_and_the_others_go_on(differing, scratch, order):
    die = "CREATE FUNCTION die() RETURNS int LANGUAGE plpgsql AS 'BEGIN {} RETURN 1; END'"
    pair = differing(die.format(""), die.format("PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60);"))
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as doomed, proxy.connect() as other:
            doomed.execute("INSERT INTO reached VALUES (1)")
            other.execute("INSERT INTO reached VALUES (2)")
            doomed.execute("SELECT die()")
            other.execute("INSERT INTO reached VALUES (3)")
            doomed.execute("INSERT INTO reached VALUES (4)")
            other.execute("INSERT INTO reached VALUES (5)")
        with proxy.connect() as last_words:  # had nothing more to do but to leave
            last_words.execute("SELECT die()")
    summary = replay(scratch / "recording", pair.uri, "--order", order, "--speed", "max", status=3)
    assert counts(summary) == {"sessions_ended_early": 2}
    assert (summary["sessions"], reached(pair.target)) == (3, [1, 2, 3, 5])


def replay_to_a_target_that_goes_away(pair, scratch, sessions, *options, after):
    """A replay whose target is killed once it holds more than `after` of the sessions' rows."""
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE reached (n int)")
    with recorded(pair.production, scratch / "recording") as proxy:
        for n in range(sessions):
            with proxy.connect() as connection:
                connection.execute("INSERT INTO reached VALUES (%s)", [n])
            pair.production.execute("SELECT pg_sleep(0.1)")
    results = []
    replaying = threading.Thread(target=lambda: results.append(
        run_understudy("replay", scratch / "recording", "--to", pair.uri, "--json", *options)))
    replaying.start()
    await_condition(lambda: pair.target.value("SELECT count(*) FROM reached") > after, "the replay to have begun")
    pair.target.stop(signal.SIGQUIT)
    replaying.join(60)
    [result] = results
    return result, json.loads(result.stdout)


@pytest.fixture
def own_pair(template):
    """Servers that a test may kill."""
    with Server(template, name="prod") as production, Server(template, name="target") as target:
        yield Pair(production.start(), target.start())


@pytest.mark.parametrize("order", ("session", "time", "causal"))
def test_a_target_that_goes_away_ends_the_replay_and_not_by_a_hang(own_pair, scratch, order):
    result, summary = replay_to_a_target_that_goes_away(own_pair, scratch, 20, "--order", order, after=3)
    assert result.returncode == 3, result.stdout + result.stderr
    assert summary["sessions"] == 20
    assert summary["sessions_failed"] > 0
    assert any("08001" in error for error in summary["login_errors"])
    assert "did not reach the target" in result.stderr


def test_a_target_that_is_gone_for_long_ends_the_replay_early_and_its_recording_is_whole(own_pair, scratch):
    result, summary = replay_to_a_target_that_goes_away(own_pair, scratch, 30, "--target-timeout", "1ms", "--record",
                                                        scratch / "replayed", after=0)
    assert result.returncode == 1, result.stdout + result.stderr
    assert 0 < summary["sessions"] < 30 and 0 < summary["played_span_ns"] < summary["recorded_span_ns"]
    assert f"the target {own_pair.target.tcp} is gone: " in result.stderr, result.stderr
    assert "--target-timeout 0" in result.stderr and summary["failure"] in result.stderr
    assert run_understudy("verify", scratch / "replayed").returncode == 0
    # Now it is not there at the beginning.
    result = run_understudy("replay", scratch / "recording", "--to", own_pair.uri, "--record", scratch / "again")
    assert result.returncode == 1 and result.stdout == "" and not (scratch / "again").exists()
    assert "cannot connect to the target" in result.stderr and "refused" in result.stderr


def test_a_session_that_waits_for_an_answer_that_will_not_come_is_ended(differing, scratch):
    """On the target the first statement of a pipeline takes all that follows for the data of its COPY."""
    pair = differing("CREATE VIEW t AS SELECT 1 AS n", "CREATE TABLE t (n int)")
    with recorded(pair.production, scratch / "recording") as proxy:
        with Speaker(proxy.port) as client:
            client.send(query("COPY t FROM STDIN"), query("INSERT INTO reached VALUES (1)"))
            client.read_until("Z", 2)
            client.close()
        with proxy.connect() as other:
            other.execute("INSERT INTO reached VALUES (2)")
    summary = replay(scratch / "recording", pair.uri, "--speed", "max", "--stall-timeout", "1s", status=3)
    assert summary["sessions_ended_early"] + summary["sessions_stuck"] == 1
    assert reached(pair.target) == [2]


def test_deadlocks_the_target_sees_and_production_did_not_are_counted_as_errors(differing, scratch):
    """Two transactions that wait for each other on the target only: its own deadlock detector ends it."""
    trigger = ("CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
               " 'BEGIN {} RETURN NEW; END'; CREATE TRIGGER f BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();"
               "CREATE TRIGGER f BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION f();")
    pair = differing(trigger.format(""), trigger.format("PERFORM pg_advisory_xact_lock(1);"))
    with recorded(pair.production, scratch / "recording") as proxy, \
            Speaker(proxy.port) as one, Speaker(proxy.port) as two:
        for sql, client in (("BEGIN", one), ("BEGIN", two), ("INSERT INTO a VALUES (1)", one),
                            ("INSERT INTO b VALUES (1)", two), ("COMMIT", one), ("COMMIT", two)):
            client.send(query(sql))
            client.read_until("Z")
        for client in (one, two):
            client.close()
    # One waits in the target for the other, which waits at our gate: let through.
    summary = replay(scratch / "recording", pair.uri, "--speed", "max")
    assert summary["rescues"] == 1 and counts(summary) == {}
    with pytest.raises(psycopg.Error):
        pair.target.execute("SELECT * FROM no_such_table")
    assert pair.target.value("SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)") == 2
