"""Recordings with holes and without ends, replays that are stopped, and what is told meanwhile."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess

import psycopg
import pytest

from late_relay import late_relay
from processes import until_parent_ends
from replaying import Speaker, query, recorded, replay, replay_whole
from understudy_process import binary, run_understudy
from waiting import await_condition, scaled


def start(recording, uri, *arguments, **options):
    command = [binary(), "replay", str(recording), "--to", uri, *map(str, arguments)]
    return subprocess.Popen(until_parent_ends(command, "KILL"), stdin=subprocess.DEVNULL, **options)


def test_a_session_is_replayed_up_to_a_damaged_chunk_and_not_behind_it(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE chunked (session int, n int, t text)")
    with recorded(pair.production, scratch / "recording") as proxy:
        sessions = [proxy.connect() for _ in range(3)]
        for n in range(60):  # some megabytes: several chunks
            sessions[n % 3].execute("INSERT INTO chunked VALUES (%s, %s, %s)",
                                    [n % 3, n, os.urandom(50_000).hex()], prepare=False)
        for session in sessions:
            session.close()
    segment, = (scratch / "recording").glob("*.transcript")
    contents = bytearray(segment.read_bytes())
    # Within a chunk: where one begins, as it does at about the half, its head is in the index too, and nothing is lost.
    contents[len(contents) * 9 // 16] ^= 0xFF
    segment.write_bytes(contents)
    result = run_understudy("replay", scratch / "recording", "--to", pair.uri, "--speed", "max")
    assert result.returncode == 3 and "Replayed in part: " in result.stdout, result.stdout + result.stderr
    assert re.search(rf"{segment}, offset \d+: .*passed over", result.stderr)
    cut = 0
    for session in range(3):
        ask = f"SELECT array_agg(n ORDER BY n) FROM chunked WHERE session = {session}"
        every, replayed = pair.production.value(ask), pair.target.value(ask)
        assert replayed and replayed == every[:len(replayed)]
        cut += len(replayed) < len(every)
    # On a slow machine, where chunks are sealed by the second, one may not hold all of them.
    assert cut > 0
    told = re.search(rf"sessions cut at a hole in the recording +{cut}\n", result.stdout)
    assert told, f"{len(contents)} bytes\n{result.stdout}\n{result.stderr}"


def test_a_session_whose_opening_is_damaged_is_counted_and_the_others_are_replayed(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE opened (n int, t text)")
    with recorded(pair.production, scratch / "recording") as proxy:
        for n in range(20):
            with proxy.connect() as connection:
                for _ in range(4):
                    connection.execute("INSERT INTO opened VALUES (%s, %s)", [n, os.urandom(50_000).hex()], prepare=False)
    segment, = (scratch / "recording").glob("*.transcript")
    contents = bytearray(segment.read_bytes())
    # Within a chunk: they are about equal, and their heads, which begin at halves and quarters, are in the index too.
    contents[len(contents) * 9 // 16] ^= 0xFF
    segment.write_bytes(contents)
    summary = replay(scratch / "recording", pair.uri, "--speed", "max", status=3)
    assert summary["sessions_lost"] + summary["sessions"] == 20
    assert summary["sessions_lost"] > 0 and summary["sessions_cut_at_gap"] > 0
    whole = "SELECT n FROM opened GROUP BY n HAVING count(*) = 4"
    assert pair.target.value(f"SELECT count(*) FROM ({whole}) s") > 10


def test_an_unclean_recording_is_replayed_to_where_it_ends(pair, scratch, make_proxy):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE unclean (n int)")
    proxy = make_proxy(pair.production.tcp, record=scratch / "recording")
    with proxy.connect() as connection:
        connection.execute("INSERT INTO unclean VALUES (1)")
        await_condition(lambda: any(path.stat().st_size > 500 for path in (scratch / "recording").iterdir()),
                        "something to be on disk")
        with pytest.raises(psycopg.OperationalError):
            proxy.kill()
            connection.execute("INSERT INTO unclean VALUES (2)")
    summary = replay(scratch / "recording", pair.uri, "--speed", "max")
    assert (summary["sessions"], summary["sessions_unfinished"]) == (1, 1)
    pair.assert_same("unclean")


@pytest.mark.parametrize("make, words", (
    (lambda path: None, "no such file"),
    (lambda path: path.mkdir(), "holds no recording"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_bytes(b"something else\n" * 100), "not an understudy transcript")))
def test_what_is_no_recording_is_refused_with_its_name(pair, scratch, make, words):
    path = scratch / "recording"
    make(path)
    result = run_understudy("replay", path, "--to", pair.uri)
    assert result.returncode == 1 and result.stdout == ""
    assert str(path) in result.stderr and re.search(words, result.stderr), result.stderr


@pytest.mark.parametrize("arguments, words", (
    ([], "--to TARGET is missing"),
    (["--to", "x", "--order", "random"], 'none of session, time, causal'),
    (["--to", "x", "--speed", "0"], "neither a number above 0 nor max"),
    (["--to", "x", "--speed", "fast"], "neither a number above 0 nor max"),
    (["--to", "x", "--order", "time", "--speed", "max"], "--speed max does not go with it"),
    (["--to", "x", "--user-map", "alice"], "is not OLD=NEW"),
    (["--to", "x", "--from", "yesterday"], "is neither a duration"),
    (["--to", "127.0.0.1:5432"], "is neither a URI (postgresql://"),
    (["--to", "mysql://127.0.0.1:5432/a=b"], "is neither a URI (postgresql://"),
    (["--to", "x", "--workers", "many"], "is not a number from 0 to 64"),
    (["--to", "x", "--workers", "65"], "is not a number from 0 to 64"),
    (["--to", "x", "--no-such-option"], "no-such-option")))
def test_bad_usage_is_told_with_exit_status_2(pair, scratch, arguments, words):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect():
        pass
    result = run_understudy("replay", scratch / "recording", *arguments)
    assert result.returncode == 2 and words in result.stderr, result.stderr


def test_a_second_condition_does_not_replace_the_first_unsaid(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect():
        pass
    refused = run_understudy("replay", scratch / "recording", "--to", pair.uri, "--where", "user = a", "--where", "user = b")
    assert refused.returncode == 2
    assert 'join the conditions by "and"' in refused.stderr


def test_a_replay_is_not_recorded_where_a_recording_is(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("SELECT 1")
    before = sorted(path.name for path in (scratch / "recording").iterdir())
    replay_whole(scratch / "recording", pair.uri, "--record", scratch / "replay")
    for taken in ("recording", "replay"):
        result = run_understudy("replay", scratch / "recording", "--to", pair.uri, "--record", scratch / taken)
        assert result.returncode == 2 and "a directory of its own" in result.stderr, result.stderr
    assert sorted(path.name for path in (scratch / "recording").iterdir()) == before


def test_who_replays_to_the_server_that_was_recorded_is_warned(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("SELECT 1")
    for server, warned in ((pair.production, True), (pair.target, False)):
        result = run_understudy("replay", scratch / "recording", "--to", f"postgresql://postgres@{server.tcp}/postgres")
        assert result.returncode == 0, result.stderr
        assert ("is the server that was recorded" in result.stderr) == warned, result.stderr


def test_nothing_to_replay_is_no_success(pair, scratch):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("SELECT 1")
    result = run_understudy("replay", scratch / "recording", "--to", pair.uri, "--from", "2100-01-01T00:00:00Z")
    assert result.returncode == 3 and "there was no session to replay" in result.stderr, result.stderr


@pytest.mark.parametrize("prepared", (False, True), ids=("session", "prepared-transaction"))
def test_a_statement_that_waits_for_a_strangers_lock_is_cancelled_in_the_end(make_server, scratch, prepared):
    production, target = (make_server(settings="max_prepared_transactions = 2\n") for _ in range(2))
    for server in (production, target):
        server.execute("CREATE TABLE locked (n int)")
    with recorded(production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("INSERT INTO locked VALUES (1)")
        connection.execute("SELECT 1")
    uri = f"postgresql://postgres@{target.tcp}/postgres"
    with psycopg.connect(uri) as stranger:
        stranger.execute("LOCK TABLE locked")
        if prepared:
            stranger.execute("PREPARE TRANSACTION 'forgotten'")
        summary = replay(scratch / "recording", uri, "--speed", "max", "--stall-timeout", "500ms")
    assert (summary["lock_waits_ended"], summary["errors_new"], summary["exchanges"]) == (1, 1, 2)


@pytest.mark.parametrize("order", ("causal", "session"))
def test_a_session_whose_answer_is_on_its_way_is_not_taken_for_stuck(pair, scratch, order):
    """The target says on another connection that it waits for the session, before its answer has come."""
    with recorded(pair.production, scratch / "recording") as proxy:
        with proxy.connect(application_name="comes late") as session:
            session.execute("SELECT pg_sleep(1.2)")
            session.execute("SELECT 1")
    with late_relay(pair.target.port, b"comes late", 0.2) as port:
        uri = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        # When nothing has moved for a second, the target is asked every ten milliseconds.
        replay_whole(scratch / "recording", uri, "--order", order, "--stall-timeout", "1s")


@pytest.fixture
def long_recording(pair, scratch):
    """A recording in which nothing happens for at least a second after its first INSERT, but for what comes in between."""
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS stopped; CREATE TABLE stopped (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as one, proxy.connect() as other:
        for n in range(5):
            one.execute("INSERT INTO stopped VALUES (%s)", [n])
            other.execute("SELECT count(*) FROM stopped")
            pair.production.execute("SELECT pg_sleep(0.2)")
    return scratch / "recording"


@pytest.mark.parametrize("order", ("session", "time", "causal"))
@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_a_signal_stops_a_replay_with_a_summary_and_a_whole_recording(pair, scratch, long_recording, order, number):
    process = start(long_recording, pair.uri, "--order", order, "--speed", "0.01", "--record", scratch / "replay",
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # A hundred times as late as it was recorded.
    await_condition(lambda: pair.target.value("SELECT count(*) FROM stopped") > 0, "the replay to have begun", 300)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    told = re.match(r"Replay stopped early, after (.+) of the (.+) of recorded time in ", out)
    assert told, out + err
    played, of = (float(value) * {"ms": 1e-3, "s": 1}[unit] for value, unit in map(str.split, told.groups()))
    assert played < of - 0.5  # four INSERTs, 0.2 s apart, were to come
    assert re.search(r"\n  sessions +2\n", out)
    assert run_understudy("verify", scratch / "replay").returncode == 0
    pair.target.execute("TRUNCATE stopped")
    assert replay(scratch / "replay", pair.uri, "--speed", "max")["sessions"] == 2
    assert pair.target.value("SELECT array_agg(n ORDER BY n) FROM stopped") == [0]


def test_a_replay_that_waits_for_the_server_is_stopped_all_the_same(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE locked (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("INSERT INTO locked VALUES (1)")
    with pair.target.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE locked")
        process = start(scratch / "recording", pair.uri, "--json", stdout=subprocess.PIPE)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await_condition(lambda: pair.target.value(waiting) == 1, "the statement to wait")
        process.send_signal(signal.SIGINT)
        assert b'"stopped": true' in process.communicate(timeout=60)[0]
        # What it ran is not left behind.
        await_condition(lambda: pair.target.value(waiting) == 0, "the statement to be gone")
    assert process.returncode == 1
    assert pair.target.value("SELECT count(*) FROM locked") == 0


def test_a_second_signal_does_not_wait_for_a_server_that_does_not_answer(pair, scratch):
    for server in (pair.production, pair.target):
        server.execute("CREATE TABLE silent (n int)")
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("INSERT INTO silent VALUES (1)")
    with pair.target.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE silent")
        process = start(scratch / "recording", pair.uri, "--record", scratch / "replay", stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await_condition(lambda: pair.target.value(f"SELECT count(*) FROM ({waiting}) s") == 1, "the statement to wait")
        pid = pair.target.value(waiting)
        os.kill(pid, signal.SIGSTOP)
        try:
            process.send_signal(signal.SIGINT)
            assert "stopping; once more" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert process.returncode == 1 and out.startswith("Replay stopped early, ")
    assert run_understudy("verify", scratch / "replay").returncode == 0


def record_one_that_left(server, recording):
    """Whose client goes in the middle of rows without an end, as one that is killed does."""
    with recorded(server, recording) as proxy:
        client = Speaker(proxy.port)
        client.send(query(ENDLESS))
        for _ in range(2_000):
            client.read_message()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        await_condition(lambda: server.value(COPYING) == 0, "production to notice")


ENDLESS = "COPY (SELECT a_line(), generate_series(1, 2000000000)) TO STDOUT"
COPYING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT a_line%' AND state = 'active'"
A_LINE = "CREATE OR REPLACE FUNCTION a_line() RETURNS text LANGUAGE sql AS $$ SELECT repeat('x', 1000) {} $$"


@pytest.mark.parametrize("order", ("session", "causal"))
def test_a_client_that_left_in_the_middle_of_an_answer_leaves_in_the_replay(pair, scratch, order):
    for server in (pair.production, pair.target):
        server.execute(A_LINE.format(""))
    record_one_that_left(pair.production, scratch / "recording")
    replay_whole(scratch / "recording", pair.uri, "--order", order, "--record", scratch / "replay")
    await_condition(lambda: pair.target.value(COPYING) == 0, "the target to notice")
    shown = json.loads(run_understudy("show", scratch / "replay", "--json").stdout)
    assert "the client left" in json.dumps(shown), shown
    difference = run_understudy("diff", scratch / "recording", scratch / "replay")
    assert difference.returncode == 0, difference.stdout


def test_a_signal_does_not_wait_for_the_answer_that_a_client_left_in_the_middle_of(pair, scratch):
    pair.production.execute(A_LINE.format(""))
    # So that the replay is where the client left much later, and it is seen how far it is.
    pair.target.execute("CREATE SEQUENCE lines; " + A_LINE.format("FROM nextval('lines'), pg_sleep(0.02)"))
    record_one_that_left(pair.production, scratch / "recording")
    process = start(scratch / "recording", pair.uri, "--speed", "max", stdout=subprocess.PIPE, text=True)
    await_condition(lambda: pair.target.value("SELECT last_value FROM lines") > 50, "the first lines to have been sent")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and out.startswith("Replay stopped early, ")
    await_condition(lambda: pair.target.value(COPYING) == 0, "the statement to be gone")


@pytest.mark.parametrize("arguments", ((), ("--json",)))
def test_a_summary_that_cannot_be_written_is_said_and_gives_1(pair, scratch, arguments):
    with recorded(pair.production, scratch / "recording") as proxy, proxy.connect():
        pass
    with open("/dev/full", "wb") as full:
        process = start(scratch / "recording", pair.uri, *arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert "understudy replay: standard output: cannot be written: No space left" in process.communicate(timeout=60)[1]
    assert process.returncode == 1


def read_terminal(descriptor, until, timeout_s=60):
    text = ""
    while until not in text:
        if not select.select([descriptor], [], [], timeout_s)[0]:
            raise TimeoutError(f"waited for {until!r}, got {text!r}")
        try:
            text += os.read(descriptor, 4096).decode()
        except OSError:  # the other side was closed
            break
    return text


@pytest.mark.parametrize("speed, shown", (("0.2", r"lag: server [\d.]+ \S+, replay [\d.]+ \S+"), ("0.2", r" sessions open")))
def test_a_terminal_is_shown_rate_and_lag_while_it_runs(pair, long_recording, speed, shown):
    ours, theirs = pty.openpty()
    process = start(long_recording, pair.uri, "--speed", speed, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = read_terminal(ours, "rescues")
    text += read_terminal(ours, "rescues")
    assert re.search(r"\r\x1b\[K *\d+ %  \d+ exchanges/s  2 sessions open  0 rescues", text), repr(text)
    process.send_signal(signal.SIGINT)
    text += read_terminal(ours, "no such words")
    assert re.search(shown, text), repr(text)
    assert text.endswith("\r\x1b[K"), repr(text)  # the line is gone when the summary comes
    process.wait(60)
    os.close(ours)


def test_without_a_terminal_nothing_is_shown_but_the_summary(pair, long_recording):
    assert re.search(r"--quiet\s+no progress, which .*\s+terminal", run_understudy("replay", "--help").stdout)
    result = run_understudy("replay", long_recording, "--to", pair.uri)
    assert (result.returncode, result.stderr) == (0, "")
    first, *counts = result.stdout.splitlines()
    assert re.fullmatch(r"Replayed [\d.]+ \S+ of recorded time in [\d.]+ \S+, \d+ exchanges/s", first)
    assert [line[:32].strip() for line in counts] == [
        "sessions", "exchanges", "bytes sent", "pieces sent", "lag: the server was slower", "lag: the replay was late"]


def peak_memory(*arguments):
    """Of a run of understudy that must end well, in bytes."""
    # What a sanitizer keeps of freed memory would be taken for what is in use.
    environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}
    process = subprocess.Popen(until_parent_ends([binary(), *map(str, arguments)], "KILL"), env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    return usage.ru_maxrss * 1024


def test_memory_does_not_grow_with_the_recording(pair, scratch):
    """Four times as long, of replay in each order and of diff: as much, once the cache for what was read is full."""
    megabyte = 1_000_000
    least, most = {}, {}
    for name, rounds, peaks in (("short", 20, least), ("long", scaled(80, least=50), most)):
        with recorded(pair.production, scratch / name) as proxy, proxy.connect() as connection:
            for n in range(rounds):
                connection.execute(f"SELECT repeat('{n % 10}', {4 * megabyte})", prepare=False)
                connection.execute(f"SELECT length('{n}{'x' * megabyte}')", prepare=False)
        for order in ("session", "causal"):
            peaks[order] = peak_memory("replay", scratch / name, "--to", pair.uri, "--speed", "max", "--order", order,
                                       "--record", scratch / f"{name}-{order}")
        peaks["diff"] = peak_memory("diff", scratch / name, scratch / f"{name}-causal")
    for what, peak in most.items():
        assert peak - least[what] < 100 * megabyte, f"{what}: {least} and {most}"
