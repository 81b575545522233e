"""Do clients that pipeline, copy, listen and stream work through the proxy as they do without it?"""

import contextlib
import hashlib
import os
import threading

import psycopg
import pytest

from postgres_server import major_version
from waiting import await_condition, scaled


@pytest.fixture(scope="module")
def proxy(server):
    """One proxy for all tests of this file, on the server they share."""
    from understudy_process import Proxy
    with Proxy(server.tcp) as running:
        yield running
        assert running.stop() == 0
        assert "Sanitizer" not in running.log() and "runtime error:" not in running.log(), running.log()


def test_a_pipeline_with_many_syncs_and_errors_goes_on_after_each(proxy):
    rounds = scaled(300, least=30)
    with proxy.connect() as connection, connection.cursor() as setup:
        setup.execute("CREATE TEMPORARY TABLE numbers (n int PRIMARY KEY)")
        results, errors = [], 0
        with connection.pipeline() as pipeline:
            cursors = []
            for n in range(rounds):
                cursor = connection.cursor()
                cursor.execute("INSERT INTO numbers VALUES (%s) RETURNING n", [n if n % 10 else 0])
                cursors.append(cursor)
                try:
                    pipeline.sync()
                except psycopg.errors.UniqueViolation:
                    errors += 1
            for cursor in cursors:
                try:
                    results.append(cursor.fetchone()[0])
                except psycopg.Error:
                    errors += 1
        # Every tenth inserts 0: the first succeeds, the others fail, each in its own Sync.
        assert results == [n for n in range(rounds) if n == 0 or n % 10]
        assert errors >= rounds // 10 - 1
        assert setup.execute("SELECT count(*) FROM numbers").fetchone()[0] == len(results)


def test_an_error_in_a_pipeline_skips_to_its_sync(proxy):
    with proxy.connect() as connection:
        with connection.pipeline() as pipeline:
            before = connection.execute("SELECT 'before'")
            skipped = connection.cursor()
            with pytest.raises(psycopg.errors.DivisionByZero):
                connection.execute("SELECT 1 / 0")
                skipped.execute("SELECT 'skipped'")  # raises if the error, which a server sends at once, is here already
                pipeline.sync()
            with contextlib.suppress(psycopg.errors.PipelineAborted):
                pipeline.sync()
            after = connection.execute("SELECT 'after'")
            pipeline.sync()
            assert before.fetchone() == ("before",)
            assert after.fetchone() == ("after",)
            with pytest.raises(psycopg.ProgrammingError, match="no result available"):
                skipped.fetchone()


def test_a_deep_pipeline_is_not_held_back(proxy):
    """Thousands of requests before the first reply is read: neither side may wait for the other."""
    depth = scaled(20_000, least=2_000)
    with proxy.connect() as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int, repeat('x', 100)", [n], prepare=True) for n in range(depth)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(depth))


def test_a_server_side_cursor_reads_portal_by_portal(proxy):
    rows = scaled(50_000, least=5_000)
    with proxy.connect(autocommit=False) as connection, connection.cursor(name="big") as cursor:
        cursor.itersize = 1000
        cursor.execute("SELECT n, md5(n::text) FROM generate_series(1, %s) n", [rows])
        assert sum(1 for _ in cursor) == rows


def test_copy_in_and_out_in_text_and_binary(proxy):
    rows = scaled(100_000, least=10_000)
    with proxy.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied (n int, t text)")
        with cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(rows):
                copy.write_row((n, f"row {n} ünïcödé"))
        with cursor.copy("COPY (SELECT * FROM copied ORDER BY n) TO STDOUT") as copy:
            text = b"".join(bytes(piece) for piece in copy)
        assert text == "".join(f"{n}\trow {n} ünïcödé\n" for n in range(rows)).encode()


