"""Reads at replicas (mode split): does a session ever see time go back, is anything but a safe read sent there, and do
clients notice when a replica lags, dies, is promoted, or cannot answer?"""

import itertools
import pathlib
import random
import re
import subprocess
import threading

import psycopg
import pytest

from cluster import SETTINGS as SETTINGS_OF_NODES
from cluster import Cluster
from postgres_server import BIN
from raw_session import SYNC, RawSession, bind, describe, error_fields, execute, kinds, parse, pipeline, query
from test_psql import SCRIPT, psql, without_process_ids
from understudy_process import run_understudy
from waiting import await_condition, scaled

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--mode", "split"]
# What a replica is asked stands in its log, with the name of the client's session.
SETTINGS = "log_statement = 'all'\nlog_min_duration_statement = -1\n"


@pytest.fixture(scope="module")
def three(template):
    """A primary and two replicas, behind relays; for all tests of this file."""
    with Cluster(template, synchronous=False, relays="clients", settings=SETTINGS) as servers:
        yield servers


@pytest.fixture
def cluster(three):
    three.restore()
    for node in three.replicas:
        end_delay(node)
    three.primary.execute("DROP TABLE IF EXISTS entry; CREATE TABLE entry (who int, n int, what text)")
    return three


@pytest.fixture
def make_split_proxy(make_proxy):
    def make(backends, *arguments, **options):
        others = [word for address in backends[1:] for word in ("--backend", address)]
        proxy = make_proxy(backends[0], *others, *OPTIONS, *arguments, **options)
        proxy.await_log(r" primary_found .*")
        for address in backends:
            proxy.await_log(rf" backend_up backend={re.escape(address)} ")
        return proxy
    return make


def asked(node, what):
    """How often a server was asked something that has `what` in it, by a client."""
    return sum(1 for line in node.server.log().splitlines()
               if what in line and " harness " not in line and ("statement: " in line or "execute " in line))


def await_reads_at_a_replica(proxy, client, sql="SELECT 1 AS waiting"):
    """Until the session reads at a replica; how many reads that took."""
    count = 0

    def read():
        nonlocal count
        before = proxy.counts()["replica_reads"]
        client.execute(sql).fetchall()
        count += 1
        return proxy.counts()["replica_reads"] > before
    await_condition(read, "a read at a replica")
    return count


def end_delay(node):
    with node.connect() as connection:
        connection.execute("ALTER SYSTEM RESET recovery_min_apply_delay")
        connection.execute("SELECT pg_reload_conf()")


def delay(node, how_long):
    with node.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{how_long}'")
        connection.execute("SELECT pg_reload_conf()")
        await_condition(lambda: connection.execute("SHOW recovery_min_apply_delay").fetchone()[0] == how_long,
                        "the delay to be set")


# ---- Where what goes

