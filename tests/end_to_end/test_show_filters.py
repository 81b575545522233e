"""Does a condition find the very statements and sessions it means? Do sums agree with what clients did, and does --follow
show it as it happens?"""

import json
import os
import re
import signal
import subprocess

import psycopg
import pytest

from postgres_server import BIN, Server
from processes import until_parent_ends
from understudy_process import Proxy, binary, run_understudy
from waiting import await_condition

ROUNDS = 20


@pytest.fixture(scope="module")
def recorded(template, tmp_path_factory):
    """Two users in two databases: reads, writes, errors of two kinds, one slow statement."""
    recording = tmp_path_factory.mktemp("recorded") / "recording"
    with Server(template) as server:
        server.start()
        server.execute("CREATE ROLE app LOGIN")
        server.execute("CREATE DATABASE shop OWNER app")
        with Proxy(server.tcp, record=recording) as proxy:
            with proxy.connect(user="app", dbname="shop", application_name="till 1") as client:
                client.execute("CREATE TABLE stock (id int PRIMARY KEY, n int)")
                for number in range(ROUNDS):
                    client.execute("INSERT INTO stock VALUES (%s, %s)", (number, 10))
                client.execute("UPDATE stock SET n = n - 1")
            with proxy.connect(user="app", dbname="shop", application_name="till 2", autocommit=True) as client:
                for number in range(ROUNDS):
                    client.execute(f"SELECT n FROM stock WHERE id = {number}")
                with pytest.raises(psycopg.errors.UniqueViolation):
                    client.execute("INSERT INTO stock VALUES (1, 1)")
                with pytest.raises(psycopg.errors.UndefinedTable):
                    client.execute("SELECT * FROM nowhere")
            with proxy.connect(application_name="slow", autocommit=True) as client:
                client.execute("SELECT pg_sleep(0.3)")
            subprocess.run([str(BIN / "pgbench"), "-i", "-q"], env={**proxy.environment, "PGAPPNAME": "pgbench"}, check=True,
                           capture_output=True, timeout=120)
            assert proxy.stop() == 0
    return recording


def show(recording, *arguments, status=0):
    shown = run_understudy("show", recording, *arguments)
    assert shown.returncode == status, shown.stderr
    return shown


def sessions(recording, condition):
    listed = json.loads(show(recording, "--where", condition, "--json").stdout)["sessions"]
    return {session["application"] for session in listed}


def top(recording, *arguments):
    return json.loads(show(recording, "--top", "1000", "--json", *arguments).stdout)


def test_conditions_find_sessions(recorded):
    everything = {"till 1", "till 2", "slow", "pgbench"}
    assert sessions(recorded, "session != 99.99") == everything
    assert sessions(recorded, "user = app and database != postgres") == {"till 1", "till 2"}
    assert sessions(recorded, "application = 'till*' and sqlstate = 23505") == {"till 2"}
    assert sessions(recorded, "sqlstate = 42*") >= {"till 2"}
    assert sessions(recorded, "duration > 250ms and statement contains pg_sleep") == {"slow"}
    assert sessions(recorded, "statement ~* '^update +stock'") == {"till 1"}
    assert sessions(recorded, "fingerprint = 'select n from stock where id = 4711'") == {"till 2"}
    assert sessions(recorded, "client = 127.0.0.0/8 and not user = postgres") == {"till 1", "till 2"}
    assert sessions(recorded, "client = 10.0.0.0/8 or gaps > 0") == set()
    assert sessions(recorded, "session_duration > 250ms and rows = 1 and statement ~ sleep") == {"slow"}
    assert sessions(recorded, "time > 1h") == set()
    assert sessions(recorded, "time < 1h") == everything


def test_the_older_options_and_a_condition_are_asked_together(recorded):
    listed = json.loads(show(recorded, "--user", "app", "--where", "rows > 5", "--json").stdout)["sessions"]
    assert {session["application"] for session in listed} == {"till 1"}


def test_an_error_points_at_its_place(recorded):
    shown = show(recorded, "--where", "user = app and owner = x", status=2)
    assert "--where, column 16: expected" in shown.stderr
    assert "\n  user = app and owner = x\n" + " " * 17 + "^" in shown.stderr


def test_top_counts_what_clients_did(recorded):
    summary = top(recorded)
    by_text = {one["statement"]: one for one in summary["statements"]}
    selects = by_text["SELECT n FROM stock WHERE id = $1"]
    assert selects["calls"] == ROUNDS and selects["rows"] == ROUNDS and selects["errors"] == 0
    inserts = by_text["INSERT INTO stock VALUES ($1, $2)"]
    assert inserts["calls"] == ROUNDS + 1 and inserts["errors"] == 1 and inserts["rows"] == ROUNDS
    sleep = next(one for text, one in by_text.items() if "pg_sleep" in text)
    assert sleep["calls"] == 1 and sleep["total_ns"] >= 300_000_000
    statistics = json.loads(show(recorded, "--stats", "--json").stdout)
    assert summary["all"]["calls"] == statistics["requests"]
    assert summary["all"]["errors"] == statistics["errors"]
    assert sum(one["calls"] for one in summary["statements"]) == statistics["requests"]


