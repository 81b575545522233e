"""Does a diff show what differs between two real servers, all of it, and nothing else?"""

import json
import os
import re
import subprocess
import threading

import psycopg
import pytest

from postgres_server import BIN
from processes import until_parent_ends
from understudy_process import binary, run_understudy
from waiting import await_condition, scaled

STARTING_DATA = """
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), stock int);
INSERT INTO product SELECT n, 'product ' || n, n * 1.25, 100 FROM generate_series(1, 5000) n;
CREATE INDEX product_name ON product (name);
CREATE TABLE sale (id int PRIMARY KEY, product int, amount int);
CREATE FUNCTION checked(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
ANALYZE;
"""


def workload(connection):
    """A client of few words: one session, simple and extended protocol, a transaction, an error, COPY."""
    execute = connection.execute
    execute("SELECT id, name, price FROM product WHERE id BETWEEN 5 AND 9 ORDER BY id").fetchall()
    execute("SELECT name, price FROM product WHERE id = %s", [7]).fetchone()
    execute("SELECT checked(%s)", ["it is"])
    with connection.transaction():
        execute("INSERT INTO sale VALUES (1, 7, %s)", [3])
        execute("UPDATE product SET stock = stock - 3 WHERE id = 7")
    with pytest.raises(psycopg.errors.DivisionByZero):
        execute("SELECT 1 / 0")
    with connection.cursor() as cursor:
        with cursor.copy("COPY sale FROM STDIN") as copy:
            copy.write("2\t8\t1\n3\t9\t1\n")
        with cursor.copy("COPY (SELECT * FROM sale ORDER BY id) TO STDOUT") as copy:
            assert len(list(copy)) == 3
    execute("EXPLAIN (COSTS OFF) SELECT * FROM product WHERE name = 'product 7'").fetchall()
    execute("SELECT pg_backend_pid(), version()")


class Outcome:
    """What a diff answered."""

    def __init__(self, arguments):
        run = run_understudy("diff", *arguments)
        self.status, self.text, self.errors = run.returncode, run.stdout, run.stderr
        assert "Sanitizer" not in self.errors and "runtime error" not in self.errors, self.errors
        if "-" not in arguments:
            assert [line for line in self.text.splitlines() if len(line) > 100] == []


class Stage:
    """A server in production and another with the same data; recordings between them."""

    def __init__(self, make_server, make_proxy, scratch):
        self._make_server, self._make_proxy, self.scratch = make_server, make_proxy, scratch
        self.production = make_server()
        self.production.execute(STARTING_DATA)
        self.target = self.server()

    def server(self):
        """A server with the data that production has now."""
        self.production.stop()
        copy = self._make_server(template=self.production.data)
        self.production.start()
        return copy

    def proxy(self, recording):
        return self._make_proxy(self.production.tcp, record=recording)

    def record(self, client=workload, name="production", server=None):
        proxy = self._make_proxy((server or self.production).tcp, record=self.scratch / name)
        with proxy.connect() as connection:
            client(connection)
        assert proxy.stop() == 0
        return self.scratch / name

    def replay(self, recording, name="replay", server=None, arguments=(), status=0):
        target = (server or self.target).tcp
        run = run_understudy("replay", recording, "--to", f"postgresql://postgres@{target}/postgres", "--speed", "max",
                             "--record", self.scratch / name, *arguments)
        assert run.returncode == status, run.stdout + run.stderr
        return self.scratch / name

    def diff(self, *arguments):
        return Outcome(arguments)

    def differences(self, a, b):
        """All of them, as JSON tells them; the summary's numbers agree with the list."""
        file = self.scratch / "diff.json"
        outcome = self.diff(a, b, "--json", file)
        told = json.loads(file.read_text(encoding="utf-8"))
        assert told["same"] == (outcome.status != 1) == (not told["differences"]), outcome.text
        assert told["complete"] or outcome.status != 0, outcome.text
        assert told["summary"]["differences"] == len(told["differences"])
        return told["differences"]

    def replayed(self, change, client=workload, status=0):
        """What differs when the client is replayed on a server with that change."""
        self.target.execute(change)
        recording = self.record(client)
        return self.differences(recording, self.replay(recording, status=status))