def test_safe_reads_go_to_replicas_and_all_else_to_the_primary(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    reads = ["SELECT count(*) FROM entry /*safe*/", "VALUES (1) /*safe*/", "TABLE entry /*safe*/",
             "WITH a AS (SELECT 1 AS b) SELECT * FROM a /*safe*/", "(SELECT 1) UNION (SELECT 2) /*safe*/",
             "COPY (SELECT 1) TO STDOUT /*safe*/", "SELECT relname FROM pg_class WHERE oid = 1259 /*safe*/",
             "SELECT last_value(n) OVER (ORDER BY n) FROM entry /*safe*/", "SELECT now() /*safe*/"]
    others = ["INSERT INTO entry VALUES (1, 1, 'unsafe')", "UPDATE entry SET n = 2 /*unsafe*/",
              "DELETE FROM entry /*unsafe*/", "TRUNCATE entry /*unsafe*/",
              "WITH a AS (INSERT INTO entry VALUES (1) RETURNING n) SELECT * FROM a /*unsafe*/",
              "SELECT * FROM entry FOR UPDATE /*unsafe*/", "SELECT * FROM entry FOR KEY SHARE /*unsafe*/",
              "SELECT n INTO TEMP gone FROM entry /*unsafe*/", "DISCARD ALL /*unsafe*/",
              "SELECT nextval('unsafe')", "SELECT setval('unsafe', 3)", "SELECT last_value FROM unsafe",
              "SELECT random() /*unsafe*/", "SELECT clock_timestamp() /*unsafe*/", "SELECT txid_current() /*unsafe*/",
              "SELECT pg_notify('a', 'unsafe')", "NOTIFY a, 'unsafe'", "SELECT inet_server_port() /*unsafe*/",
              "SELECT pg_backend_pid() /*unsafe*/", "SELECT pg_is_in_recovery() /*unsafe*/",
              "SELECT * FROM pg_stat_activity /*unsafe*/", "SELECT * FROM pg_settings /*unsafe*/",
              "SHOW transaction_read_only /*unsafe*/", "SELECT current_setting('port') /*unsafe*/",
              "SELECT version() /*unsafe*/", "EXPLAIN SELECT 1 /*unsafe*/", "LOCK TABLE entry /*unsafe*/",
              "DO $$BEGIN PERFORM 1; END$$ /*unsafe*/", "DISCARD ALL /*unsafe*/", "CALL nothing() /*unsafe*/",
              "DISCARD ALL /*unsafe*/", "SELECT of_mine() /*unsafe*/", "DISCARD ALL /*unsafe*/",
              "CREATE TABLE unsafe_too (a int)", "DROP TABLE unsafe_too", "VACUUM entry /*unsafe*/",
              "ANALYZE entry /*unsafe*/", "PREPARE unsafe AS SELECT 1", "EXECUTE unsafe", "DEALLOCATE unsafe",
              "LISTEN unsafe", "UNLISTEN unsafe", "BEGIN /*unsafe*/", "SELECT 1 /*unsafe*/", "COMMIT /*unsafe*/",
              "SELECT 1; INSERT INTO entry VALUES (1, 1, 'unsafe')", "SELECT 1; SELECT 2 /*unsafe*/",
              "SET work_mem = '5MB' /*unsafe*/", "RESET work_mem /*unsafe*/", "CHECKPOINT /*unsafe*/",
              "COPY entry TO '/dev/null' /*unsafe*/", "REFRESH MATERIALIZED VIEW unsafe_view",
              "SELECT lo_create(0) /*unsafe*/", "SELECT pg_advisory_xact_lock(1) /*unsafe*/", "/*unsafe*/ SELEC",
              "DISCARD ALL /*unsafe*/"]
    cluster.primary.execute("CREATE SEQUENCE unsafe; CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';"
                            "CREATE FUNCTION of_mine() RETURNS int LANGUAGE sql AS 'SELECT 1';"
                            "CREATE MATERIALIZED VIEW unsafe_view AS SELECT 1")
    try:
        with RawSession(proxy.port) as session:
            for extended in (False, True):
                for sql in [*others, *reads]:
                    if extended and ";" in sql:
                        continue
                    if sql in reads:
                        await_condition(lambda: goes_to_a_replica(proxy, session, sql, extended),
                                        f"{sql} to be answered by a replica")
                    else:
                        goes_to_a_replica(proxy, session, "SELECT 1 AS before", extended)
                        ask(session, sql, extended)
    finally:
        cluster.primary.execute("DROP SEQUENCE unsafe; DROP PROCEDURE nothing; DROP FUNCTION of_mine;"
                                "DROP MATERIALIZED VIEW unsafe_view")
    for node in cluster.replicas:
        assert asked(node, "unsafe") == 0
    for sql in reads:
        assert sum(asked(node, sql) for node in cluster.replicas) >= 2, sql


def ask(session, sql, extended):
    session.send(pipeline(sql) if extended else query(sql))
    return session.until_ready()


def goes_to_a_replica(proxy, session, sql, extended):
    before = proxy.counts()["replica_reads"]
    ask(session, sql, extended)
    return proxy.counts()["replica_reads"] > before


def test_every_function_of_the_server_that_is_not_known_to_be_safe_runs_at_the_primary(cluster, make_split_proxy):
    """All of pg_proc, each form called with its own types: whatever a replica was asked is immutable or stable."""
    proxy = make_split_proxy(cluster.backends)
    with cluster.primary.connect() as direct:
        rows = direct.execute(
            "SELECT oid, proname, provolatile, (SELECT coalesce(string_agg('NULL::' || format_type(type, NULL), ', '"
            " ORDER BY place), '') FROM unnest(proargtypes) WITH ORDINALITY AS a (type, place))"
            " FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace ORDER BY oid").fetchall()
    assert len(rows) > 2500
    for oid, name, _, arguments in rows:
        # Of a session that has seen nothing yet a replica is asked at once, if at all. Asked for, and not called: some
        # would end the session, or the server.
        with RawSession(proxy.port) as session:
            ask(session, f'SELECT pg_catalog."{name}"({arguments}) WHERE false /*function {oid}.*/', False)
    of_which = {node: {int(oid) for oid in re.findall(r"/\*function (\d+)\.\*/", node.server.log())} for node in cluster.nodes}
    at_replicas = set().union(*(of_which[node] for node in cluster.replicas))
    assert at_replicas | of_which[cluster.primary] == {oid for oid, *_ in rows}
    assert [(oid, name) for oid, name, volatile, _ in rows if volatile == "v" and oid in at_replicas] == []
    assert len(at_replicas) > 1000


def test_what_the_classifier_calls_safe_is_stable_on_the_installed_server(cluster):
    text = (pathlib.Path(__file__).resolve().parents[2] / "proxy/safe_functions.inc").read_text(encoding="utf-8")
    names = re.findall(r'"(\w+)"', text)
    assert len(names) > 400
    with cluster.primary.connect() as direct:
        wrong = direct.execute("SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
                               " AND provolatile = 'v' AND proname = ANY(%s)", [names]).fetchall()
    assert wrong == []


# ---- A session never sees time go back

WAYS = ["autocommit", "transaction", "copy", "function", "prepared", "several", "pipeline"]


class Reader(threading.Thread):
    """Writes in every way there is, and reads: its own rows are there, and nobody's vanish again. For so many rounds,
    and until it is `enough`."""

    def __init__(self, port, who, rounds, pause_s, enough):
        super().__init__()
        self.who, self.rounds, self.pause_s, self.enough = who, rounds, pause_s, enough
        self.random = random.Random(f"reader {who}")
        self.connection = psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres",
                                          autocommit=True)
        self.written = 0
        self.seen = 0
        self.failure = None

    def run(self):
        try:
            with self.connection as connection:
                for done in itertools.count():
                    if done >= self.rounds and self.enough.is_set():
                        break
                    self.write(connection, self.random.choice(WAYS))
                    for _ in range(self.random.randrange(1, 6)):
                        self.read(connection)
                        self.wait()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def wait(self):
        if self.random.random() < 0.5:
            threading.Event().wait(self.random.random() * self.pause_s)  # as a client thinks

    def write(self, connection, way):
        self.written += 1
        row = (self.who, self.written)
        if way == "autocommit":
            connection.execute(f"INSERT INTO entry VALUES ({self.who}, {self.written}, 'plain')")
        elif way == "transaction":
            with connection.transaction():
                connection.execute("SELECT count(*) FROM entry")
                connection.execute("INSERT INTO entry VALUES (%s, %s, 'transaction')", row)
        elif way == "copy":
            with connection.cursor().copy("COPY entry FROM STDIN") as copy:
                copy.write_row((*row, "copy"))
        elif way == "function":
            connection.execute("SELECT add_entry(%s, %s)", row)
        elif way == "prepared":
            connection.execute("INSERT INTO entry VALUES (%s, %s, 'prepared')", row, prepare=True)
        elif way == "several":
            connection.execute(f"SELECT 1; INSERT INTO entry VALUES ({self.who}, {self.written}, 'several')")
        else:
            with connection.pipeline():
                connection.execute("INSERT INTO entry VALUES (%s, %s, 'pipeline')", row)

    def read(self, connection):
        own = "SELECT count(*) FILTER (WHERE who = %s), count(*) FROM entry"
        if self.random.random() < 0.5:
            mine, everybodys = connection.execute(own.replace("%s", str(self.who))).fetchone()
        else:
            mine, everybodys = connection.execute(own, [self.who], prepare=self.random.random() < 0.5).fetchone()
        assert mine == self.written, f"{self.who} wrote {self.written} rows and sees {mine}"
        assert everybodys >= self.seen, f"{self.who} saw {self.seen} rows and then {everybodys}"
        self.seen = everybodys


