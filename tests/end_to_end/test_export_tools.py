"""What do other programs make of an export? tshark and our own capture of packets, pgreplay of a log, psql of scripts,
pgbench of transactions, PostgreSQL of tables."""

import csv
import json
import os
import re
import shlex
import subprocess

import psycopg
import pytest

from capturing import record_files
from postgres_server import BIN, Server
from processes import make_directory, remove_directory
from transcripts import CLIENT, SERVER, process_id, read_sessions, stream
from understudy_process import Proxy, run_understudy
from waiting import free_port, scaled

PASSWORD = "a password nobody may read"

SCRIPT = r"""
CREATE TABLE t (id int PRIMARY KEY, name text);
INSERT INTO t VALUES (1, 'one'), (2, E'two\n"quoted", \\ it''s');
COPY t FROM STDIN;
3	three
\.
COPY t TO STDOUT;
INSERT INTO t VALUES (1, 'again');
BEGIN; UPDATE t SET name = 'more' WHERE id = 1; SAVEPOINT s; SELECT 1/0; ROLLBACK TO s; COMMIT;
SELECT repeat('long ', 40000);
"""


def psql(environment, *arguments, script=None):
    return subprocess.run([str(BIN / "psql"), "-X", *arguments], env=environment, input=script, text=True,
                          capture_output=True, timeout=120)


def environment_of(server, database="postgres"):
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres",
            "PGDATABASE": database}


def export(recording, *arguments):
    exported = run_understudy("export", recording, *arguments)
    assert exported.returncode == 0, exported.stderr
    return exported


def say_in_psycopg(proxy, user="postgres", **options):
    with proxy.connect(user=user, autocommit=True, **options) as client:
        client.execute("SELECT %s::int + %s", (1, 2), prepare=True)
        client.execute("SELECT %b::text, %b::int8", ("it's \\ ünï", 2**40))
        with client.pipeline():
            for number in range(5):
                client.execute("SELECT generate_series(1, %s)", (number,))
        with pytest.raises(psycopg.Error), client.pipeline():
            client.execute("SELECT 'before the error'")
            client.execute("SELECT 1 / %s", (0,))
            client.execute("SELECT 'behind the error'")


def contents(server, query):
    with server.connect() as connection:
        return sorted(map(repr, connection.execute(query).fetchall()))


@pytest.fixture(scope="module")
def recorded(template, tmp_path_factory):
    """A recording of clients that log in with and without a password, over TCP and a Unix socket; and its server's port."""
    recording = tmp_path_factory.mktemp("recorded") / "recording"
    sockets = make_directory("sockets")
    hba = "local all all trust\nhost all scram all scram-sha-256\nhost all all all trust\n"
    with Server(template, hba=hba) as server:
        server.start()
        server.execute(f"CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'")
        listen = [f"127.0.0.1:{free_port()}", f"{sockets}:5432"]
        with Proxy(server.tcp, listen=listen, record=recording) as proxy:
            assert psql(proxy.environment, script=SCRIPT).returncode == 0
            say_in_psycopg(proxy)
            say_in_psycopg(proxy, user="scram", password=PASSWORD)
            psql({**proxy.environment, "PGHOST": sockets, "PGPORT": "5432"}, "-c",
                 f"ALTER ROLE scram PASSWORD '{PASSWORD}'", "-c", "SELECT 'by the socket'")
            subprocess.run([str(BIN / "pgbench"), "-i", "-q"], env=proxy.environment, check=True, capture_output=True,
                           timeout=120)
            assert proxy.stop() == 0
        port = server.port
    remove_directory(sockets)
    return recording, port


