"""Does an exported script do again what was recorded, and only that? Are JSON lines complete?"""

import datetime
import decimal
import json
import os
import re
import subprocess
import uuid

import psycopg
import pytest
from psycopg.pq import DiagnosticField, ExecStatus

from postgres_server import BIN, Server
from understudy_process import run_understudy
from waiting import scaled

UNIQUE_VIOLATION, FOREIGN_KEY_VIOLATION = b"23505", b"23503"


@pytest.fixture
def servers(template):
    """The one recorded, and one with the same data for the script."""
    with Server(template, name="recorded") as recorded:
        recorded.start()
        recorded.execute("CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric, at timestamptz, raw bytea, "
                         "tags text[], key uuid, parent int REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
        subprocess.run([str(BIN / "pgbench"), "-i", "-q", "-h", "127.0.0.1", "-p", str(recorded.port), "-U", "postgres",
                        "postgres"], check=True, capture_output=True, timeout=120)
        recorded.stop()
        with Server(recorded.data, name="target") as target:
            yield recorded.start(), target.start()


def psql(environment, *arguments, script=None):
    return subprocess.run([str(BIN / "psql"), "-X", *arguments], env=environment, input=script, text=True,
                          capture_output=True, timeout=300)


def target_environment(server):
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres",
            "PGDATABASE": "postgres"}


def contents(server, table, columns="*"):
    with server.connect() as connection:
        return sorted(map(repr, connection.execute(f"SELECT {columns} FROM {table}").fetchall()))


def export_and_run(recording, target, scratch, *arguments):
    """The script, run with every error fatal; what export said of it."""
    script = scratch / "script.sql"
    exported = run_understudy("export", recording, "--format", "sql", "--output", script)
    assert exported.returncode == 0, exported.stderr
    ran = psql(target_environment(target), "-v", "ON_ERROR_STOP=1", "-q", "-f", str(script), *arguments)
    assert ran.returncode == 0, ran.stderr + script.read_text(errors="replace")
    return script.read_text(errors="replace"), exported.stderr


PSQL_SESSION = r"""
INSERT INTO t (id, name) VALUES (1, 'one'), (2, E'two\n\t\\'), (3, 'it''s'), (4, $$;\.$$), (5, ':name \! x');
BEGIN; INSERT INTO t (id) VALUES (10); INSERT INTO t (id) VALUES (1); COMMIT;
BEGIN; INSERT INTO t (id) VALUES (11); SAVEPOINT a; INSERT INTO t (id) VALUES (1);
ROLLBACK TO a; INSERT INTO t (id) VALUES (12); COMMIT;
INSERT INTO t (id) VALUES (13)\; INSERT INTO t (id) VALUES (14)\; INSERT INTO t (id) VALUES (1);
INSERT INTO t (id) VALUES (15)\; INSERT INTO t (id, name) VALUES (16, 'a;b') -- both;
;
SELECT 'not closed;
';
SELEKT 'a syntax error (';
COPY t (id, name) FROM STDIN;
20	copied\tand\\more
21	\N
\.
COPY t (id, name) FROM STDIN CSV;
22,"two
lines"
\.
COPY t (id) FROM STDIN;
23
not a number
\.
INSERT INTO t (id, tags) SELECT 30, (ARRAY['a','b','c'])[1:2];
SET standard_conforming_strings = off;
INSERT INTO t (id, name) VALUES (31, 'a\'b\\c'); 
RESET standard_conforming_strings;
INSERT INTO t (id, name) VALUES (32, 'a\b');
SET timezone = 'America/New_York';
INSERT INTO t (id, at) VALUES (33, '2026-01-01 00:00');
BEGIN; DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id; FETCH 2 FROM c; DELETE FROM t WHERE CURRENT OF c; COMMIT;
DO $do$ BEGIN INSERT INTO t (id, name) VALUES (34, 'done'); END $do$;
CREATE TEMP TABLE gone (x int); PREPARE p (int) AS INSERT INTO t (id) VALUES ($1); EXECUTE p (35);
BEGIN; INSERT INTO t (id) VALUES (36);
"""


def run_pipeline(proxy, *statements):
    """The SQLSTATE of each error it answers. In libpq's words: psycopg's own pipeline may stop at an error before all is
    sent, and where a Sync fails there are more results than it waits for (IndexError, if they come soon enough)."""
    with proxy.connect() as client:
        connection = client.pgconn
        connection.enter_pipeline_mode()
        for statement in statements:
            connection.send_query_params(statement, None)
        connection.pipeline_sync()
        errors = []
        result = connection.get_result()
        while result is None or result.status != ExecStatus.PIPELINE_SYNC:  # None ends the results of one statement
            if result is not None and result.status == ExecStatus.FATAL_ERROR:
                errors.append(result.error_field(DiagnosticField.SQLSTATE))
            result = connection.get_result()
        connection.exit_pipeline_mode()
    return errors