@pytest.mark.parametrize("by, key", (("time", "total_ns"), ("calls", "calls"), ("bytes", "bytes"), ("errors", "errors")))
def test_top_is_ordered(recorded, by, key):
    values = [one[key] for one in top(recorded, "--by", by)["statements"]]
    assert values == sorted(values, reverse=True) and values[0] > 0


def test_top_of_what_a_condition_means(recorded):
    summary = top(recorded, "--where", "user = app and sqlstate = 42P01")
    assert [one["statement"] for one in summary["statements"]] == ["SELECT * FROM nowhere"]
    assert summary["all"]["calls"] == summary["all"]["errors"] == 1


def test_top_fits_the_terminal(recorded):
    for columns in (40, 80, 120):
        shown = subprocess.run([binary(), "show", str(recorded), "--top", "5"], capture_output=True, text=True, timeout=60,
                               env={**os.environ, "COLUMNS": str(columns)})
        assert shown.returncode == 0
        lines = shown.stdout.splitlines()
        assert "pg_sleep" in shown.stdout and all(len(line) <= columns for line in lines), shown.stdout
    assert len(show(recorded, "--top").stdout.splitlines()) > 5


def test_bad_usage_of_the_new_options(recorded):
    for arguments in (("--top", "0"), ("--by", "time"), ("--top", "--by", "luck"), ("--top", "--stats"),
                      ("--session", "1.1", "--where", "user = x"), ("--where", ""), ("--follow", "--stats"),
                      ("--follow", "--where", "gaps > 0")):
        shown = show(recorded, *arguments, status=2)
        assert "--help" in shown.stderr


class Follower:
    def __init__(self, recording, *arguments):
        self.path = f"{recording}.followed-{len(arguments)}"
        with open(self.path, "w") as out:
            command = [binary(), "show", str(recording), "--follow", "--json", *arguments]
            self.process = subprocess.Popen(until_parent_ends(command, "KILL"), stdout=out, stderr=subprocess.PIPE,
                                            stdin=subprocess.DEVNULL, text=True)

    def statements(self):
        with open(self.path) as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]

    def await_statement(self, text):
        return await_condition(lambda: [one for one in self.statements() if text in one.get("statement", "")],
                               f"{text} to be shown")

    def end(self):
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


def test_follow_shows_statements_as_they_are_recorded_across_rotation(make_server, make_proxy, scratch):
    server = make_server()
    recording = scratch / "recording"
    proxy = make_proxy(server.tcp, "--record-segment-size", "1MiB", record=recording)
    with proxy.connect(autocommit=True) as client:
        client.execute("SELECT 'before'")
        await_condition(lambda: json.loads(show(recording, "--stats", "--json").stdout)["requests"],
                        "the first statement to be sealed")
        everything, errors = Follower(recording, "--from", "0s"), Follower(recording, "--from", "0s", "--where", "sqlstate = 22*")
        everything.await_statement("before")
        client.execute("PREPARE p AS SELECT 'prepared', repeat('x', $1)")

        def rotated():
            """A segment ends when there is more to write than fits. Incompressible, so that this is soon."""
            client.execute("SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20000)")
            return len(list(recording.glob("*.transcript"))) >= 2
        await_condition(rotated, "a rotation")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1 / 0")
        client.execute("SELECT 'behind'")
        everything.await_statement("behind")
        errors.await_statement("1 / 0")
    os.kill(errors.process.pid, signal.SIGINT)
    status, said = errors.end()
    assert status == 0 and "stopped; the recording goes on" in said
    assert [one["sqlstate"] for one in errors.statements()] == ["22012"]
    assert proxy.stop() == 0
    status, said = everything.end()
    assert status == 0 and "the recording has ended" in said
    statistics = json.loads(run_understudy("show", recording, "--stats", "--json").stdout)
    assert len(everything.statements()) == statistics["requests"]
    plain = run_understudy("show", recording, "--follow", "--from", "0s")
    assert plain.returncode == 0 and len(plain.stdout.splitlines()) == statistics["requests"]
    assert re.search(r"^\S+Z  1\.1  postgres@postgres  .* ERROR 22012 division by zero  SELECT 1 / 0$", plain.stdout,
                     re.MULTILINE)


def test_a_replay_leaves_out_what_a_condition_does_not_mean(make_server, make_proxy, scratch):
    server, target = make_server(name="recorded"), make_server(name="target")
    for one in (server, target):
        one.execute("CREATE TABLE t (name text)")
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    for name in ("one", "two", "three"):
        with proxy.connect(application_name=name) as client:
            client.execute("INSERT INTO t VALUES (%s)", (name,))
            if name != "one":
                client.execute(f"SELECT count(*) FROM t WHERE name <> '{name}'")
    assert proxy.stop() == 0
    replayed = run_understudy("replay", scratch / "recording", "--to", f"postgresql://postgres@{target.tcp}/postgres", "--json",
                              "--where", "statement ~ count and not application = two")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["sessions_skipped"] == 2
    with target.connect() as connection:
        assert connection.execute("SELECT name FROM t").fetchall() == [("three",)]