def test_a_copy_given_up_by_the_client_leaves_the_session_usable(proxy):
    with proxy.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied (n int)")
        with pytest.raises(psycopg.errors.QueryCanceled, match="error from Python: ZeroDivisionError"):
            with cursor.copy("COPY copied FROM STDIN") as copy:
                copy.write("1\n")
                raise ZeroDivisionError
        assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (0,)


def test_prepared_statements_keep_their_names(proxy):
    with proxy.connect() as connection:
        for n in range(50):
            assert connection.execute("SELECT %s::int + 1", [n], prepare=True).fetchone() == (n + 1,)
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (1,)


def test_binary_parameters_and_results_of_many_types(proxy):
    values = [1, 2**40, 1.25, "text", b"\x00\xff", True, None, [1, 2, 3], {"a": [1, None]}]
    from psycopg.types.json import Jsonb
    with proxy.connect() as connection, connection.cursor(binary=True) as cursor:
        for value in values:
            given = Jsonb(value) if isinstance(value, dict) else value
            cast = "::text" if value is None or isinstance(value, str) else ""
            assert cursor.execute(f"SELECT %b{cast}", [given]).fetchone() == (value,)


def test_notifications_reach_a_session_that_only_listens(proxy):
    with proxy.connect() as listener, proxy.connect() as sender:
        listener.execute("LISTEN news")
        sender.execute("NOTIFY news, 'while idle'")
        notification = next(listener.notifies())
        assert (notification.channel, notification.payload) == ("news", "while idle")


def test_parameter_status_and_notices_are_relayed(proxy):
    with proxy.connect() as connection:
        assert connection.info.parameter_status("server_version").startswith(f"{major_version()}.")
        connection.execute("SET application_name = 'changed'")
        assert connection.info.parameter_status("application_name") == "changed"
        notices = []
        connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
        connection.execute("DO $$ BEGIN RAISE WARNING 'take %', 'care'; END $$")
        assert notices == [("WARNING", "take care")]


def test_a_large_object_written_and_read_in_pieces_by_function_calls(proxy):
    """lo_read and lo_write of libpq send FunctionCall messages."""
    import ctypes
    import ctypes.util
    libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
    libpq.PQconnectdb.restype = ctypes.c_void_p
    libpq.PQexec.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(libpq.PQconnectdb(
        f"host=127.0.0.1 port={proxy.port} user=postgres dbname=postgres sslmode=disable".encode()))
    assert libpq.PQstatus(connection) == 0
    data = bytes(range(256)) * 4096
    libpq.PQclear(ctypes.c_void_p(libpq.PQexec(connection, b"BEGIN")))
    oid = libpq.lo_create(connection, 0)
    assert oid > 0
    handle = libpq.lo_open(connection, oid, 0x60000)
    assert libpq.lo_write(connection, handle, data, ctypes.c_size_t(len(data))) == len(data)
    assert libpq.lo_lseek(connection, handle, 0, 0) == 0
    back = ctypes.create_string_buffer(len(data))
    assert libpq.lo_read(connection, handle, back, ctypes.c_size_t(len(data))) == len(data)
    assert back.raw == data
    assert libpq.lo_close(connection, handle) == 0
    libpq.PQfinish(connection)


def test_node_postgres(proxy, node):
    result = node("client.js", proxy.environment)
    assert (result.returncode, result.stdout.strip()) == (0, "node-postgres: all as expected"), result.stderr


def test_a_cancel_from_another_thread_stops_only_its_statement(proxy):
    with proxy.connect() as connection, proxy.connect() as bystander:
        pid = connection.info.backend_pid
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        failure = []

        def sleep():
            with pytest.raises(psycopg.errors.QueryCanceled) as raised:
                connection.execute("SELECT pg_sleep(600)")
            failure.append(raised.value.sqlstate)

        thread = threading.Thread(target=sleep)
        thread.start()
        await_condition(lambda: bystander.execute(sleeping, [pid]).fetchone()[0], "the statement to run")
        connection.cancel()
        thread.join(60)
        assert failure == ["57014"]
        assert connection.execute("SELECT 'usable'").fetchone() == ("usable",)


