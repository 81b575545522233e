"""Recordings that begin and end while the proxy runs: what they hold of sessions that were open, whom they take, when
they end, what is kept and what goes; replayed and compared on real servers."""

import contextlib
import json
import socket
import subprocess
import threading

import psycopg
import pytest

from admin_port import Admin
from failing_disk import Disk
from postgres_server import BIN
from raw_session import SYNC, RawSession, bind, execute, message, parse, query, startup
from replaying import raw_contents, replay_whole
from transcripts import CLIENT, read_sessions
from understudy_process import run_understudy
from waiting import await_condition, free_port, scaled


class Control:
    """A proxy that records when it is told to."""

    def __init__(self, proxy, root):
        self.proxy, self.root, self.admin = proxy, root, Admin(proxy)

    def ctl(self, *words, status=0):
        result = self.admin.ctl("record", *words)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout if status == 0 else result.stderr

    def told(self):
        status = json.loads(self.ctl("status", "--json"))
        return status.get("now") or status["last"]

    def open_sessions(self):
        return self.told()["already_open"]

    def await_open(self, what, **counts):
        await_condition(lambda: all(self.open_sessions()[name] == count for name, count in counts.items()),
                        lambda: f"{what}: {self.open_sessions()}")


@pytest.fixture
def make_control(make_proxy, scratch):
    def make(backend, *arguments, root=True, **options):
        where = scratch / f"root{free_port()}"
        own = ["--record-root", where] if root else []
        proxy = make_proxy(backend, "--admin-listen", f":{free_port()}", *own, *arguments, **options)
        return Control(proxy, where)
    return make