@pytest.fixture
def stage(make_server, make_proxy, scratch):
    return Stage(make_server, make_proxy, scratch)


def test_the_same_data_give_the_same_replies(stage):
    recording = stage.record()
    outcome = stage.diff(recording, stage.replay(recording))
    assert outcome.status == 0, outcome.text
    assert outcome.text.startswith("Same: ")
    assert "B replays A" in outcome.text
    assert re.search(r"process ids +1\n", outcome.text), outcome.text
    assert stage.differences(stage.scratch / "replay", recording) == []  # also the other way round


def test_a_changed_row_is_shown_with_its_column(stage):
    found = stage.replayed("UPDATE product SET price = 99.99 WHERE id = 7")
    assert [each["class"] for each in found] == ["rows", "rows"]
    example = found[0]["rows"]["examples"][0]
    assert (example["a"], example["b"]) == ("7 | product 7 | 8.75", "7 | product 7 | 99.99")
    assert [found[0]["columns"][column] for column in example["columns"]] == ["price"]
    assert found[1]["parameters"]
    assert found[1]["statement"] == "SELECT name, price FROM product WHERE id = $1"


def test_a_missing_index_is_shown_by_its_plan(stage):
    found = stage.replayed("DROP INDEX product_name")
    assert [each["class"] for each in found] == ["rows"]
    example = found[0]["rows"]["examples"][0]
    assert (example["a"], example["b"]) == ("Index Scan using product_name on product", "Seq Scan on product")


def test_a_changed_column_type_is_shown_by_name(stage):
    found = stage.replayed("ALTER TABLE product ALTER price TYPE numeric(12,3)")
    assert found[0]["class"] == "columns"
    assert (found[0]["a"], found[0]["b"]) == ("price numeric(10,2)", "price numeric(12,3)")
    assert not found[0]["downstream"]
    assert all(each["downstream"] for each in found if each["exchange"] == found[0]["exchange"] and each != found[0])


def test_a_dropped_table_is_a_new_error_and_the_rest_of_its_transaction_follows(stage):
    found = stage.replayed("DROP TABLE sale")
    kinds = [(each["class"], each["downstream"]) for each in found]
    assert kinds[0] == ("new_error", False)
    assert found[0]["b"] == 'ERROR 42P01: relation "sale" does not exist'
    assert ("new_error", True) in kinds, "25P02 of the statements after it"
    assert ("command_tag", True) in kinds, "COMMIT became ROLLBACK"
    copies = [each for each in found if "COPY" in each["statement"]]
    assert [each["class"] for each in copies] == ["new_error", "new_error"]
    assert not any(each["downstream"] for each in copies)


def test_an_added_constraint_is_a_new_error(stage):
    found = stage.replayed("ALTER TABLE sale ADD CONSTRAINT few CHECK (amount < 3)")
    assert found[0]["class"] == "new_error"
    assert found[0]["b"].startswith("ERROR 23514: ")


def test_another_order_of_rows_is_no_other_rows(stage):
    def client(connection):
        connection.execute("SELECT id, name FROM product").fetchall()
        connection.execute("SELECT id, name FROM product ORDER BY id").fetchall()
    found = stage.replayed("UPDATE product SET stock = stock WHERE id < 20", client)
    assert [each["class"] for each in found] == ["row_order"]
    outcome = stage.diff(stage.scratch / "production", stage.scratch / "replay")
    assert "It has no ORDER BY" in outcome.text


def test_a_server_that_ends_a_session_is_one_difference(stage):
    def client(connection):
        for n in range(10):
            connection.execute("SELECT checked(%s)", [str(n)])
    found = stage.replayed("""CREATE OR REPLACE FUNCTION checked(text) RETURNS text LANGUAGE sql AS
                              $$SELECT CASE WHEN $1 = '5' THEN pg_terminate_backend(pg_backend_pid())::text ELSE $1 END$$""",
                           client, status=3)
    assert [each["class"] for each in found] == ["new_error"], found
    assert found[0]["b"].startswith("FATAL 57P01: ")
    outcome = stage.diff(stage.scratch / "production", stage.scratch / "replay")
    assert re.search(r"exchanges without a counterpart +4\n", outcome.text), outcome.text