@pytest.mark.parametrize("recorded", [False, True])
def test_a_value_of_many_megabytes_streams_both_ways_in_bounded_memory(server, make_proxy, scratch, recorded):
    """200 MB here, 900 MB with UNDERSTUDY_TEST_SCALE=4.5."""
    length = scaled(200_000_000, least=100_000_000)
    # A sanitizer keeps several bytes for each of the program's.
    bound_kib = 24 * 1024 * (3 if os.environ.get("UNDERSTUDY_SANITIZE") else 1)
    # What the disk is slower to take than the client waits in a buffer of this size.
    recording = ["--record-buffer", "8MiB"] if recorded else []
    proxy = make_proxy(server.tcp, *recording, record=scratch / "recording" if recorded else None)
    with proxy.connect() as connection, connection.cursor(binary=True) as cursor:
        cursor.execute("SELECT 1")
        before = proxy.resident_kib()
        value = cursor.execute(f"SELECT repeat('0123456789', {length // 10})").fetchone()[0]
        assert len(value) == length // 10 * 10
        digest = hashlib.md5(value.encode()).hexdigest()
        answer = cursor.execute("SELECT length(%t), md5(%t)", [value, "x"]).fetchone()
        assert answer == (len(value), hashlib.md5(b"x").hexdigest())
        assert cursor.execute("SELECT md5(%t)", [value]).fetchone()[0] == digest
        assert proxy.resident_kib(peak=True) - before < bound_kib


def test_a_client_that_stops_reading_stops_its_server_and_not_the_proxy(server, make_proxy):
    proxy = make_proxy(server.tcp, "--workers", "1")
    before = proxy.resident_kib()
    with proxy.connect() as slow, proxy.connect() as other:
        pid = slow.info.backend_pid
        # Asked, and not read: hundreds of megabytes wait at the server.
        slow.pgconn.send_query(b"SELECT repeat('x', 1000000) FROM generate_series(1, 1000)")
        slow.pgconn.flush()
        await_condition(lambda: other.execute("SELECT wait_event = 'ClientWrite' FROM pg_stat_activity"
                                              " WHERE pid = %s", [pid]).fetchone()[0], "the server to be stopped")
        for n in range(200):
            assert other.execute("SELECT %s::int", [n]).fetchone() == (n,)
        assert proxy.resident_kib() - before < 16 * 1024
        slow.close()
    # Neither its server session nor what was buffered for it outlives it.
    await_condition(lambda: not open_sockets(proxy), "the proxy to let go of both sockets", timeout_s=10)


def open_sockets(proxy):
    """Of clients and servers: all but the listening one."""
    links = []
    for entry in os.scandir(f"/proc/{proxy.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since
            links.append(os.readlink(entry.path))
    return sum(link.startswith("socket:") for link in links) - len(proxy.listening)


def test_a_server_that_stops_reading_stops_its_client(server, make_proxy):
    """A COPY into a locked table: what the client sends piles up at the client, not in the proxy."""
    proxy = make_proxy(server.tcp, "--workers", "1")
    server.execute("CREATE TABLE held (t text)")
    with server.connect(autocommit=False) as holder, proxy.connect() as client:
        holder.execute("LOCK TABLE held")
        before = proxy.resident_kib()
        copied = threading.Event()

        def copy():
            with client.cursor() as cursor, cursor.copy("COPY held FROM STDIN") as stream:
                for _ in range(100):
                    stream.write("x" * 999_999 + "\n")
            copied.set()

        thread = threading.Thread(target=copy)
        thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY held%'"
        await_condition(lambda: server.value(waiting), "the COPY to wait")
        assert proxy.resident_kib() - before < 16 * 1024
        assert not copied.is_set()
        holder.rollback()
        thread.join(120)
        assert copied.is_set()
    assert server.value("SELECT count(*) FROM held") == 100