def tshark(file, port, *arguments):
    ran = subprocess.run(["tshark", "-n", "-r", str(file), "-d", f"tcp.port=={port},pgsql", *arguments], text=True,
                         capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_tshark_decodes_every_packet_of_a_pcapng_file(recorded, scratch):
    recording, port = recorded
    file = scratch / "all.pcapng"
    said = export(recording, "--format", "pcapng", "--output", file).stderr
    assert "1 session with addresses made up" in said
    wrong = tshark(file, port, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
                   "_ws.malformed or tcp.checksum.status == 0 or ip.checksum.status == 0 or tcp.analysis.lost_segment or "
                   "tcp.analysis.retransmission or tcp.analysis.ack_lost_segment")
    assert wrong == ""
    queries = tshark(file, port, "-Y", "pgsql.query", "-T", "fields", "-e", "pgsql.query")
    for text in ("SELECT 1/0", "SELECT repeat('long ', 40000);", "SELECT 'by the socket'"):
        assert text in queries, text
    comments = tshark(file, port, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment")
    assert "a SASL message of the client was here, and was never recorded" in comments
    assert "is overwritten in what follows" in comments and "addresses here are made up" in comments
    assert PASSWORD.encode() not in file.read_bytes()


def test_a_capture_of_the_exported_packets_is_the_same_recording(recorded, scratch):
    recording, _ = recorded
    file = scratch / "all.pcapng"
    export(recording, "--format", "pcapng", "--output", file)
    summary = record_files(scratch / "again", file)
    once, again = ({process_id(events): events for events in read_sessions(path).values()}
                   for path in (recording, scratch / "again"))
    assert once.keys() == again.keys() and len(once) >= 5 and None not in once, summary
    for process, events in once.items():
        for side in (CLIENT, SERVER):
            assert stream(events, side) == stream(again[process], side)


def test_pcapng_of_the_sessions_a_condition_means(recorded, scratch):
    recording, port = recorded
    file = scratch / "some.pcapng"
    said = export(recording, "--format", "pcapng", "--where", "user = scram", "--output", file).stderr
    assert " of 1 session" in said
    assert "by the socket" not in tshark(file, port, "-V")


def table(directory, name):
    with open(directory / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def statements_by_session(recording, directory):
    """What each session asked for and how it ended, in order; sessions without a statement are left out."""
    export(recording, "--format", "csv", "--output", directory)
    sessions = {}
    for row in table(directory, "statements"):
        sessions.setdefault(row["session"], []).append((row["statement"], row["outcome"], row["sqlstate"]))
    return sorted(sessions.values())


def test_pgreplay_sends_the_same_statements(make_server, make_proxy, scratch):
    server, target = make_server(name="recorded"), make_server(name="target")
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    assert psql(proxy.environment, script=r"""
        CREATE TABLE t (id int PRIMARY KEY, name text);
        INSERT INTO t VALUES (1, 'one'), (2, E'two\n"quoted", \\ it''s');
        INSERT INTO t VALUES (1, 'again');
        BEGIN; UPDATE t SET name = 'more' WHERE id = 1; COMMIT; -- it's; "done
        SELECT $$a ' " $b$ $$ /* nested /* ' */ " */;
        PREPARE p AS INSERT INTO t VALUES ($1, $2);
        """).returncode == 0
    with proxy.connect(autocommit=True) as client:
        for number in range(10, 20):
            client.execute("INSERT INTO t VALUES (%s, %s)", (number, f"it's \"{number}\", \\\n"), prepare=number % 2 == 0)
        client.execute("INSERT INTO t VALUES (%b, %b)", (20, None))
        with pytest.raises(psycopg.Error), client.pipeline():
            client.execute("INSERT INTO t VALUES (%s, 'undone')", (30,))
            client.execute("SELECT 1 / %s", (0,))
            client.execute("INSERT INTO t VALUES (%s, 'skipped')", (31,))
    assert proxy.stop() == 0
    log = scratch / "log.csv"
    said = export(scratch / "recording", "--format", "pgreplay", "--output", log).stderr
    # What pgreplay would give up on, and what a server would not have logged.
    assert "left out 1: pgreplay could not read it" in said
    assert "left out 1: not run, after an error before it in its pipeline" in said
    again = make_proxy(target.tcp, record=scratch / "again")
    ran = subprocess.run(["pgreplay", "-c", "-s", "100", "-h", "127.0.0.1", "-p", str(again.port), str(log)], text=True,
                         capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert again.stop() == 0
    once = [[one for one in session if one[1] != "skipped" and not one[0].startswith("PREPARE")]
            for session in statements_by_session(scratch / "recording", scratch / "one")]
    # pgreplay runs a pipeline's statements one by one: what the error undid lasts.
    once = [[(text, "done" if "undone" in text else outcome, state) for text, outcome, state in session] for session in once]
    other = [session for session in statements_by_session(scratch / "again", scratch / "other")
             if any(not text.startswith("SELECT set_config") for text, *_ in session)]
    assert other == sorted(once)
    kept = "SELECT * FROM t WHERE id <> 30"
    assert contents(server, kept) == contents(target, kept) and len(contents(target, kept)) == 13


def test_a_script_a_session(template, make_proxy, scratch):
    with Server(template, name="recorded") as server:
        server.start()
        server.execute("CREATE TABLE t (id int PRIMARY KEY, name text)")
        server.stop()
        with Server(server.data, name="target") as target:
            server.start(), target.start()
            proxy = make_proxy(server.tcp, record=scratch / "recording")
            with proxy.connect(autocommit=True) as one, proxy.connect(autocommit=True) as two:
                for number in range(10):
                    one.execute("INSERT INTO t VALUES (%s, %s)", (number, "it's"))
                    two.execute("INSERT INTO t VALUES (%s, %b)", (100 + number, "b"))
                with one.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                    copy.write("50\tcopied\n")
            assert proxy.stop() == 0
            said = export(scratch / "recording", "--format", "sql", "--output", f"{scratch}/scripts/").stderr
            assert "of 2 sessions" in said
            scripts = sorted((scratch / "scripts").iterdir())
            assert [script.name for script in scripts] == ["session-1.1.sql", "session-1.2.sql"]
            for script in reversed(scripts):  # they know nothing of each other
                ran = psql(environment_of(target), "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script))
                assert ran.returncode == 0, ran.stderr
            assert contents(target, "SELECT * FROM t") == contents(server, "SELECT * FROM t")
            assert len(contents(target, "SELECT * FROM t")) == 21


@pytest.mark.parametrize("mode", ("simple", "prepared"))
def test_pgbench_runs_the_recorded_transactions(make_server, make_proxy, scratch, mode):
    server = make_server()
    subprocess.run([str(BIN / "pgbench"), "-i", "-q"], env=environment_of(server), check=True, capture_output=True, timeout=120)
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    count = scaled(50, least=10)
    subprocess.run([str(BIN / "pgbench"), "-n", "-c", "4", "-t", str(count), "-M", mode], env=proxy.environment, check=True,
                   capture_output=True, timeout=120)
    with proxy.connect(autocommit=True) as client:
        client.execute("INSERT INTO pgbench_history (tid, filler) VALUES (%s, %s)", (4711, "it's :us \\ text"))
        client.execute("SELECT 1 / ((ARRAY[7, 8, 9])[%t::int:%t::int] = '{8,9}')::int", (2, 3))  # no variable, no cast
        client.execute("SELECT 1 / ((ARRAY[7, 8, 9])[2:3] = '{8,9}')::int")
        client.execute("INSERT INTO pgbench_history (tid, filler) VALUES (4711, 'a:scale')")  # pgbench would fill it in
        with client.cursor() as cursor, cursor.copy("COPY pgbench_history (tid) FROM STDIN") as copy:
            copy.write("1\n")
    assert proxy.stop() == 0
    exported = export(scratch / "recording", "--format", "pgbench", "--output", scratch / "it's; scripts")
    assert "left out 1: COPY" in exported.stderr
    assert "left out 1: it has a colon and the name of a variable" in exported.stderr
    first = (scratch / "it's; scripts/transaction-1.sql").read_text()
    assert first.count("\\set us_") >= 5 and "random(1, " in first and "CASE WHEN" in first, first
    command = shlex.split(exported.stdout)
    assert command[0] == "pgbench"
    server.execute("TRUNCATE pgbench_history")
    before = server.value("SELECT sum(abalance) FROM pgbench_accounts")
    ran = subprocess.run([str(BIN / "pgbench"), *command[1:], "-c", "2", "-t", str(count)], env=environment_of(server),
                         text=True, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert f"number of transactions actually processed: {2 * count}/{2 * count}" in ran.stdout
    change = server.value("SELECT sum(abalance) FROM pgbench_accounts") - before
    assert change == server.value("SELECT sum(delta) FROM pgbench_history") != 0
    assert server.value("SELECT count(DISTINCT aid) FROM pgbench_history") > 5
    texts = contents(server, "SELECT DISTINCT rtrim(filler) FROM pgbench_history WHERE tid = 4711")
    assert texts in ([], [repr(("it's :us \\ text",))])


def test_pgbench_is_told_the_encoding_of_its_scripts(make_server, make_proxy, scratch):
    server = make_server()
    server.execute("CREATE TABLE t (a text)")
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    with proxy.connect(autocommit=True, client_encoding="latin1") as client:
        client.execute("INSERT INTO t VALUES ('caf\u00e9')")
    assert proxy.stop() == 0
    command = export(scratch / "recording", "--format", "pgbench", "--output", scratch / "scripts").stdout
    assert command.startswith("PGCLIENTENCODING=LATIN1 pgbench ")
    assert b"caf\xe9" in (scratch / "scripts/transaction-1.sql").read_bytes()
    ran = subprocess.run(command.replace(" pgbench ", f" {shlex.quote(str(BIN / 'pgbench'))} ", 1).strip() + " -t 3",
                         shell=True, env=environment_of(server), text=True, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert server.value("SELECT array_agg(a) FROM t") == ["caf\u00e9"] * 4


IN_TABLES = (("count(*) FROM understudy_sessions", "sessions"),
             ("sum(client_bytes) FROM understudy_sessions", "client_bytes"),
             ("sum(requests) FROM understudy_sessions", "requests"),
             ("count(*) FROM understudy_statements", "requests"),
             ("count(*) FROM understudy_errors", "errors"))


def statistics_of(recording):
    return json.loads(run_understudy("show", recording, "--stats", "--json").stdout)


@pytest.mark.parametrize("form", ("csv", "ndjson"))
def test_tables_load_into_postgresql_and_only_once(recorded, make_server, scratch, form):
    recording, _ = recorded
    exported = export(recording, "--format", form, "--output", scratch / "tables")
    loader = make_server(name="loader")
    ran = psql(environment_of(loader), "-q", script=exported.stdout)
    assert ran.returncode == 0, ran.stderr
    again = psql(environment_of(loader), "-q", script=exported.stdout)
    assert again.returncode == 3 and again.stderr.count("ERROR") == 1, again.stderr
    assert 'relation "understudy_sessions" already exists' in again.stderr
    statistics = statistics_of(recording)
    for expression, wanted in IN_TABLES:
        assert loader.value(f"SELECT {expression}") == statistics[wanted], expression
    assert loader.value("SELECT statement FROM understudy_statements WHERE sqlstate = '23505'") == "INSERT INTO t VALUES (1, 'again');"
    assert loader.value("SELECT count(*) FROM understudy_statements WHERE outcome = 'skipped'") == 2
    assert loader.value("SELECT count(*) FROM understudy_statements s JOIN understudy_errors e USING (session, number) "
                        "WHERE s.sqlstate <> e.sqlstate") == 0
    assert loader.value(r"SELECT count(*) FROM understudy_statements WHERE statement LIKE E'%two\\\\n\"quoted%'") == 1
    assert loader.value("SELECT min(duration_ns) >= 0 AND bool_and(completed_at >= sent_at) FROM understudy_statements") is True
    for file in (scratch / "tables").iterdir():
        assert PASSWORD not in file.read_text()


@pytest.mark.parametrize("form", ("csv", "ndjson"))
def test_tables_load_into_duckdb_and_only_once(recorded, scratch, node, form):
    recording, _ = recorded
    exported = export(recording, "--format", form, "--output", scratch / "it's tables", "--ddl", "duckdb")
    (scratch / "load.sql").write_text(exported.stdout, encoding="utf-8")
    statistics = statistics_of(recording)
    asked = [(f"SELECT {expression}", str(statistics[wanted])) for expression, wanted in IN_TABLES] + [
        ("SELECT statement FROM understudy_statements WHERE sqlstate = '23505'", "INSERT INTO t VALUES (1, 'again');"),
        ("SELECT count(*) FROM understudy_statements WHERE outcome = 'skipped'", "2"),
        (r"""SELECT count(*) FROM understudy_statements WHERE contains(statement, 'two\n"quoted')""", "1"),
        ("SELECT count(*) FROM understudy_statements s JOIN understudy_errors e USING (session, number) "
         "WHERE s.sqlstate <> e.sqlstate", "0"),
        ("SELECT min(duration_ns) >= 0 AND bool_and(completed_at >= sent_at) FROM understudy_statements", "true"),
        ("SELECT count(*) FROM understudy_sessions WHERE opened_at <= last_event_at AND NOT continuing",
         str(statistics["sessions"]))]
    ran = node("duckdb.js", {**os.environ, "TZ": "UTC"}, arguments=[scratch / "load.sql"] * 2,
               stdin="".join(f"{query}\n" for query, _ in asked))
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    first, second = told["errors"]
    assert first == [] and "already exists" in second[0] and any("Duplicate key" in error for error in second), told
    for (query, wanted), answer in zip(asked, told["answers"], strict=True):
        assert answer == wanted, query


def test_definitions_for_duckdb_and_tables_of_a_condition(recorded, scratch):
    recording, _ = recorded
    exported = export(recording, "--format", "csv", "--output", scratch / "tables", "--ddl", "duckdb", "--where",
                      "sqlstate = 22012 and user = scram")
    assert re.search(r"^COPY understudy_errors FROM '.*/tables/errors.csv' \(FORMAT csv, HEADER\);$", exported.stdout, re.MULTILINE)
    assert [row["sqlstate"] for row in table(scratch / "tables", "statements")] == ["22012"]
    assert [row["user_name"] for row in table(scratch / "tables", "sessions")] == ["scram"]


def test_bad_usage_of_the_new_formats(recorded, scratch):
    recording, _ = recorded
    for arguments in (("--format", "csv"), ("--format", "pgbench"), ("--format", "sql|pcapng"), ("--format", "xml"),
                      ("--format", "csv", "--output", recording), ("--format", "jsonl", "--ddl", "duckdb"),
                      ("--format", "csv", "--output", scratch / "x", "--ddl", "oracle"), ("--format", "jsonl", "--where", "x")):
        exported = run_understudy("export", recording, *arguments)
        assert exported.returncode == 2 and "--help" in exported.stderr, arguments
