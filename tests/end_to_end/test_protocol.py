"""Message by message: does a client of either protocol version get through the proxy what it gets without it?

Each script is spoken twice, to the server and to the proxy, by a client that does what libpq would not; every reply
must be the same to the byte."""

import socket
import struct

import pytest

from postgres_server import major_version
from raw_session import (COPY_DONE, FLUSH, PROTOCOL_3_0, PROTOCOL_3_2, SYNC, TERMINATE, RawSession, bind, close,
                         copy_data, describe, error_fields, execute, kinds, message, parse, pipeline, query, startup)
from waiting import await_condition


@pytest.fixture(scope="module")
def proxy(server):
    from understudy_process import Proxy
    with Proxy(server.tcp) as running:
        yield running
        assert running.stop() == 0
        assert "Sanitizer" not in running.log() and "runtime error:" not in running.log(), running.log()
        assert "protocol_error " not in running.log()


def portal_with_a_row_limit(session):
    session.send(parse("SELECT generate_series(1, 5)", "s"), bind("p", "s"), execute("p", 2), FLUSH)
    yield session.until(b"s")
    session.send(execute("p", 2), FLUSH)
    yield session.until(b"s")
    session.send(execute("p", 2), SYNC)
    yield session.until_ready()


def portal_that_outlives_a_sync(session):
    session.send(query("BEGIN"), parse("SELECT generate_series(1, 9)"), bind("p"), execute("p", 2), SYNC)
    yield session.until_ready(2)
    session.send(execute("p", 3), SYNC, describe(b"P", "p"), close(b"P", "p"), SYNC, execute("p"), SYNC)
    yield session.until_ready(3)
    session.send(query("ROLLBACK"))
    yield session.until_ready()


def named_statement_used_described_and_closed(session):
    session.send(parse("SELECT $1::text || '!'", "s"), describe(b"S", "s"), SYNC)
    yield session.until_ready()
    session.send(*[bind("", "s", value) + execute() for value in (b"a", b"b", b"c")], SYNC)
    yield session.until_ready()
    session.send(close(b"S", "s"), bind("", "s", b"d"), execute(), SYNC)
    yield session.until_ready()


def many_syncs_outstanding_every_third_failing(session):
    statements = [f"SELECT 1 / {n % 3}" for n in range(300)]
    session.send(*map(pipeline, statements))
    yield session.until_ready(300)


def error_skips_to_the_sync_and_no_further(session):
    session.send(parse("SELECT 1 / 0"), bind(), execute(), parse("SELECT 'skipped'"), bind(), execute(), SYNC,
                 pipeline("SELECT 'after'"))
    yield session.until_ready(2)


def flush_brings_replies_without_a_sync(session):
    session.send(parse("SELECT 1"), describe(b"S"), FLUSH)
    yield session.until(b"T")
    session.send(bind(), execute(), FLUSH)
    yield session.until(b"C")
    session.send(SYNC)
    yield session.until_ready()


def query_after_a_pipeline_without_a_sync(session):
    session.send(parse("SELECT 1"), bind(), execute(), query("SELECT 2"), query("SELECT 3"))
    yield session.until_ready(2)


def copy_in_of_the_extended_protocol(session):
    session.send(query("CREATE TEMPORARY TABLE copied (n int)"), pipeline("COPY copied FROM STDIN"))
    yield session.until(b"G")
    session.send(copy_data(b"1\n2"), copy_data(b"\n"), COPY_DONE, SYNC, query("SELECT n + 0 FROM copied"))
    yield session.until_ready(2)


def copy_in_sent_without_waiting_to_be_asked(session):
    session.send(query("CREATE TEMPORARY TABLE copied (n int)"), parse("COPY copied FROM STDIN"), bind(), execute(),
                 copy_data(b"1\n"), COPY_DONE, SYNC, pipeline("SELECT n + 0 FROM copied"))
    yield session.until_ready(3)


def copies_in_sent_one_after_the_other_without_waiting(session):
    blind = parse("COPY copied FROM STDIN") + bind() + execute() + copy_data(b"1\n") + COPY_DONE + SYNC
    simple = query("COPY copied FROM STDIN") + copy_data(b"2\n") + COPY_DONE
    failing = query("COPY nowhere FROM STDIN") + copy_data(b"3\n") + COPY_DONE
    twice = query("COPY copied FROM STDIN; COPY copied FROM STDIN") + 2 * (copy_data(b"4\n") + COPY_DONE)
    session.send(query("CREATE TEMPORARY TABLE copied (n int)"), blind, blind, failing, simple, simple, blind, twice,
                 pipeline("SELECT string_agg(n::text, ' ') FROM copied"))
    yield session.until_ready(9)


def copy_in_that_fails_and_is_ended_by_a_sync_alone(session):
    session.send(query("CREATE TEMPORARY TABLE copied (n int)"), parse("COPY copied FROM STDIN"), bind(), execute(),
                 FLUSH)
    yield session.until(b"G")
    session.send(copy_data(b"not a number\n1\n"), copy_data(b"x" * 100_000))
    yield session.until(b"E")
    session.send(SYNC, pipeline("SELECT 'usable'"))
    yield session.until_ready(2)


