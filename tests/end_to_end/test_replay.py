"""Does traffic of every kind come out the same when it is replayed on a server with the same data?"""

import os
import subprocess
import threading

import psycopg
import pytest

from postgres_server import BIN
from replaying import (COPY_DONE, FLUSH, SYNC, Speaker, bind, copy_data, copy_fail, execute, parse, query, raw_contents,
                       recorded, replay, replay_whole, statement)
from understudy_process import run_understudy
from waiting import await_condition, scaled

ORDERS = ("session", "causal")


def pgbench(port, *arguments):
    subprocess.run([str(BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", *map(str, arguments),
                    "postgres"], check=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL,
                   env={**os.environ, "PGSSLMODE": "disable"})


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mode", ("simple", "extended", "prepared"))
def test_pgbench_leaves_the_same_tables(pair, scratch, mode, order):
    for server in (pair.production, pair.target):
        pgbench(server.port, "-i", "-q")
    with recorded(pair.production, scratch / "recording") as proxy:
        pgbench(proxy.port, "-n", "-M", mode, "-c", 8, "-j", 2, "-t", scaled(100, least=20))
    summary = replay_whole(scratch / "recording", pair.uri, "--order", order)
    assert summary["sessions"] == 9 and summary["exchanges"] >= 8 * 7 * scaled(100, least=20)
    # What TPC-B leaves does not depend on the order, but for the times in pgbench_history.
    pair.assert_same("pgbench_accounts", "pgbench_branches", "pgbench_tellers",
                     "SELECT tid, bid, aid, delta FROM pgbench_history")


def test_what_was_rolled_back_is_not_kept_when_its_beginning_is_gone(pair, scratch):
    """As when a flight recorder's oldest segments are deleted while a transaction runs."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS undone; CREATE TABLE undone (n int)")
    recording, segments = scratch / "recording", lambda: sorted(recording.glob("*.transcript"))
    with recorded(pair.production, recording, "--record-segment-age", "1s") as proxy, proxy.connect() as client:
        client.execute("BEGIN")
        await_condition(lambda: client.execute("INSERT INTO undone VALUES (1)") and len(segments()) > 2,
                        "a third segment")
        client.execute("ROLLBACK")
        for n in (2, 3):
            client.execute("INSERT INTO undone VALUES (%s)", (n,))
    segments()[0].unlink()
    summary = replay(recording, pair.uri, "--speed", "max", "--record", scratch / "again", status=3)
    pair.assert_same("undone")
    assert summary["sessions_begun_late"] == 1 and summary["requests_before"] >= 2
    diff = run_understudy("diff", recording, scratch / "again")
    assert diff.returncode == 0, diff


def unread_bytes(port):
    """What clients have sent to this port and the server behind it has not read."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        connections = [line.split() for line in table.readlines()[1:]]
    return sum(int(fields[4].partition(":")[2], 16) for fields in connections
               if fields[1].endswith(f":{port:04X}") and fields[3] == "01")


def waiting_for_locks(server):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


@pytest.mark.parametrize("order", ORDERS)
def test_requests_that_were_outstanding_together_are_outstanding_together_again(pair, scratch, order):
    """Pieces of a pipeline, sent while the server was busy with the first, do not wait for its answer."""
    tables = "DROP TABLE IF EXISTS gate, piped; CREATE TABLE gate (n int); CREATE TABLE piped (n int, t text)"
    pieces = [statement("INSERT INTO piped VALUES ($1, $2)", str(n), 2000 * "x") + SYNC for n in range(20)]
    size = sum(map(len, pieces))
    for server in (pair.production, pair.target):
        server.execute(tables)
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as client:
        with pair.production.connect(autocommit=False) as blocker:
            blocker.execute("LOCK TABLE gate")
            client.send(statement("SELECT count(*) FROM gate"), SYNC)
            await_condition(lambda: waiting_for_locks(pair.production) == 1, "the first statement to wait")
            for n, piece in enumerate(pieces):
                sent = sum(map(len, pieces[:n + 1]))
                client.send(piece)
                await_condition(lambda: unread_bytes(pair.production.port) == sent, "the piece to have passed the proxy")
        assert client.read_until("Z", 21).count("C") == 21
        client.close()
    with pair.target.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE gate")
        summaries = []
        replaying = threading.Thread(target=lambda: summaries.append(
            replay_whole(scratch / "recording", pair.uri, "--order", order)))
        replaying.start()
        # Nothing was answered, and yet all is there: but for what the server took with the first piece.
        await_condition(lambda: unread_bytes(pair.target.port) > size - 8192, "the whole pipeline to be sent")
        assert waiting_for_locks(pair.target) == 1
    replaying.join(60)
    assert summaries[0]["exchanges"] == 21 and summaries[0]["events_sent"] == 22
    pair.assert_same("piped")


@pytest.mark.parametrize("order", ORDERS)
def test_psycopgs_pipelines_with_errors(pair, scratch, order):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS pipelined (n int PRIMARY KEY)")
        connection.execute("TRUNCATE pipelined")
        with connection.pipeline() as pipeline:
            for n in range(scaled(300, least=30)):
                connection.execute("INSERT INTO pipelined VALUES (%s)", [n if n % 10 else 0])
                try:
                    pipeline.sync()
                except psycopg.errors.UniqueViolation:
                    pass
        for failing in ("SELECT 1 / 0", "INSERT INTO pipelined VALUES (0)"):
            with pytest.raises(psycopg.Error), connection.pipeline():
                connection.execute("INSERT INTO pipelined VALUES (1000001)")
                connection.execute(failing)
                connection.execute("INSERT INTO pipelined VALUES (1000002)")
    replay_whole(scratch / "recording", pair.uri, "--order", order)
    pair.assert_same("pipelined")


def test_prepared_statements_cursors_and_portals_with_row_limits(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            connection.execute("CREATE TABLE fetched (n int)")
            for n in range(50):
                connection.execute("INSERT INTO fetched VALUES (%s)", [n], prepare=True)
            with connection.transaction(), connection.cursor(name="big") as cursor:
                cursor.itersize = 7
                cursor.execute("SELECT n FROM fetched ORDER BY n")
                assert sum(1 for _ in cursor) == 50
        with Speaker(proxy.port) as client:
            # A portal that is read in parts between which other things happen.
            client.send(query("BEGIN"))
            client.read_until("Z")
            client.send(parse("SELECT n FROM fetched ORDER BY n"), bind(portal="p"), execute(20, "p"), FLUSH)
            assert client.read_until("s") == "12" + 20 * "D" + "s"
            client.send(parse("INSERT INTO fetched VALUES (1000)"), bind(), execute(), execute(20, "p"), FLUSH)
            assert client.read_until("s") == "12C" + 20 * "D" + "s"
            client.send(execute(0, "p"), SYNC)
            assert client.read_until("Z") == 10 * "D" + "CZ"
            client.send(query("COMMIT"))
            client.read_until("Z")
            client.close()
    replay_whole(scratch / "recording", pair.uri)
    assert len(pair.assert_same("fetched")) == 51
    differences = record_again_and_compare(scratch, pair.target)
    assert differences.returncode == 0, differences.stdout


def record_again_and_compare(scratch, target):
    """The recording played once more on the target, and that replay recorded: what `diff` says of the two."""
    target.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    replay_whole(scratch / "recording", f"postgresql://postgres@{target.tcp}/postgres", "--record", scratch / "replay")
    return run_understudy("diff", scratch / "recording", scratch / "replay")


def test_copy_in_and_out_and_copies_that_fail(pair, scratch):
    rows = scaled(100_000, least=5_000)
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE copied (n int PRIMARY KEY, t text)")
        with cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(rows):
                copy.write_row((n, f"row {n} ünïcödé"))
        with pytest.raises(psycopg.errors.QueryCanceled), cursor.copy("COPY copied FROM STDIN") as copy:
            copy.write("-1\tgiven up\n")
            raise ZeroDivisionError
        with pytest.raises(psycopg.errors.UniqueViolation), cursor.copy("COPY copied FROM STDIN") as copy:
            for n in range(1000):
                copy.write(f"{n}\tthere already\n")
        with cursor.copy("COPY copied TO STDOUT") as copy:
            assert sum(len(piece) for piece in copy) > rows
        cursor.execute("INSERT INTO copied VALUES (-2, 'the session goes on')")
    replay_whole(scratch / "recording", pair.uri)
    assert len(pair.assert_same("copied")) == rows + 1


def test_copy_as_jdbc_does_it(pair, scratch):
    """Parse, Bind, Execute and Sync at once; the server ignores the Sync during COPY, and another one ends it."""
    with recorded(pair.production, scratch / "recording") as proxy, Speaker(proxy.port) as client:
        client.send(query("CREATE TABLE jdbc (n int)"))
        client.read_until("Z")
        for end in (COPY_DONE, copy_fail("no more"), COPY_DONE):
            client.send(parse("COPY jdbc FROM STDIN"), bind(), execute(), SYNC)
            assert client.read_until("G") == "12G"
            client.send(copy_data(b"1\n2\n"))
            client.send(copy_data(b"3\n"))
            client.send(end, SYNC)
            assert client.read_until("Z") == ("CZ" if end == COPY_DONE else "EZ")
        client.send(statement("INSERT INTO jdbc VALUES (4)"), SYNC)
        client.read_until("Z")
        client.close()
    replay_whole(scratch / "recording", pair.uri)
    assert len(pair.assert_same("jdbc")) == 7


class LargeObjects:
    """A libpq connection for its lo_... functions, which send FunctionCall messages."""

    def __init__(self, port):
        import ctypes
        import ctypes.util
        self.libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
        self.libpq.PQconnectdb.restype = self.libpq.PQexec.restype = ctypes.c_void_p
        self.size, self.pointer = ctypes.c_size_t, ctypes.c_void_p
        self.connection = self.pointer(self.libpq.PQconnectdb(
            f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable".encode()))

    def execute(self, sql):
        self.libpq.PQclear(self.pointer(self.libpq.PQexec(self.connection, sql)))

    def write(self, oid, data):
        handle = self.libpq.lo_open(self.connection, oid, 0x60000)
        assert self.libpq.lo_write(self.connection, handle, data, self.size(len(data))) == len(data)
        self.libpq.lo_close(self.connection, handle)

    def close(self):
        self.libpq.PQfinish(self.connection)


def test_large_objects_by_function_call_and_by_sql(pair, scratch):
    data = bytes(range(256)) * 1000
    with recorded(pair.production, scratch / "recording") as proxy:
        objects = LargeObjects(proxy.port)
        objects.execute(b"BEGIN")
        assert objects.libpq.lo_create(objects.connection, 770001) == 770001
        objects.write(770001, data)
        objects.execute(b"COMMIT")
        objects.close()
        with proxy.connect() as other:
            other.execute("SELECT lo_from_bytea(770002, %s)", [data])
            other.execute("SELECT lo_put(770002, 10, 'changed')")
    replay_whole(scratch / "recording", pair.uri)
    contents = pair.assert_same("SELECT loid, pageno, data FROM pg_largeobject WHERE loid IN (770001, 770002)")
    assert len(contents) > 100


def test_large_objects_whose_oids_production_chose(pair, scratch):
    """Wherever the target's own counter stands: later requests, of any session, mean the same object there."""
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE IF NOT EXISTS document (name text, content oid); TRUNCATE document")
    pair.target.execute("SELECT lo_unlink(lo_create(0)) FROM generate_series(1, 1000)")
    (scratch / "file").write_bytes(b"imported" * 10_000)
    with recorded(pair.production, scratch / "recording") as proxy:
        objects = LargeObjects(proxy.port)
        objects.execute(b"BEGIN")
        made = objects.libpq.lo_creat(objects.connection, 0x60000)
        objects.write(made, b"by lo_creat" * 1000)
        objects.write(objects.libpq.lo_create(objects.connection, 0), b"by lo_create")
        objects.execute(b"COMMIT")
        environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(proxy.port), "PGUSER": "postgres",
                       "PGDATABASE": "postgres", "PGSSLMODE": "disable"}
        subprocess.run([str(BIN / "psql"), "-X", "-v", "ON_ERROR_STOP=1"], env=environment, check=True, capture_output=True,
                       input=f"\\lo_import {scratch / 'file'} 'a comment'\nINSERT INTO document VALUES ('a file', :LASTOID);",
                       text=True, timeout=60)
        with proxy.connect() as client:
            oids = [client.execute("SELECT lo_creat(-1)").fetchone()[0],
                    client.execute("SELECT lo_from_bytea(0, %s) AS it", [b"\0\xff" * 100_000]).fetchone()[0],
                    client.execute("SELECT lo_from_bytea(0, '\\x" + "ab" * 1000 + "')").fetchone()[0]]
            for oid in (made, *oids):
                client.execute("INSERT INTO document VALUES ('known by its OID', %s)", [oid])
                client.execute("SELECT lo_put(%s, 3, 'changed')", [oid])
                client.execute("SELECT name, length(lo_get(content)) FROM document WHERE content = %s", [oid])
        objects.execute(b"BEGIN")
        objects.libpq.lo_unlink(objects.connection, oids[0])
        objects.execute(b"COMMIT")
        objects.close()
    replay_whole(scratch / "recording", pair.uri, "--record", scratch / "again")
    pair.assert_same("document")
    contents = pair.assert_same("SELECT loid, pageno, data FROM pg_largeobject")
    assert len({oid for oid, _, _ in contents} - {770001, 770002}) >= 5
    pair.assert_same("SELECT oid, obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata")
    diff = run_understudy("diff", scratch / "recording", scratch / "again")
    assert diff.returncode == 0, diff.stdout


def test_a_cancelled_statement_is_cancelled_again_and_nothing_else(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            connection.execute("CREATE TABLE cancelled (n int)")
            for n in range(3):
                thread = threading.Thread(target=cancel_when_asleep, args=(pair.production, connection))
                thread.start()
                with pytest.raises(psycopg.errors.QueryCanceled):
                    connection.execute("SELECT pg_sleep(600)")
                thread.join(60)
                connection.execute("INSERT INTO cancelled VALUES (%s)", [n])
        with proxy.connect() as late:
            late.execute("INSERT INTO cancelled VALUES (100)")
            late.cancel()  # nothing runs
            await_condition(lambda: proxy.counts()["cancels"] == 4, "the cancel to have come too late")
            late.execute("INSERT INTO cancelled VALUES (101)")
    summary = replay_whole(scratch / "recording", pair.uri)
    assert (summary["cancels"], summary["cancels_late"]) == (3, 1)
    assert len(pair.assert_same("cancelled")) == 5


def cancel_when_asleep(server, connection):
    await_condition(lambda: sleeping(server) == 1, "the statement to run")
    connection.cancel()


def test_a_cancel_stops_the_statement_of_a_pipeline_that_it_had_stopped(pair, scratch):
    # PostgreSQL's postmaster signals the backend and then its process group: when it is interrupted between the two, the
    # second signal stops the next statement as well (of a busy machine often). What is recorded then is another story,
    # and so is what is replayed: either is tried until the server was not interrupted.
    recording = next(path for path in (scratch / f"recording-{n}" for n in range(10))
                     if cancel_in_a_pipeline(pair.production, path) == 1)
    for _ in range(10):
        assert replay(recording, pair.uri, "--speed", "max")["cancels"] == 1
        if pair.target.value("SELECT count(*) FROM stopped") == 3:
            break
    assert len(pair.assert_same("stopped")) == 3


def cancel_in_a_pipeline(production, recording):
    """Records it; how many statements were stopped."""
    with recorded(production, recording) as proxy, Speaker(proxy.port) as client:
        client.send(query("DROP TABLE IF EXISTS stopped; CREATE TABLE stopped (n int)"))
        client.read_until("Z")
        client.send(statement("INSERT INTO stopped VALUES (1)"), SYNC, statement("SELECT pg_sleep(600)"), SYNC,
                    statement("INSERT INTO stopped SELECT 2 FROM pg_sleep(0.3)"), SYNC)
        await_condition(lambda: sleeping(production) == 1, "the second statement")
        client.cancel()
        client.send(statement("INSERT INTO stopped VALUES (3)"), SYNC)
        stopped = client.read_until("Z", 4).count("E")
        client.close()
    return stopped


def test_a_statement_that_was_stopped_out_of_sight_is_stopped_again(pair, scratch):
    """pg_cancel_backend and pg_terminate_backend, by somebody who is not on record or names a process of then."""
    stop = "SELECT pg_{}_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            connection.execute("CREATE TABLE survivors (n int)")
        for what in ("cancel", "terminate"):
            with Speaker(proxy.port) as client:
                client.send(query("SELECT pg_sleep(600)"))
                await_condition(lambda: sleeping(pair.production) == 1, "the statement to run")
                pair.production.execute(stop.format(what))
                assert client.read_message()[0] == "T"
                assert client.read_message()[0] == "E"
                if what == "cancel":
                    client.read_until("Z")
                    client.send(query("INSERT INTO survivors VALUES (1)"))
                    client.read_until("Z")
                    client.close()
    replay_whole(scratch / "recording", pair.uri)
    assert pair.assert_same("survivors") == [(1,)]
    await_condition(lambda: sleeping(pair.target) == 0, "nothing to run any more")


def sleeping(server):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


def test_sessions_that_listen_and_notify(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as listener, proxy.connect() as sender:
            listener.execute("LISTEN news")
            sender.execute("NOTIFY news, 'while idle'")
            assert next(listener.notifies()).payload == "while idle"
            sender.execute("CREATE TABLE heard (t text)")
            listener.execute("INSERT INTO heard VALUES ('while idle')")
    replay_whole(scratch / "recording", pair.uri)
    assert pair.assert_same("heard") == [("while idle",)]


def test_errors_savepoints_and_transactions_left_open(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            connection.execute("CREATE TABLE saved (n int)")
            with connection.transaction():
                connection.execute("INSERT INTO saved VALUES (1)")
                with pytest.raises(psycopg.Error), connection.transaction():
                    connection.execute("INSERT INTO saved VALUES (2)")
                    connection.execute("SELECT 1 / 0")
                connection.execute("INSERT INTO saved VALUES (3)")
        with Speaker(proxy.port) as client:  # leaves without a word, in a transaction
            client.send(query("BEGIN; INSERT INTO saved VALUES (4)"))
            client.read_until("Z")
        with Speaker(proxy.port) as client:
            client.send(query("INSERT INTO saved VALUES (5); SELECT 1 / 0; INSERT INTO saved VALUES (6)"))
            client.read_until("Z")
            client.close()
    replay_whole(scratch / "recording", pair.uri)
    assert pair.assert_same("saved") == [(1,), (3,)]


def test_a_value_of_many_megabytes_streams_through(pair, scratch):
    length = scaled(50_000_000, least=5_000_000)
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("CREATE TABLE huge (t text)")
        connection.execute("INSERT INTO huge VALUES (%s)", ["0123456789" * (length // 10)])
        assert len(connection.execute("SELECT t FROM huge").fetchone()[0]) == length
    replay_whole(scratch / "recording", pair.uri)
    pair.assert_same("SELECT length(t), md5(t) FROM huge")


def test_a_replay_is_a_recording_that_names_what_it_replays_and_can_be_replayed(pair, scratch):
    with recorded(pair.production, scratch / "first") as proxy:
        for n in range(3):
            with proxy.connect() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS again (n int)")
                connection.execute("INSERT INTO again VALUES (%s)", [n])
    replay_whole(scratch / "first", pair.uri, "--record", scratch / "second")
    pair.target.execute("DROP TABLE again")
    replay_whole(scratch / "second", pair.uri, "--record", scratch / "third")
    assert len(pair.assert_same("again")) == 3
    for replayed, replay in (("first", "second"), ("second", "third")):
        assert run_understudy("verify", scratch / replay).returncode == 0
        contents = raw_contents(scratch / replay)
        for session in ("1.1", "1.2", "1.3"):
            assert b"\x06origin\x03" + session.encode() in contents
        assert b"\x09recording\x20" + recording_id(scratch / replayed) in contents
        assert run_understudy("diff", scratch / replayed, scratch / replay).returncode == 0


def recording_id(recording):
    """As the header of its first segment says (formats/README.md)."""
    header = min(recording.glob("*.transcript")).read_bytes()
    return header[0x31:0x51]


def test_replication_is_left_out_and_counted(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy:
        subprocess.run([str(BIN / "pg_receivewal"), "-h", "127.0.0.1", "-p", str(proxy.port), "-U", "postgres",
                        "--create-slot", "--slot=left_out"], check=True, capture_output=True, timeout=60)
        with proxy.connect() as connection:
            connection.execute("CREATE TABLE beside (n int)")
    summary = replay_whole(scratch / "recording", pair.uri)
    assert (summary["sessions"], summary["sessions_skipped"]) == (1, 1)
    assert pair.target.value("SELECT count(*) FROM pg_replication_slots") == 0
    pair.assert_same("beside")