def load(proxy, *arguments):
    return subprocess.Popen([str(BIN / "pgbench"), "-n", *map(str, arguments)], env=proxy.environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(recording):
    """All that clients said, by session."""
    return {name: b"".join(event.data for event in events if event.kind == CLIENT)
            for name, events in read_sessions(recording).items() if name != (0, 0)}


def replayed(recording, pair, again):
    """Replays it and compares; the summary."""
    summary = replay_whole(recording, pair.uri, "--record", again)
    outcome = run_understudy("diff", recording, again)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return summary


@pytest.mark.parametrize("failover", (False, True), ids=("one-backend", "failover"))
def test_a_recording_from_the_middle_replays_as_it_was(pair, make_control, scratch, failover):
    for server in (pair.production, pair.target):
        subprocess.run([BIN / "pgbench", "-i", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres",
                        "postgres"], check=True, capture_output=True, timeout=120)
        server.execute("DROP TABLE IF EXISTS journal; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other;"
                       "CREATE TABLE journal (at text); CREATE TABLE other.journal (at text)")
    more = ["--backend", f"127.0.0.1:{free_port()}", "--auth", "trust"] if failover else []
    control = make_control(pair.production.tcp, *more)
    proxy = control.proxy
    if failover:
        proxy.await_log(r" primary_found .*")
    readers = load(proxy, "-S", "-M", "prepared", "-c", "4", "-R", "400", "-t", scaled(400, least=100))
    with proxy.connect(application_name="early") as client:
        client.execute("SET timezone = 'Asia/Tokyo'")
        client.execute("SET search_path = other")
        client.execute("SELECT set_config('datestyle', 'German', false)")
        client.execute("SET application_name = 'renamed'")
        client.execute("LISTEN news")
        client.execute("PREPARE by_sql AS INSERT INTO journal VALUES ($1) RETURNING at")
        insert = "INSERT INTO journal VALUES (('2026-01-01 00:00+00'::timestamptz + %s * interval '1 h')::text) RETURNING at"
        client.execute(insert, [0], prepare=True)
        client.execute("DELETE FROM journal")  # what the recording begins with is what the target has
        await_condition(lambda: len(control.admin.read("sessions")["sessions"]) == 5, "pgbench's sessions")
        control.ctl("start", "middle")
        control.await_open("all to be taken in", joined=5, waiting=0)
        for n in range(20):
            client.execute(insert, [n], prepare=True)
        client.execute("EXECUTE by_sql('by sql')")
        client.execute("NOTIFY news, 'to myself'")
        client.execute("SHOW search_path")
    output, _ = readers.communicate(timeout=120)
    assert readers.returncode == 0, output
    await_condition(lambda: not control.admin.read("sessions")["sessions"], "the sessions to end")
    told = control.ctl("stop")
    assert "5 taken in" in told and "(stopped)" in told
    summary = replayed(control.root / "middle", pair, scratch / "again")
    assert summary["sessions"] == 5
    rows = pair.assert_same("other.journal")
    assert len(rows) == 21 and ("01.01.2026 09:00:00 JST",) in rows  # the settings of before were there
    pair.assert_same("public.journal")
    shown = run_understudy("verify", control.root / "middle")
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_a_session_is_taken_in_between_transactions(server, make_control):
    control = make_control(server.tcp)
    with control.proxy.connect(autocommit=False) as busy, control.proxy.connect() as idle, \
            control.proxy.connect() as pinned, RawSession(control.proxy.port) as half:
        idle.execute("SELECT 'before'")
        pinned.execute("CREATE TEMP TABLE mine (n int)")
        busy.execute("SELECT 'in the transaction'")
        half.send(parse("SELECT 'pipelined'") + bind() + execute() + message(b"H"))  # no Sync yet
        half.until(b"C")
        control.ctl("start", "one")
        control.await_open("those that are idle", joined=1, waiting=2, state_not_movable=1)
        assert "wait for an idle moment" in control.ctl("status")
        busy.execute("SELECT 'still in it'")
        assert control.open_sessions()["waiting"] == 2
        busy.commit()
        half.send(SYNC)
        half.until_ready()
        control.await_open("all that can be", joined=3, waiting=0)
        busy.execute("SELECT 'after it'")
        busy.commit()
        idle.execute("SELECT 'meanwhile'")
        pinned.execute("SELECT 'never seen'")
        with control.proxy.connect() as late:
            late.execute("SELECT 'from its login on'")
    control.ctl("stop")
    everything = b"".join(said(control.root / "one").values())
    for text in (b"after it", b"meanwhile", b"from its login on"):
        assert text in everything
    for text in (b"'before'", b"in the transaction", b"still in it", b"never seen"):
        assert text not in everything
    assert len(said(control.root / "one")) == 4


def test_a_session_that_code_may_have_changed_is_not_taken_in(server, make_control):
    control = make_control(server.tcp)
    server.execute("CREATE OR REPLACE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'")
    changed = (["DO $$ BEGIN PERFORM set_config('work_mem', '13MB', false); END $$"],
               ["DO $$ BEGIN CREATE TEMP TABLE t (a int); END $$"],
               ["CALL nothing()"],
               ["SET work_mem = '1MB'; " * 5000],
               ["SET standard_conforming_strings = off", r"PREPARE w AS SELECT 'a\'b'"])
    known = (["DO $$ BEGIN PERFORM 1; END $$"], ["SELECT 1; " * 5000], ["CALL nothing()", "DISCARD ALL"])
    with contextlib.ExitStack() as stack:
        for texts in changed + known:
            client = stack.enter_context(control.proxy.connect())
            for text in texts:
                client.execute(text)
        control.ctl("start", "one")
        control.await_open("all to be judged", joined=len(known), state_changed_unseen=len(changed), waiting=0)
        assert f"{len(changed)} not taken in: DO, CALL or a text too long" in control.ctl("status")


def test_without_following_their_state_open_sessions_are_not_taken_in_and_counted(server, make_control):
    control = make_control(server.tcp, "--record-joins", "off")
    with control.proxy.connect() as client:
        control.ctl("start", "one")
        control.await_open("it to be counted", state_not_tracked=1, joined=0)
        client.execute("SELECT 'unseen'")
        assert "their state is not followed" in control.ctl("stop")
    assert not said(control.root / "one")


def test_stopped_and_started_again_while_sessions_go_on(server, make_control):
    control = make_control(server.tcp)
    with control.proxy.connect() as client:
        client.execute("SET work_mem = '8MB'")
        for name in ("one", "two", "three"):
            control.ctl("start", name)
            control.await_open("it to be taken in", joined=1)
            client.execute(f"SELECT 'in {name}'")
            control.ctl("stop")
            client.execute(f"SELECT 'after {name}'")
    for name in ("one", "two", "three"):
        [text] = said(control.root / name).values()
        shown = run_understudy("show", control.root / name, "--session", "1.1")
        assert "the first 1 requests, which the recorder made" in shown.stdout
        assert b"SET work_mem" in text and f"in {name}".encode() in text and b"after" not in text
        assert run_understudy("verify", control.root / name).returncode == 0


def test_the_recording_that_is_configured_is_one_like_others(server, make_control, scratch):
    control = make_control(server.tcp, record=scratch / "configured")
    assert "end that first" in control.ctl("start", "other", status=1)
    with control.proxy.connect() as client:
        client.execute("SELECT 'configured'")
        control.ctl("stop")
        control.ctl("start", "other")
        control.await_open("it to be taken in", joined=1)
        client.execute("SELECT 'other'")
    assert control.proxy.stop() == 0
    assert [b"configured" in text for text in said(scratch / "configured").values()] == [True]
    assert [b"configured" in text for text in said(control.root / "other").values()] == [False]


def test_whom_a_recording_takes(server, make_control):
    server.execute("DROP DATABASE IF EXISTS elsewhere")
    server.execute("DROP ROLE IF EXISTS ada")
    server.execute("CREATE ROLE ada LOGIN SUPERUSER")
    server.execute("CREATE DATABASE elsewhere")
    control = make_control(server.tcp)
    who = {"user": {"user": "ada"}, "database": {"dbname": "elsewhere"}, "application": {"application_name": "shop"}}
    with control.proxy.connect(user="ada"):
        for option, value in (("--user", "ada"), ("--database", "elsewhere"), ("--application", "shop"),
                              ("--client", "127.0.0.0/8"), ("--client", "10.0.0.0/8")):
            name = f"by-{option.strip('-')}-{value[:2]}"
            control.ctl("start", name, option, value)
            taken = option == "--user" or value.startswith("127")
            control.await_open("the one that is open", **{"joined" if taken else "filtered": 1})
            for kind, how in who.items():
                with control.proxy.connect(**how) as client:
                    client.execute(f"SELECT 'this is {kind}'")
            told = control.told()
            control.ctl("stop")
            texts = said(control.root / name).values()
            seen = {kind for kind in who for text in texts if f"this is {kind}".encode() in text}
            wanted = {"--client": set(who) if value.startswith("127") else set()}.get(option, {option.strip("-")})
            assert seen == wanted, (name, seen)
            assert told["sessions_filtered"] == 3 - len(wanted)


def session_from(port, source_port):
    """A session of a client whose address is the same at every proxy."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.settimeout(60)
    connection.bind(("127.0.0.1", source_port))
    connection.connect(("127.0.0.1", port))
    connection.sendall(startup(user="postgres", database="postgres"))
    answer = b""
    while not answer.endswith(b"Z\0\0\0\5I"):
        piece = connection.recv(1 << 16)
        assert piece, answer
        answer += piece
    return connection


def test_two_proxies_take_the_same_sample(server, make_control):
    controls = [make_control(server.tcp), make_control(server.tcp)]
    for control in controls:
        control.ctl("start", "sample", "--sample", "50")
    names = {}
    for n in range(scaled(40, least=24)):
        source = free_port()
        for control in controls:
            with session_from(control.proxy.port, source) as connection:
                connection.sendall(query(f"SELECT 'client {n}.'"))
                connection.recv(1 << 16)
        names[n] = f"client {n}.".encode()
    taken = []
    for control in controls:
        control.ctl("stop")
        everything = b"".join(said(control.root / "sample").values())
        taken.append({n for n, name in names.items() if name in everything})
    assert taken[0] == taken[1]
    assert 0 < len(taken[0]) < len(names)


def test_the_first_of_duration_and_size_ends_it(server, make_control):
    control = make_control(server.tcp)
    control.ctl("start", "short", "--duration", "200ms", "--max-size", "1GiB")
    await_condition(lambda: control.told().get("ended_by"), "its end")
    assert control.told()["ended_by"] == "its duration was reached"
    control.ctl("start", "small", "--duration", "1h", "--max-size", "200KiB")
    with control.proxy.connect() as client:
        def ended():
            client.execute("SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1000)").fetchall()
            return control.told().get("ended_by")
        assert await_condition(ended, "its end") == "its size was reached"
        client.execute("SELECT 1")  # nobody minds
    assert control.told()["stored_bytes"] >= 200 << 10
    assert sum(path.stat().st_size for path in (control.root / "small").iterdir()) < 5 << 20
    assert run_understudy("verify", control.root / "small").returncode == 0


def test_what_cannot_be_done_is_told(server, make_control):
    control = make_control(server.tcp)
    assert "nothing is being recorded" in control.ctl("status")
    assert "nothing is being recorded" in control.ctl("stop", status=1)
    assert "letters" in control.ctl("start", "../outside", status=1)
    for option, value, why in (("--client", "everywhere", "is no network"), ("--sample", "101", "sample"),
                               ("--duration", "abc", "a duration such as"), ("--user", "", "expected names")):
        assert why in control.ctl("start", "x", option, value, status=2)
    for words in (["save", "x", "--last", "abc"], ["start", "a", "b"], ["mark"], ["save"], ["begin"], [], ["stop", "--sample", "5"]):
        assert "--help" in control.ctl(*words, status=2)
    control.ctl("start", "one")
    control.ctl("stop")
    assert "exists already" in control.ctl("start", "one", status=1)
    rootless = make_control(server.tcp, root=False)
    assert "record_root" in rootless.ctl("start", "one", status=1)
    assert not list(control.root.parent.glob("outside*"))


def test_no_secret_is_in_the_state_that_is_restored(server, make_control):
    server.execute("DROP ROLE IF EXISTS keeper")
    server.execute("CREATE ROLE keeper")
    control = make_control(server.tcp)
    with control.proxy.connect() as client, RawSession(control.proxy.port) as raw:
        client.execute("ALTER ROLE keeper PASSWORD 'first-secret'")
        client.execute("SET timezone = 'UTC'")
        raw.send(parse("ALTER ROLE keeper PASSWORD 'second-secret'", "change") + SYNC)
        raw.until_ready()
        control.ctl("start", "one")
        control.await_open("both", joined=2)
        raw.send(bind("", "change") + execute() + SYNC)
        raw.until_ready()
        control.ctl("stop")
    contents = raw_contents(control.root / "one")
    assert b"ALTER ROLE keeper PASSWORD 'xxxxxxxxxxxxx'" in contents
    assert b"-secret" not in contents


def test_a_flight_recorder_forgets_what_is_old_and_saves_what_is_asked_for(server, make_control, scratch):
    flight = scratch / "flight"
    control = make_control(server.tcp, "--record-keep-size", "4MiB", record=flight)
    with control.proxy.connect() as client:
        def forgotten():
            client.execute("SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20000)").fetchall()
            return control.told()["segments_expired"] >= 2
        await_condition(forgotten, "old segments to go", timeout_s=120)
        client.execute("SELECT 'just before the crash'")
        assert "saved" in control.ctl("save", "crash", "--last", "10min")
        client.execute("SELECT 'long after'")
    saved = control.root / "crash"
    assert any(b"just before the crash" in text for text in said(saved).values())
    assert not any(b"long after" in text for text in said(saved).values())
    assert run_understudy("verify", saved).returncode == 0
    assert control.proxy.stop() == 0
    assert " segments_expired " in control.proxy.log()
    assert sum(path.stat().st_size for path in flight.glob("*.transcript")) < 6 << 20
    result = run_understudy("verify", flight)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "record_keep_size" in result.stdout


@pytest.fixture
def saving(server, make_control, scratch, monkeypatch):
    """(control, the flight recording, the disk that recordings are saved on)"""
    disk = Disk()
    for name, value in disk.environment.items():
        monkeypatch.setenv(name, value)
    flight = scratch / "flight"
    control = make_control(server.tcp, "--record-root", disk.path / "root", root=False, record=flight)
    control.root = disk.path / "root"
    for name in disk.environment:
        monkeypatch.delenv(name)
    with control.proxy.connect() as client:
        client.execute("SELECT 'kept'")
    yield control, flight, disk
    disk.mend()
    control.proxy.stop()
    disk.remove()


def begin_to_save(control, name):
    """A save that waits for its disk."""
    thread = threading.Thread(target=lambda: setattr(thread, "result", control.admin.ctl("record", "save", name)))
    thread.start()
    await_condition((control.root / name).exists, "it to begin")
    return thread


def test_while_a_recording_is_saved_others_end_and_begin_and_are_saved(saving):
    control, _, disk = saving
    disk.stall()
    first, second = begin_to_save(control, "first"), begin_to_save(control, "second")
    assert "exists already" in control.ctl("save", "first", status=1)
    assert "recording into" in control.ctl("status")
    assert "nothing is being recorded" in control.ctl("stop")
    assert "exists already" in control.ctl("start", "first", status=1)
    assert first.is_alive() and second.is_alive()
    disk.mend()
    for thread in (first, second):
        thread.join()
        assert thread.result.returncode == 0 and "saved" in thread.result.stdout, thread.result
    for name in ("first", "second"):
        assert run_understudy("verify", control.root / name).returncode == 0
        assert any(b"'kept'" in text for text in said(control.root / name).values())
    assert "recording into" in control.ctl("start", "next")


def test_segments_that_expire_before_they_are_saved_are_told(saving):
    control, flight, disk = saving
    disk.stall()
    thread = begin_to_save(control, "late")
    disk.await_stalled()  # its first segment: it knows then which there are
    for segment in flight.glob("*.transcript"):
        segment.unlink()
    disk.mend()
    thread.join()
    assert thread.result.returncode == 1, thread.result
    assert "deleted before they could be copied (record_keep_size and record_keep_age" in thread.result.stderr
    assert not (control.root / "late").exists()
    assert "recording into" in control.ctl("status")


def test_marks_are_shown_and_bound_a_replay(pair, make_control):
    for server in (pair.production, pair.target):
        server.execute("DROP TABLE IF EXISTS part; CREATE TABLE part (name text)")
    control = make_control(pair.production.tcp)
    control.ctl("start", "one")
    for part, mark in (("first", "before the deploy"), ("second", "after it"), ("third", "twice"), ("fourth", "twice")):
        with control.proxy.connect() as client:
            client.execute(f"INSERT INTO part VALUES ('{part}')")
        await_condition(lambda: not control.admin.read("sessions")["sessions"], "the session to end")
        control.ctl("mark", *mark.split())
    control.ctl("stop")
    recording = control.root / "one"
    shown = run_understudy("show", recording, "--marks")
    assert shown.stderr == ""
    assert [line.split("  ", 1)[1] for line in shown.stdout.splitlines()] == ["before the deploy", "after it", "twice", "twice"]
    marks = json.loads(run_understudy("show", recording, "--marks", "--json").stdout)["marks"]
    assert [mark["text"] for mark in marks] == ["before the deploy", "after it", "twice", "twice"]
    assert run_understudy("verify", recording).returncode == 0
    replay_whole(recording, pair.uri, "--from-mark", "before the deploy", "--to-mark", "after it")
    with pair.target.connect() as connection:
        assert connection.execute("SELECT name FROM part").fetchall() == [("second",)]
    for mark, why in (("nowhere", "there are: \"before the deploy\""), ("twice", "several times")):
        refused = run_understudy("replay", recording, "--to", pair.uri, "--from-mark", mark)
        assert refused.returncode == 2 and why in refused.stderr, refused.stderr


@pytest.mark.parametrize("mode", ("relay", "trust"))
def test_nobody_notices_recordings_come_and_go(server, make_control, mode):
    control = make_control(server.tcp, *(["--auth", "trust"] if mode == "trust" else []))
    server.execute("DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers")
    subprocess.run([BIN / "pgbench", "-i", "-q"], env=control.proxy.environment, check=True, capture_output=True,
                   timeout=120)
    clients, each = 8, scaled(300, least=50)
    running = load(control.proxy, "-M", "prepared", "-c", clients, "-j", "2", "-t", each)
    rounds = 0
    while running.poll() is None:
        control.ctl("start", f"round{rounds}")
        control.ctl("mark", f"round {rounds}")
        control.ctl("stop")
        rounds += 1
    output = running.stdout.read()
    assert running.returncode == 0, output
    assert f"number of transactions actually processed: {clients * each}/{clients * each}" in output
    with psycopg.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres") as direct:
        assert direct.execute("SELECT count(*) FROM pgbench_history").fetchone()[0] == clients * each
    for n in range(rounds):
        assert run_understudy("verify", control.root / f"round{n}").returncode == 0