def copy_in_that_fails_while_data_is_still_coming(session):
    session.send(query("CREATE TEMPORARY TABLE copied (n int)"), query("COPY copied FROM STDIN"))
    yield session.until(b"G")
    session.send(copy_data(b"not a number\n"), *[copy_data(b"1\n")] * 1000, COPY_DONE, query("SELECT 'usable'"))
    yield session.until_ready(2)


def copy_in_given_up(session):
    session.send(query("CREATE TEMPORARY TABLE copied (n int); COPY copied FROM STDIN; SELECT 'not run'"))
    yield session.until(b"G")
    session.send(copy_data(b"1\n"), message(b"f", b"changed my mind\0"))
    yield session.until_ready()


def copies_out_between_other_statements(session):
    session.send(query("SELECT 1; COPY (VALUES (1), (2)) TO STDOUT; COPY (VALUES (3)) TO STDOUT BINARY; SELECT 2"),
                 pipeline("COPY (VALUES (4)) TO STDOUT"), pipeline("COPY (SELECT 1 / 0) TO STDOUT"))
    yield session.until_ready(3)


def function_calls(session):
    def call(function, *arguments):
        encoded = b"".join(struct.pack("!ii", 4, argument) for argument in arguments)
        return message(b"F", struct.pack("!ihhh", function, 1, 1, len(arguments)) + encoded + struct.pack("!h", 1))
    add, divide, absent = 177, 154, 1
    session.send(call(add, 40, 2), call(divide, 1, 0), call(absent), call(divide, 42, 1), query("SELECT 1"))
    yield session.until_ready(5)


def statements_in_one_query_one_of_them_failing(session):
    session.send(query("SELECT 1; SELECT 1 / 0; SELECT 'not run'"), query(""), query(";;"), SYNC, parse(""), bind(),
                 execute(), SYNC)
    yield session.until_ready(5)


def failed_transaction(session):
    session.send(query("BEGIN"), query("SELECT 1 / 0"), query("SELECT 1"), query("SAVEPOINT s"), query("ROLLBACK"))
    yield session.until_ready(5)


def notices_and_changed_parameters(session):
    session.send(query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$"),
                 query("SET application_name = 'changed'"), pipeline("SET datestyle = 'German'"), query("COMMIT"))
    yield session.until_ready(4)


def two_messages_cut_at_every_byte(session):
    session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in query("SELECT 1") + pipeline("SELECT $1", b"2"):
        session.send(bytes([byte]))
    yield session.until_ready(2)


def end_of_file_before_the_replies(session):
    session.send(query("SELECT 1"), pipeline("SELECT repeat('x', 1000000)"))
    session.socket.shutdown(socket.SHUT_WR)
    yield session.to_end()


def farewell(session):
    session.send(query("SELECT 1"), TERMINATE)
    yield session.to_end()


EXPECTED = {
    portal_with_a_row_limit: "12DDs DDs DCZ",
    portal_that_outlives_a_sync: "CZ12DDsZ DDDsZT3ZEZ CZ",
    named_statement_used_described_and_closed: "1tTZ 2DC2DC2DCZ 3EZ",
    many_syncs_outstanding_every_third_failing: "1EZ12TDCZ12TDCZ" * 100,
    error_skips_to_the_sync_and_no_further: "1EZ12TDCZ",
    flush_brings_replies_without_a_sync: "1tT 2DC Z",
    query_after_a_pipeline_without_a_sync: "12DCTDCZTDCZ",
    copy_in_of_the_extended_protocol: "CZ12nG CZTDDCZ",
    copy_in_sent_without_waiting_to_be_asked: "CZ12GCZ12TDCZ",
    copies_in_sent_one_after_the_other_without_waiting: "CZ" + 2 * "12GCZ" + "EZ" + 2 * "GCZ" + "12GCZGCGCZ12TDCZ",
    copy_in_that_fails_and_is_ended_by_a_sync_alone: "CZ12G E Z12TDCZ",
    copy_in_that_fails_while_data_is_still_coming: "CZG EZTDCZ",
    copy_in_given_up: "CG EZ",
    copies_out_between_other_statements: "TDCHddcCHddcCTDCZ12nHdcCZ12nEZ",
    function_calls: "VZEZEZVZTDCZ",
    statements_in_one_query_one_of_them_failing: "TDCEZIZIZZ12IZ",
    failed_transaction: "CZEZEZEZCZ",
    notices_and_changed_parameters: "NNCZCSZ12nCSZNCZ" if major_version() >= 14 else "NNCZSCZ12nSCZNCZ",
    two_messages_cut_at_every_byte: "TDCZ12TDCZ",
    end_of_file_before_the_replies: "TDCZ12TDCZ",
    farewell: "TDCZ",
}


@pytest.mark.parametrize("script", EXPECTED, ids=lambda script: script.__name__)
def test_replies_are_the_same_to_the_byte(server, proxy, script):
    conversations = []
    for port in (server.port, proxy.port):
        with RawSession(port) as session:
            conversations.append(list(script(session)))
    direct, through = conversations
    assert " ".join(map(kinds, through)) == EXPECTED[script]
    assert through == direct