def say_in_psycopg(proxy):
    with proxy.connect() as client:
        for form in ("s", "b", "t"):
            offset = {"s": 100, "b": 200, "t": 300}[form]
            mark = "%" + form
            client.execute(f"INSERT INTO t VALUES ({', '.join([mark] * 7)})",
                           (offset, "quote ' backslash \\ ünï", decimal.Decimal("-12345.678900"),
                            datetime.datetime(1999, 12, 31, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc),
                            b"\x00'\\\xff", ["a", 'b"c', None, "d,e"], uuid.UUID(int=offset)))
            client.execute(f"UPDATE t SET parent = {mark} WHERE id = {mark}", (offset, offset), prepare=True)
        client.execute("INSERT INTO t (id, name) VALUES (%b, %b)", (400, None))
        with client.pipeline():
            for number in range(500, 510):
                client.execute("INSERT INTO t (id) VALUES (%s)", (number,))
        # A pipeline is one transaction: nothing of this one stays, and nothing behind its error is run.
        assert run_pipeline(proxy, b"INSERT INTO t (id) VALUES (600)", b"INSERT INTO t (id) VALUES (500)",
                            b"INSERT INTO t (id) VALUES (601)") == [UNIQUE_VIOLATION]
        # Fails only when it commits.
        assert run_pipeline(proxy, b"INSERT INTO t (id, parent) VALUES (610, 99999)") == [FOREIGN_KEY_VIOLATION]
        with client.cursor() as cursor, cursor.copy("COPY t (id, name) FROM STDIN") as copy:
            for number in range(700, 703):
                copy.write_row((number, "tab\there\\"))
        with client.transaction():
            client.execute("DELETE FROM t WHERE id = 700")
        with client.cursor(name="server_side") as cursor:
            cursor.itersize = 2
            client.execute("BEGIN")
            cursor.execute("SELECT id FROM t ORDER BY id")
            assert len(cursor.fetchmany(3)) == 3
            client.execute("COMMIT")


def test_a_script_gives_the_same_tables(servers, make_proxy, scratch):
    recorded, target = servers
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    psql(proxy.environment, script=PSQL_SESSION)
    say_in_psycopg(proxy)
    assert proxy.stop() == 0
    before = contents(target, "t")
    script, said = export_and_run(scratch / "recording", target, scratch)
    after = contents(recorded, "t")
    assert len(after) > 30 and after != before
    assert contents(target, "t") == after, script
    assert "left out" not in said, said
    for marked in ("-- failed, 23505", "-- failed, 42601", "-- undone, by the error after it",
                   "-- not run, after the error before it", "BEGIN;  -- a pipeline, one transaction"):
        assert marked in script, marked


@pytest.mark.parametrize("mode", ("simple", "extended", "prepared"))
def test_a_script_of_pgbench_gives_the_same_tables(servers, make_proxy, scratch, mode):
    recorded, target = servers
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    subprocess.run([str(BIN / "pgbench"), "-n", "-c", "4", "-t", str(scaled(200, least=10)), "-M", mode],
                   env=proxy.environment, check=True, capture_output=True, timeout=300)
    assert proxy.stop() == 0
    export_and_run(scratch / "recording", target, scratch, "-o", "/dev/null")
    for table, columns in (("pgbench_accounts", "*"), ("pgbench_branches", "*"), ("pgbench_tellers", "*"),
                           ("pgbench_history", "tid, bid, aid, delta")):
        assert contents(target, table, columns) == contents(recorded, table, columns), table
    assert contents(target, "pgbench_history", "count(*)") == [f"({4 * scaled(200, least=10)},)"]


def test_sessions_in_other_databases_find_them(servers, make_proxy, scratch):
    recorded, target = servers
    for server in servers:
        server.execute("CREATE DATABASE \"other 'base\\\"")
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    for database in ("postgres", "other 'base\\", "postgres"):
        with proxy.connect(dbname=database) as client:
            client.execute("CREATE TABLE IF NOT EXISTS here (at serial, name text)")
            client.execute("INSERT INTO here (name) VALUES (current_database())")
    assert proxy.stop() == 0
    export_and_run(scratch / "recording", target, scratch)
    for server in servers:
        with server.connect(dbname="other 'base\\") as client:
            assert client.execute("SELECT name FROM here").fetchall() == [("other 'base\\",)]
        assert contents(server, "here", "name") == ["('postgres',)"] * 2