@pytest.mark.parametrize("guard", ["off", "on"])
def test_a_session_reads_what_it_wrote_and_never_sees_time_go_back(cluster, make_split_proxy, guard):
    cluster.primary.execute("CREATE OR REPLACE FUNCTION add_entry(int, int) RETURNS void LANGUAGE sql AS"
                            " 'INSERT INTO entry VALUES ($1, $2, ''function'')'")
    delay(cluster.nodes[2], "50ms")
    proxy = make_split_proxy(cluster.backends, "--split-functions", "trust", "--commit-guard", guard)
    # Some think for longer than the replica lags, and read there again.
    before = [asked(node, "FROM entry") for node in cluster.nodes]
    enough = threading.Event()
    readers = [Reader(proxy.port, who, scaled(80, 10), 0.15 if who % 2 else 0.02, enough) for who in range(6)]
    for reader in readers:
        reader.start()
    try:  # a replica that lags is used when it has caught up with a session: that is for chance to say
        await_condition(lambda: any(reader.failure for reader in readers) or
                        asked(cluster.nodes[1], "FROM entry") > before[1] + len(readers) and
                        asked(cluster.nodes[2], "FROM entry") > before[2],
                        "reads at both replicas, the one that lags too")
    finally:
        enough.set()
        for reader in readers:
            reader.join()
    assert [str(reader.failure) for reader in readers if reader.failure] == []
    for reader in readers:
        assert cluster.primary.value(f"SELECT count(*) FROM entry WHERE who = {reader.who}") == reader.written