def test_other_settings_of_a_server_are_shown_at_login(stage):
    found = stage.replayed("ALTER DATABASE postgres SET timezone = 'Asia/Kolkata'")
    assert [(each["class"], each["a"], each["b"]) for each in found] == [
        ("login", "TimeZone = UTC", "TimeZone = Asia/Kolkata")]


def test_two_replays_are_compared_by_what_they_replay(stage):
    recording = stage.record()
    other = stage.server()
    other.execute("UPDATE product SET price = 1 WHERE id = 5")
    first = stage.replay(recording)
    second = stage.replay(recording, "second", other)
    outcome = stage.diff(first, second)
    assert outcome.status == 1
    assert "both replay the same recording" in outcome.text
    assert "5 | product 5 | 6.25" in outcome.text and "5 | product 5 | 1.00" in outcome.text


def test_two_recordings_of_the_same_client_are_compared_by_name(stage):
    first = stage.record()
    second = stage.record(name="second", server=stage.target)
    outcome = stage.diff(first, second)
    assert outcome.status == 0, outcome.text
    assert "neither replays the other" in outcome.text


def test_a_recording_is_the_same_as_itself(stage):
    recording = stage.record()
    outcome = stage.diff(recording, recording)
    assert outcome.status == 0, outcome.text


def test_mapped_users_are_no_difference(stage):
    for server in (stage.production, stage.target):
        server.execute("CREATE ROLE app LOGIN; CREATE ROLE rehearsal SUPERUSER LOGIN")
        server.execute("CREATE DATABASE shop")

    recording = stage.scratch / "production"
    proxy = stage.proxy(recording)
    with proxy.connect(user="app", dbname="postgres") as connection:
        connection.execute("SELECT current_user, current_database()").fetchone()
    assert proxy.stop() == 0
    replay = stage.replay(recording, arguments=["--user-map", "app=rehearsal", "--database-map", "postgres=shop"])
    outcome = stage.diff(recording, replay)
    assert outcome.status == 0, outcome.text
    assert "mapped users and databases" in outcome.text