def test_a_client_that_could_not_log_in_does_not_end_the_script(servers, make_proxy, scratch):
    recorded, target = servers
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    for database, name in (("postgres", "one"), ("no such", None), ("postgres", "two")):
        if name is None:
            with pytest.raises(psycopg.OperationalError, match="does not exist"):
                proxy.connect(dbname=database)
            continue
        with proxy.connect(dbname=database) as client:
            client.execute("CREATE TABLE IF NOT EXISTS here (name text)")
            client.execute("INSERT INTO here VALUES (%s)", (name,))
    assert proxy.stop() == 0
    script, _ = export_and_run(scratch / "recording", target, scratch)
    assert '-- failed, 3D000 database "no such" does not exist\n' in script
    assert contents(target, "here", "name") == ["('one',)", "('two',)"]


def test_nothing_a_client_sends_becomes_a_command_of_psql(servers, make_proxy, scratch):
    recorded, target = servers
    mark = scratch / "a client's command was run"
    shell = f"\\! touch '{mark}'"
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    with proxy.connect(application_name=f"name\n{shell}\n") as client:
        for sql in (shell, f"SELECT 1;\n{shell}\n", f"SELECT '\n{shell}\n'", f"SELECT 1 /*\n{shell}\n*/", f"SELECT $$\n{shell}\n$$",
                    f"SELECT 'a\\'; \n{shell}\n --'", f"SELECT ('\n{shell}", f"SELECT 1 --\r{shell}\n",
                    f'SELECT 1 AS "\n{shell}\n"'):
            try:
                client.execute(sql)
            except Exception:  # the server's opinion of it does not matter here
                pass
        client.execute("SELECT %s, %s", (f"\n{shell}\n", f"\\'\n{shell}\n"))
        # The COPY will fail in the script: its data must not be read as commands.
        client.execute("CREATE TABLE only_here (a text)")
        with client.cursor() as cursor, cursor.copy("COPY only_here FROM STDIN") as copy:
            copy.write(f"x\n{shell}\n")
        client.execute("SELECT 'after the copy'")
    assert proxy.stop() == 0
    target.execute("CREATE TABLE only_here (a int)")
    script = scratch / "script.sql"
    assert run_understudy("export", scratch / "recording", "--format", "sql", "--output", script).returncode == 0
    ran = psql(target_environment(target), "-f", str(script))
    assert not mark.exists(), script.read_text()
    assert ran.returncode == 3 and "after the copy" not in ran.stdout  # it ended at the COPY that failed


def test_json_lines_hold_everything_in_order_of_time(servers, make_proxy, scratch):
    recorded, _ = servers
    proxy = make_proxy(recorded.tcp, record=scratch / "recording")
    psql(proxy.environment, script=PSQL_SESSION)
    say_in_psycopg(proxy)
    subprocess.run([str(BIN / "pgbench"), "-n", "-c", "4", "-j", "4", "-t", str(scaled(100, least=10))],
                   env=proxy.environment, check=True, capture_output=True, timeout=300)
    assert proxy.stop() == 0
    exported = run_understudy("export", scratch / "recording", "--format", "jsonl")
    assert exported.returncode == 0
    items = [json.loads(line) for line in exported.stdout.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", item["time"]) for item in items)
    assert [item["time"] for item in items] == sorted(item["time"] for item in items)
    assert {item["direction"] for item in items if "direction" in item} == {"client", "server"}
    assert any(item.get("sql", "").startswith("INSERT INTO t (id, name) VALUES (1, 'one')") for item in items)
    bound = [value for item in items if item["type"] == "Bind" for value in item["parameters"]]
    assert {"hex": "0027" + "5cff", "format": "binary"} in bound
    assert "quote ' backslash \\ ünï" in bound and None in bound
    assert any("700\ttab\\there\\\\\n" in str(item.get("data")) for item in items if item["type"] == "CopyData")
    # As many as `show --stats` counts, and what one session said is the same by itself.
    statistics = json.loads(run_understudy("show", scratch / "recording", "--stats", "--json").stdout)
    messages = [item for item in items if item["type"][0].isupper()]
    assert len(messages) == statistics["client_messages"] + statistics["server_messages"]
    alone = run_understudy("export", scratch / "recording", "--format", "jsonl", "--session", "1.2").stdout
    assert [json.loads(line) for line in alone.splitlines()] == [item for item in items if item["session"] == "1.2"]