def test_only_own_writes_where_that_is_enough(cluster, make_split_proxy):
    """A replica half a minute behind still serves a session that wrote nothing, though it has read at the primary."""
    delay(cluster.nodes[1], "30s")
    delay(cluster.nodes[2], "30s")
    proxy = make_split_proxy(cluster.backends, "--split-consistency", "own-writes", "--max-replica-lag", "0")
    with proxy.connect() as client:
        cluster.primary.execute("INSERT INTO entry VALUES (9, 9, 'of another')")
        assert client.execute("SELECT count(*), random() FROM entry").fetchone()[0] == 1
        await_condition(lambda: client.execute("SELECT count(*) FROM entry").fetchone() == (0,), "a read at a replica")
        client.execute("INSERT INTO entry VALUES (9, 10, 'its own')")
        for _ in range(50):
            assert client.execute("SELECT count(*) FROM entry").fetchone() == (2,)
    for node in cluster.replicas:
        end_delay(node)


# ---- Replicas that are not what they should be

def test_a_replica_too_far_behind_gets_no_reads(cluster, make_split_proxy):
    delay(cluster.nodes[1], "10min")
    delay(cluster.nodes[2], "10min")
    proxy = make_split_proxy(cluster.backends, "--max-replica-lag", "200ms")
    cluster.primary.execute("INSERT INTO entry VALUES (1, 1, 'not replayed')")
    with proxy.connect() as client:  # it has seen nothing: only the limit keeps it from a replica
        def is_kept():
            before = proxy.counts()["reads_kept"]
            client.execute("SELECT 1 AS kept").fetchall()
            return proxy.counts()["reads_kept"] > before
        await_condition(is_kept, "replicas to be too far behind")
        reads = proxy.counts()["replica_reads"]
        for _ in range(20):
            assert client.execute("SELECT count(*) FROM entry").fetchone() == (1,)
        assert proxy.counts()["replica_reads"] == reads
        for node in cluster.replicas:
            end_delay(node)
        await_reads_at_a_replica(proxy, client)