def without_keys(messages):
    """Process ids and cancel keys differ; that there is a key, and how long it is, does not."""
    return [(kind, len(payload) if kind == b"K" else payload) for kind, payload in messages]


@pytest.mark.parametrize("version, options", [(PROTOCOL_3_0, {}), (PROTOCOL_3_2, {}), (0x3_270F, {}),
                                              (PROTOCOL_3_0, {"_pq_.wanted": "on"}),
                                              (PROTOCOL_3_2, {"_pq_.first": "1", "_pq_.second": "2"})])
def test_the_protocol_is_negotiated_between_client_and_server(server, proxy, version, options):
    greetings = []
    for port in (server.port, proxy.port):
        with RawSession(port, login=False) as session:
            session.send(startup(version, user="postgres", database="postgres", **options))
            greetings.append(without_keys(session.until_ready()))
            assert session.ask("SELECT 'usable'") == "usable"
    direct, through = greetings
    assert through == direct
    newest = PROTOCOL_3_2 if major_version() >= 18 else PROTOCOL_3_0
    negotiated = version > newest or bool(options)
    assert [kind for kind, _ in through].count(b"v") == negotiated


@pytest.mark.parametrize("version, spoken", [(PROTOCOL_3_0, None), (PROTOCOL_3_2, None), (0x3_270F, PROTOCOL_3_2)])
def test_the_proxy_itself_speaks_the_newest_protocol(server, make_proxy, version, spoken):
    """Where it judges the client, whatever its servers speak: min_protocol_version=3.2 is no reason to fail."""
    with RawSession(make_proxy(server.tcp, "--auth", "trust").port, login=False) as session:
        session.send(startup(version, user="postgres", database="postgres"))
        negotiated = [payload for kind, payload in session.until_ready() if kind == b"v"]
        assert negotiated == ([struct.pack("!ii", spoken, 0)] if spoken else [])
        assert session.ask("SELECT 'usable'") == "usable"


@pytest.mark.parametrize("rest", [query("SELECT 1") + TERMINATE, pipeline("SELECT 1") + pipeline("SELECT 1 / 0"),
                                  b"\0 is no message", b"Q"])
def test_what_comes_with_the_startup_packet_is_answered_after_the_login(server, proxy_of_this_test, rest):
    conversations = []
    for port in (server.port, proxy_of_this_test.port):
        with RawSession(port, login=False) as session:
            session.send(startup(user="postgres", database="postgres"), rest)
            session.socket.shutdown(socket.SHUT_WR)
            conversations.append(kinds(session.to_end()))
    assert conversations[1] == conversations[0]


@pytest.fixture
def proxy_of_this_test(server, make_proxy):
    return make_proxy(server.tcp)


def test_notifications_come_at_any_time_even_inside_a_transaction_of_the_sender(server, proxy):
    with RawSession(proxy.port) as listener, RawSession(proxy.port) as sender:
        listener.ask("LISTEN news")
        sender.ask("BEGIN")
        sender.ask("NOTIFY news, 'one'")
        sender.ask("COMMIT")
        notified, payload = listener.next()
        process_id = int(sender.ask("SELECT pg_backend_pid()"))
        assert (notified, payload) == (b"A", struct.pack("!i", process_id) + b"news\0one\0")
        # One's own, between the other replies of a pipeline.
        listener.send(pipeline("NOTIFY news, 'two'"), pipeline("SELECT 1"))
        assert kinds(listener.until_ready(2)) == "12nCAZ12TDCZ"


def test_a_sessions_state_is_followed_to_its_idle_end(server, make_proxy):
    """A session counts as idle exactly when the server is done with it: it is then that a drain ends it."""
    import signal
    for script in EXPECTED:
        if script in (farewell, end_of_file_before_the_replies):
            continue
        proxy = make_proxy(server.tcp)
        with RawSession(proxy.port) as session:
            replies = [one for messages in script(session) for one in messages]
            if replies[-1] == (b"Z", b"T"):  # since PostgreSQL 18 a pipeline without a Sync is a transaction
                session.send(SYNC)
                session.until_ready()
            proxy.signal(signal.SIGTERM)
            assert [error["C"] for error in error_fields(session.to_end())] == ["57P01"], script.__name__
        assert proxy.wait() == 0


def test_the_server_says_goodbye_in_its_own_words(make_server, make_proxy):
    server = make_server()
    proxy = make_proxy(server.tcp)
    with RawSession(proxy.port) as idle, RawSession(proxy.port) as busy:
        busy.send(query("SELECT pg_sleep(600)"))
        await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
                        "the statement to run")
        server.stop()
        for session in (idle, busy):
            errors = error_fields(session.to_end())
            assert [error["M"] for error in errors] == ["terminating connection due to administrator command"]
            assert errors[0]["F"] == "postgres.c"  # the server's, not the proxy's
    assert "backend_lost" not in proxy.log()