def test_sessions_that_overlap_are_compared_each_with_its_own(stage):
    """In whatever order a replay opens and runs them."""
    recording = stage.scratch / "production"
    proxy = stage.proxy(recording)

    def client(number):
        with proxy.connect() as connection:
            for n in range(50):
                assert connection.execute("SELECT %s::int, %s::int", [number, n]).fetchone() == (number, n)
    clients = [threading.Thread(target=client, args=[number]) for number in range(20)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert proxy.stop() == 0
    for order in ("session", "causal"):
        replay = stage.replay(recording, order, arguments=["--order", order])
        file = stage.scratch / "diff.json"
        outcome = stage.diff(recording, replay, "--json", file)
        assert outcome.status == 0, outcome.text
        told = json.loads(file.read_text())
        assert told["summary"]["sessions"] == 20
        assert told["summary"]["exchanges"] >= 20 * 50


def test_a_recording_cut_off_by_a_crash_shows_no_difference(stage):
    """What was not recorded any more is not taken for what a server did not say."""
    recording = stage.scratch / "production"
    proxy = stage.proxy(recording)
    subprocess.run([BIN / "pgbench", "-i", "-q", "-h", "127.0.0.1", "-p", str(stage.production.port), "-U", "postgres",
                    "postgres"], check=True, capture_output=True, timeout=120)
    target = stage.server()
    # Waits for a lock that nobody holds at the target: one request is on record without its reply, on any machine.
    lock = "SELECT pg_advisory_lock(1)"
    holder, held_up = stage.production.connect(), proxy.connect()
    holder.execute(lock)
    held_up.pgconn.send_query(lock.encode())
    await_condition(lambda: lock in run_understudy("show", recording, "--session", "1.1").stdout, f"{lock} to be recorded")
    load = subprocess.Popen(until_parent_ends([str(BIN / "pgbench"), "-n", "-S", "-c", "8", "-T", "60", "-M", "prepared"],
                                              "KILL"), env=proxy.environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    least = scaled(1_000_000, least=100_000)
    await_condition(lambda: sum(path.stat().st_size for path in recording.glob("*.transcript")) > least,
                    f"{least} bytes to be recorded")
    proxy.kill()
    load.wait(60)
    held_up.close()
    holder.close()
    outcome = stage.diff(recording, stage.replay(recording, server=target, arguments=["--order", "session"]))
    assert outcome.status == 3 and outcome.text.startswith("Same, as far as it could be compared"), outcome.text


def test_json_on_standard_output_is_all_there_is(stage):
    recording = stage.record()
    told = json.loads(stage.diff(recording, recording, "--json", "-").text)
    assert told["same"] and told["summary"]["exchanges"] > 10
    assert all(latency["a"]["count"] > 0 for latency in told["latency"])


def test_sessions_of_one_recording_only(stage):
    recording = stage.record(lambda connection: connection.execute("SELECT 1"))
    with_more = stage.record(lambda connection: connection.execute("SELECT 1"), "more")
    stage.record(lambda connection: connection.execute("SELECT 1"), "more")  # the directory's second run
    outcome = stage.diff(recording, with_more)
    assert outcome.status == 1
    assert "session in one recording only" in outcome.text
    assert stage.diff(recording, with_more, "--ignore-unpaired").status == 0


def refusal(*arguments):
    run = run_understudy("diff", *arguments)
    assert run.returncode == 2, run.stdout + run.stderr
    return run.stderr


def test_recordings_that_cannot_be_read_are_refused_by_name(stage):
    recording = stage.record()
    [segment] = recording.glob("*.transcript")
    whole = segment.read_bytes()

    assert "nowhere" in refusal(recording, stage.scratch / "nowhere")
    assert "two recordings" in refusal(recording)
    foreign = stage.scratch / "foreign.transcript"
    foreign.write_bytes(b"not a transcript at all" * 100)
    assert re.search(r"foreign\.transcript.*byte 0", refusal(foreign, recording))
    empty = stage.scratch / "empty.transcript"
    empty.write_bytes(whole[:20])
    assert "empty.transcript" in refusal(empty, recording)
    assert "cannot be written" in refusal(recording, recording, "--json", stage.scratch / "no" / "such.json")


def test_a_truncated_recording_is_compared_as_far_as_it_goes(stage):
    recording = stage.record()
    [segment] = recording.glob("*.transcript")
    whole = segment.read_bytes()
    cut = stage.scratch / "cut.transcript"
    cut.write_bytes(whole[:len(whole) // 2])
    outcome = stage.diff(cut, recording)
    assert re.search(r"cut\.transcript, offset \d+: ", outcome.errors), outcome.errors
    assert outcome.status == 2, outcome.text  # its only chunk is the one cut off
    assert "nothing was compared" in outcome.errors


def test_a_full_disk_is_no_success(stage):
    recording = stage.record()
    full = "/dev/full"
    assert os.path.exists(full)
    assert refusal(recording, recording, "--json", full)


def read_by_nobody(*arguments, restore_signals):
    """The exit status and errors of a command whose standard output was closed before it wrote anything."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = subprocess.run([binary(), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE,
                             text=True, timeout=120, restore_signals=restore_signals)
    finally:
        os.close(writing)
    return run.returncode, run.stderr


@pytest.mark.parametrize("restore_signals", (True, False))  # SIGPIPE as a shell leaves it, and ignored
def test_a_reader_that_has_seen_enough_is_told_nothing(stage, restore_signals):
    production = stage.record()
    stage.target.execute("UPDATE product SET price = 99.99 WHERE id = 7")
    replayed = stage.replay(production)
    for options in ((), ("--json", "-"), ("--json", stage.scratch / "all.json")):
        status, errors = read_by_nobody("diff", production, replayed, *options, restore_signals=restore_signals)
        assert (status, errors) == (1, ""), options
    assert json.loads((stage.scratch / "all.json").read_text())["differences"]
    for command in (("show", production), ("show", production, "--session", "1.1"), ("show", production, "--stats"),
                    ("export", production, "--format", "jsonl"), ("export", production, "--format", "sql"),
                    ("verify", production)):
        status, errors = read_by_nobody(*command, restore_signals=restore_signals)
        assert status == 0 and not re.search("written|pipe", errors, re.IGNORECASE), (command, errors)