def test_replicas_that_die_are_not_noticed(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    stop = threading.Event()
    failures = []

    def read():
        try:
            with proxy.connect() as client:
                client.execute("SET my.setting = 'mine'")
                while not stop.is_set():
                    rows = client.execute("SELECT n FROM generate_series(1, 3000) AS g (n), (SELECT 1) AS x"
                                          " ORDER BY n", prepare=True).fetchall()
                    assert len(rows) == 3000 and rows[-1] == (3000,)
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for node in cluster.replicas:
            await_condition(lambda: asked(node, "generate_series") > 3, f"reads at {node}")
            node.kill()
            before = proxy.counts()["replica_reads"]
            if node is cluster.replicas[0]:
                await_condition(lambda: proxy.counts()["replica_reads"] > before + 10, "reads at the other one")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert failures == []


def test_a_replica_that_is_promoted_is_left(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    with proxy.connect() as client:
        client.execute("SET my.setting = 'mine'")
        client.execute("INSERT INTO entry VALUES (1, 1, 'before')")
        await_reads_at_a_replica(proxy, client, "SELECT count(*) FROM entry")
        cluster.kill_primary()
        assert client.execute("SELECT 1").fetchone() == (1,)
        cluster.take_over()
        client.execute("INSERT INTO entry VALUES (1, 2, 'after')")
        assert client.execute("SELECT count(*) FROM entry WHERE n = 2").fetchone() == (1,)
        assert client.execute("SELECT current_setting('my.setting')").fetchone() == ("mine",)
        await_reads_at_a_replica(proxy, client, "SELECT count(*) FROM entry")


def test_what_a_replica_cannot_answer_the_primary_does(cluster, make_split_proxy):
    """A write that a view hides, a table without a log, a conflict with recovery: nobody is told of it."""
    cluster.primary.execute(
        "CREATE UNLOGGED TABLE unlogged AS SELECT 7 AS n;"
        "CREATE FUNCTION hidden() RETURNS bigint LANGUAGE sql AS"
        " 'INSERT INTO entry VALUES (1, 1, ''hidden''); SELECT count(*) FROM entry';"
        "CREATE VIEW looks_harmless AS SELECT hidden()")
    try:
        proxy = make_split_proxy(cluster.backends)
        for number, (sql, answer) in enumerate([("SELECT * FROM looks_harmless", 1), ("TABLE unlogged", 7)]):
            with proxy.connect() as client:
                await_reads_at_a_replica(proxy, client)
                assert client.execute(sql).fetchone() == (answer,)
            assert proxy.counts()["reads_asked_again"] == number + 1
    finally:
        cluster.primary.execute("DROP VIEW looks_harmless; DROP FUNCTION hidden; DROP TABLE unlogged")


def test_a_read_in_the_way_of_recovery_is_answered_all_the_same(cluster, make_split_proxy):
    # As long as there is a row it takes for ever.
    read = "SELECT (SELECT count(*) FROM generate_series(1, 1000000000000 + n)) FROM entry"
    runs = f"SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query = '{read}'"
    proxy = make_split_proxy([cluster.primary.address, cluster.replicas[0].address])
    cluster.primary.execute("INSERT INTO entry VALUES (1, 1, 'there')")
    cluster.await_streaming(cluster.replicas[0])
    with cluster.replicas[0].connect() as connection, RawSession(proxy.port) as client:
        connection.execute("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            await_condition(lambda: goes_to_a_replica(proxy, client, "SELECT 1", False), "a read at the replica")
            before = len(cluster.replicas[0].server.log())
            client.send(query(read))
            await_condition(lambda: connection.execute(runs).fetchone()[0], "the read to run")
            cluster.primary.execute("TRUNCATE entry")
            assert kinds(client.until_ready()) == "TCZ"
            assert "conflict with recovery" in cluster.replicas[0].server.log()[before:]
        finally:
            connection.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
            connection.execute("SELECT pg_reload_conf()")


def test_errors_of_a_read_are_the_clients_to_see(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    with proxy.connect() as client:
        for sql, sqlstate in [("SELECT 1/0", "22012"), ("SELECT * FROM nowhere", "42P01")]:
            await_reads_at_a_replica(proxy, client)
            with pytest.raises(psycopg.Error) as caught:
                client.execute(sql)
            assert caught.value.sqlstate == sqlstate
    assert proxy.counts()["reads_asked_again"] == 0


# ---- What is the session's goes with it

def test_settings_and_prepared_statements_are_the_same_at_both(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    with RawSession(proxy.port) as session:
        def at_replica():
            await_condition(lambda: goes_to_a_replica(proxy, session, "SELECT 1", False), "a read at a replica")

        def value(sql):
            session.send(query(sql))
            return [payload[6:].decode() for kind, payload in session.until_ready() if kind == b"D"]
        zone = "SELECT '2026-07-01 12:00+00'::timestamptz::text"
        for name, hour in [("Asia/Tokyo", "21"), ("UTC", "12"), ("America/New_York", "08")]:
            session.send(query(f"SET timezone = '{name}'"))
            session.until_ready()
            at_replica()
            assert value(zone)[0][11:13] == hour
        session.send(query("RESET timezone"))
        session.until_ready()
        at_replica()
        assert value(zone)[0][11:13] == "12"

        # Prepared at the primary, bound at the replica, and the other way round; closed and made anew.
        for text, expected in [("SELECT 'one'", b"one"), ("SELECT 'two'", b"two")]:
            session.send(query("SELECT random()"))
            session.until_ready()
            session.send(parse(text, "mine") + describe(b"S", "mine") + SYNC)
            assert error_fields(session.until_ready()) == []
            at_replica()
            session.send(bind("", "mine") + execute() + SYNC)
            assert expected in dict(session.until_ready())[b"D"]
            session.send(query("CREATE TEMP TABLE IF NOT EXISTS x (); DROP TABLE x; DISCARD TEMP"))
            session.until_ready()
            session.send(bind("", "mine") + execute() + SYNC)
            assert expected in dict(session.until_ready())[b"D"]
            session.send(query("DISCARD ALL"))
            session.until_ready()

        # The unnamed statement, too.
        at_replica()
        session.send(parse("SELECT 'unnamed'") + SYNC)
        session.until_ready()
        session.send(parse("SELECT random()", "elsewhere") + SYNC)
        session.until_ready()
        session.send(bind() + execute() + SYNC)
        assert b"unnamed" in dict(session.until_ready())[b"D"]


def test_a_cancel_goes_where_the_read_is(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    slow = "SELECT count(*) FROM generate_series(1, 1000000000) /*to be cancelled*/"
    with proxy.connect() as client:
        await_reads_at_a_replica(proxy, client)
        canceller = threading.Thread(target=lambda: (
            await_condition(lambda: sum(asked(node, "to be cancelled") for node in cluster.replicas), "the read"),
            client.cancel()))
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute(slow)
        canceller.join()
        assert client.execute("SELECT 1").fetchone() == (1,)


# ---- Clients

@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench_reads_at_replicas(cluster, make_split_proxy, protocol):
    proxy = make_split_proxy(cluster.backends)
    environment = proxy.environment
    subprocess.run([BIN / "pgbench", "-i", "-q", "-s", "1"], env=environment, check=True, capture_output=True,
                   timeout=60)
    for node in cluster.replicas:
        cluster.await_streaming(node)
    await_reads_at_each(cluster, proxy, f"SELECT 1 /*either, {protocol}*/")
    before = sum(asked(node, "pgbench_accounts") for node in cluster.replicas)
    done = subprocess.run([BIN / "pgbench", "-S", "-c", "4", "-t", str(scaled(2000)), "-M", protocol], env=environment,
                          check=True, capture_output=True, text=True, timeout=120)
    assert "number of failed transactions: 0 " in done.stdout
    assert sum(asked(node, "pgbench_accounts") for node in cluster.replicas) > before


def await_reads_at_each(cluster, proxy, sql):
    """Two sessions that read at a time are at two replicas, unless one was behind when the proxy last looked at it."""
    def each_was_asked():
        with RawSession(proxy.port) as one, RawSession(proxy.port) as other:
            ask(one, sql, False)
            ask(other, sql, False)
        return all(asked(node, sql) for node in cluster.replicas)
    await_condition(each_was_asked, "reads at each replica")


EMPTY = """DO $$ DECLARE what text; BEGIN
  FOR what IN SELECT format('DROP %s %s CASCADE', CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
      ELSE 'TABLE' END, oid::regclass) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v')
    UNION ALL SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace LOOP EXECUTE what; END LOOP;
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata; END $$"""


def test_psql_sees_no_difference(cluster, make_server, make_split_proxy):
    """The statements of test_psql.py, on a server and by the proxy in mode split: word for word."""
    direct = make_server(settings=SETTINGS_OF_NODES + SETTINGS)
    proxy = make_split_proxy(cluster.backends, "--auth", "relay", "--split-functions", "trust", "--split-consistency",
                             "own-writes")  # where sessions are pooled, a database is not dropped behind their back
    cluster.primary.execute(EMPTY)
    with proxy.connect(application_name="psql") as warming:
        await_reads_at_a_replica(proxy, warming)
    runs = [psql(port, "-a", "-f", str(SCRIPT)) for port in (direct.port, proxy.port)]
    # The name of a session's own schema is its server's choice, and columns are as wide as what is in them.
    shown = [re.sub(rb" +|-+|pg_temp_\d+", lambda found: found.group(0)[:1], without_process_ids(run.stdout)).split(b"\n")
             for run in runs]
    errors = [run.stderr.split(b"\n") for run in runs]
    for direct_ones, ones_by_the_proxy in (shown, errors):
        assert [lines for lines in zip(direct_ones, ones_by_the_proxy) if lines[0] != lines[1]] == []
        assert len(direct_ones) == len(ones_by_the_proxy)
    assert len(runs[0].stdout) > 5_000_000


def test_pipelines_of_reads_and_writes(cluster, make_split_proxy):
    proxy = make_split_proxy(cluster.backends)
    with proxy.connect() as client:
        for round_number in range(scaled(30, 5)):
            await_reads_at_a_replica(proxy, client)
            with client.pipeline() as pipeline:
                cursors = []
                for n in range(5):
                    cursors.append(client.execute("SELECT count(*) FROM entry WHERE who = %s", [round_number]))
                    client.execute("INSERT INTO entry VALUES (%s, %s, 'pipeline')", [round_number, n])
                    if n % 2:
                        pipeline.sync()
                assert [cursor.fetchone()[0] for cursor in cursors] == [0, 1, 2, 3, 4]


def test_clients_that_the_proxy_authenticates_read_at_replicas(cluster, make_split_proxy, scratch):
    """With the keys of a SCRAM proof: no password is in any file."""
    cluster.primary.execute("CREATE ROLE ada LOGIN PASSWORD 'of ada'; GRANT SELECT, INSERT ON entry TO ada")
    secret = cluster.primary.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'")
    users = scratch / "users.txt"
    users.write_text(f'"ada" "{secret}"\n', encoding="utf-8")
    for node in cluster.nodes:
        path = node.data / "pg_hba.conf"
        path.write_text("host all ada all scram-sha-256\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
        node.execute("SELECT pg_reload_conf()")
    try:
        proxy = make_split_proxy(cluster.backends, "--auth", "file", "--auth-file", users, record=scratch / "record")
        for node in cluster.replicas:
            cluster.await_streaming(node)
        for number in range(3):
            with proxy.connect(user="ada", password="of ada") as client:
                client.execute("SET my.setting = 'mine'")
                client.execute("INSERT INTO entry VALUES (7, 7, 'of ada')")
                await_reads_at_a_replica(proxy, client, "SELECT count(*) FROM entry")
                assert client.execute("SELECT count(*) FROM entry").fetchone() == (number + 1,)
        # Servers of clients that left are used again, and the recording tells who answered.
        assert sum(node.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada'")
                   for node in cluster.replicas) <= 2
        assert proxy.stop() == 0
        shown = run_understudy("show", scratch / "record", "--session", "1.1").stdout
        replica = next(address for address in (node.address for node in cluster.replicas) if address in shown)
        assert shown.index(cluster.primary.address) < shown.index(replica)
    finally:
        for node in cluster.nodes:
            path = node.data / "pg_hba.conf"
            path.write_text(path.read_text(encoding="utf-8").split("\n", 1)[1], encoding="utf-8")
            node.execute("SELECT pg_reload_conf()")
        cluster.primary.execute("DROP OWNED BY ada; DROP ROLE ada")


# ---- Read-only service (mode replica)

@pytest.fixture
def make_replica_proxy(make_proxy):
    def make(backends, *arguments, **options):
        others = [word for address in backends[1:] for word in ("--backend", address)]
        return make_proxy(backends[0], *others, "--health-user", "postgres", "--mode", "replica", *arguments, **options)
    return make


def serves(client):
    return client.execute("SELECT inet_server_port(), pg_is_in_recovery()").fetchone()


@pytest.mark.parametrize("auth", ["relay", "trust"])
def test_only_replicas_serve(cluster, make_replica_proxy, auth):
    proxy = make_replica_proxy(cluster.backends, "--auth", auth)
    ports = set()
    for _ in range(4):
        with proxy.connect() as client, proxy.connect() as other:
            for one in (client, other):
                port, in_recovery = serves(one)
                assert in_recovery
                ports.add(port)
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    one.execute("INSERT INTO entry VALUES (1, 1, 'refused')")
    assert ports == {node.server.port for node in cluster.replicas}


@pytest.mark.parametrize("auth", ["relay", "trust"])
def test_a_session_goes_on_at_another_replica(cluster, make_replica_proxy, auth):
    proxy = make_replica_proxy(cluster.backends, "--auth", auth)
    with proxy.connect() as client:
        client.execute("SET my.setting = 'mine'")
        first = serves(client)[0]
        with client.transaction():
            assert client.execute("SELECT 7").fetchone() == (7,)
            next(node for node in cluster.replicas if node.server.port == first).kill()
            assert client.execute("SELECT current_setting('my.setting')").fetchone() == ("mine",)
        assert serves(client)[0] != first


def test_a_session_leaves_a_replica_that_becomes_the_primary(cluster, make_replica_proxy):
    proxy = make_replica_proxy(cluster.backends, "--auth", "trust")
    with proxy.connect() as client:
        promoted = next(node for node in cluster.replicas if node.server.port == serves(client)[0])
        cluster.await_streaming(promoted)  # else the other may have more, and must be made anew
        cluster.kill_primary()
        cluster.take_over(promoted)
        await_condition(lambda: serves(client)[0] != promoted.server.port, "another replica")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            client.execute("CREATE TABLE refused ()")


def test_without_a_replica_clients_wait(cluster, make_replica_proxy):
    only = cluster.replicas[0]
    proxy = make_replica_proxy([cluster.primary.address, only.address], "--auth", "trust", "--failover-timeout", "2s")
    with proxy.connect() as client:
        serves(client)
        only.kill()
        with pytest.raises(psycopg.OperationalError, match="failover_timeout"):
            serves(client)
    with pytest.raises(psycopg.OperationalError, match="no replica within failover_timeout"):
        proxy.connect()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(serves(proxy.connect())))
    waiting.start()
    only.server.start()
    waiting.join()
    assert answers == [(only.server.port, True)]


@pytest.mark.parametrize("auth", ["relay", "trust"])
def test_a_read_in_the_way_of_recovery_is_asked_again(cluster, make_replica_proxy, auth):
    only = cluster.replicas[0]
    # As long as there is a row it takes for ever.
    read = "SELECT (SELECT count(*) FROM generate_series(1, 1000000000000 + n)) FROM entry"
    runs = f"SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query = '{read}'"
    cluster.primary.execute("INSERT INTO entry VALUES (1, 1, 'there')")
    cluster.await_streaming(only)
    proxy = make_replica_proxy([cluster.primary.address, only.address], "--auth", auth)
    with only.connect() as connection:
        connection.execute("ALTER SYSTEM SET max_standby_streaming_delay = '100ms'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            with RawSession(proxy.port) as client:
                client.send(query(read))
                await_condition(lambda: connection.execute(runs).fetchone()[0], "the read to run")
                before = len(only.server.log())
                cluster.primary.execute("TRUNCATE entry")
                assert kinds(client.until_ready()) == "TCZ"
                said = only.server.log()[before:]
                assert "conflict with recovery" in said
                assert client.ask("SELECT pg_is_in_recovery()") == "t"
        finally:
            connection.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
            connection.execute("SELECT pg_reload_conf()")
    # A replica that signals again just after the read was broken off ends the session; then that has moved.
    assert (" server_lost " in proxy.log()) == ("terminating connection due to conflict with recovery" in said), said


def test_a_session_leaves_a_replica_that_lags_when_it_asks_again(cluster, make_replica_proxy):
    proxy = make_replica_proxy(cluster.backends, "--auth", "trust", "--max-replica-lag", "300ms")
    with proxy.connect() as client:
        first = next(node for node in cluster.replicas if node.server.port == serves(client)[0])
        delay(first, "10min")
        cluster.primary.execute("INSERT INTO entry VALUES (1, 1, 'not replayed')")
        await_condition(lambda: serves(client)[0] != first.server.port, "another replica")
        await_condition(lambda: client.execute("SELECT count(*) FROM entry").fetchone() == (1,), "the row")
