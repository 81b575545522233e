"""Do a server's logs become the sessions that its clients had? Logs of real servers and clients: beside a proxy's recording of
the same, beside pgreplay, and in the cases where that one fails."""

import contextlib
import gzip
import json
import os
import re
import subprocess

import psycopg
import pytest

from players import ACTS, TABLES as ENTRIES, Player, compile_java
from postgres_server import BIN, major_version
from replaying import DIVERGED, Speaker, SYNC, bind, execute, message, parse, query, replay
from server_logs import asked_in_log, asked_in_recording, log_file, logging, sessions_over
from understudy_process import run_understudy
from waiting import await_condition, scaled

TABLES = """CREATE TABLE thing (n int PRIMARY KEY, t text);
CREATE TABLE copied (n int);"""
SCRIPT = """SELECT 1;
INSERT INTO thing
VALUES (1, 'it''s
	two lines');
SELECT 1/0;
selec 1;
BEGIN; INSERT INTO thing VALUES (2, 'gone'); ROLLBACK;
BEGIN;
INSERT INTO thing VALUES (1, 'again');
ROLLBACK;
INSERT INTO thing VALUES (3, 'ünïcode \\ backslash');
COPY copied FROM STDIN;
1
2
\\.
"""
DIALECTS = ["stderr", "csv", "json"]


def dialects():
    return DIALECTS if major_version() >= 15 else DIALECTS[:2]


def environment_of(port, application):
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres",
            "PGSSLMODE": "disable", "PGAPPNAME": application}


def psql(port, script, application="psql"):
    subprocess.run([str(BIN / "psql"), "-X", "-q"], input=script, env=environment_of(port, application), text=True,
                   capture_output=True, timeout=60, check=True)


def pgbench(port, *arguments):
    subprocess.run([str(BIN / "pgbench"), *arguments], env=environment_of(port, "pgbench"), check=True,
                   capture_output=True, stdin=subprocess.DEVNULL, timeout=120)


def with_psycopg(port):
    """Unnamed and named statements, transactions, an error in one, values that need care."""
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", application_name="psycopg",
                         autocommit=True) as connection:
        for n in range(10, 20):
            connection.execute("INSERT INTO thing VALUES (%t::int, %t)", (n, f"'{n}', $1 = \n\t''"), prepare=n >= 13)
        connection.execute("INSERT INTO thing VALUES (%t::int, %t)", (20, None))
        connection.execute("UPDATE thing SET t = %t WHERE n = %t::int", ("ö" * 3000, 12))
        with connection.transaction():
            connection.execute("DELETE FROM thing WHERE n = %t::int", (11,))
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO thing VALUES (%t::int, '')", (10,))


def with_a_cancel(server, port):
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", application_name="cancelled",
                         autocommit=True) as connection:
        import threading

        def cancel():
            await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
                            "the query to sleep")
            connection.cancel()
        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(100)")
        canceller.join()
        connection.execute("INSERT INTO thing VALUES (100, 'after')")


def work(server, port, node):
    psql(port, SCRIPT)
    with_psycopg(port)
    done = node("client.js", environment_of(port, "node"))
    assert done.returncode == 0, done.stdout + done.stderr
    with_a_cancel(server, port)
    for mode in ("simple", "extended", "prepared"):
        pgbench(port, "-n", "-N", "-M", mode, "-c", "4", "-t", str(scaled(20, least=5)))
    sessions_over(server, {"psql", "psycopg", "node", "cancelled", "pgbench"})


def prepare(server):
    with server.connect(application_name="prepare") as connection:
        connection.execute(TABLES)
    subprocess.run([str(BIN / "pgbench"), "-i", "-q"], env=environment_of(server.port, "pgbench_init"), check=True,
                   capture_output=True, stdin=subprocess.DEVNULL)


def length_of_logs(server):
    """Once all is in them that these have to say."""
    sessions_over(server, {"prepare", "pgbench_init"})
    return {dialect: log_file(server, dialect).stat().st_size for dialect in dialects()}


def import_logs(files, output, *arguments, status=0):
    result = run_understudy("import", *files, "--output", output, "--json", *arguments)
    assert result.returncode == status, result.stdout + result.stderr
    return json.loads(result.stdout)


def without(sessions, *applications):
    """The test's own questions are not of the workload."""
    return {name: asked for name, asked in sessions.items() if name not in applications}


def rows(server, *queries):
    with server.connect() as connection:
        return [sorted(connection.execute(sql).fetchall(), key=repr) for sql in queries]


LEFT = ("SELECT * FROM thing", "SELECT * FROM pgbench_accounts", "SELECT tid, bid, aid, delta FROM pgbench_history")


@pytest.mark.parametrize("settings", [{}, {"log_duration": "on"}, {"log_statement": "none", "log_min_duration_statement": "0"},
                                      {"log_min_duration_statement": "0"}], ids=lambda one: "+".join(one) or "statements")
def test_a_proxy_and_a_log_of_the_same_sessions_are_equal_statement_by_statement(make_server, make_proxy, scratch, node, settings):
    server = make_server(settings=logging(**settings))
    prepare(server)
    before = length_of_logs(server)
    proxy = make_proxy(server.tcp, record=scratch / "recorded")
    work(server, proxy.port, node)
    assert proxy.stop() == 0
    recorded = asked_in_recording(scratch / "recorded")
    for dialect in dialects():
        log = scratch / f"part.{dialect}"
        log.write_bytes(log_file(server, dialect).read_bytes()[before[dialect]:])
        summary = import_logs([log], scratch / dialect)
        assert summary["files"][0]["format"] == dialect
        found = summary["found"]
        imported = without(asked_in_recording(scratch / dialect), "")
        assert imported == recorded
        # Three of psql, one of psycopg, two of node-postgres, and the cancelled one.
        assert found["errors"] == 7 and found["cancels"] == 1 and found["copies_without_data"] == 1
        assert found["begun_before"] == found["without_end"] == 0
        assert found["timed"] == (found["statements"] - found["errors"] if settings else 0)


def test_jdbc_with_its_names_portals_and_batches(make_server, make_proxy, scratch):
    production, target = make_server(settings=logging()), make_server()
    production.execute(ENTRIES)  # on the target the replay does: the whole log is imported
    proxy = make_proxy(production.tcp, record=scratch / "recorded")
    compile_java(scratch)
    environment = {**environment_of(proxy.port, ""), "PGPASSWORD": "", "PGSSLROOTCERT": "", "SERVER_TLS": "off"}
    with contextlib.closing(Player("jdbc", "teller", environment, scratch, scratch / "stop")) as player:
        for act in ACTS:
            player.await_act(act)
            player.go()
        await_condition(lambda: production.value("SELECT count(*) FROM entry") > 40, "it to be busy")
        (scratch / "stop").touch()
        assert player.problems() == ""
    sessions_over(production, {"PostgreSQL JDBC Driver"})
    assert proxy.stop() == 0
    summary = import_logs([log_file(production, "csv")], scratch / "imported")
    assert summary["found"]["fetches"] >= 3
    # Its numbers are binary, which only the proxy shows; a log does not show an empty statement.
    asked = [[[(kind, sql) for kind, sql, _ in session if sql]
              for sessions in asked_in_recording(scratch / of).values() for session in sessions
              if any("FROM generate_series(1, 10) n" in sql for _, sql, _ in session)] for of in ("recorded", "imported")]
    assert len(asked[0]) == len(asked[1]) == 1
    assert asked[0] == asked[1]
    played = replay(scratch / "imported", f"postgresql://postgres@{target.tcp}/postgres", "--speed", "max")
    assert played["errors_new"] == played["errors_gone"] == 0
    assert rows(target, "SELECT * FROM entry") == rows(production, "SELECT * FROM entry")


def test_an_imported_log_is_replayed_and_compared(make_server, scratch, node):
    production, target = make_server(settings=logging(log_duration="on")), make_server()
    prepare(target)
    prepare(production)
    before = length_of_logs(production)["csv"]
    work(production, production.port, node)
    log = scratch / "part.csv"
    log.write_bytes(log_file(production, "csv").read_bytes()[before:])
    import_logs([log], scratch / "imported")
    left = rows(production, *LEFT)
    uri = f"postgresql://postgres@{target.tcp}/postgres"
    summary = replay(scratch / "imported", uri, "--speed", "max", "--record", scratch / "replayed")
    assert not {name: summary[name] for name in DIVERGED if summary[name]}, summary
    assert rows(target, *LEFT) == left
    assert target.value("SELECT count(*) FROM copied") == 0  # no log has the data
    compared = run_understudy("diff", scratch / "imported", scratch / "replayed", "--json", "-")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    totals = json.loads(compared.stdout)["summary"]
    assert totals["exchanges"] == totals["exchanges_by_errors"] > 100 and totals["rows"] == 0

    # Once more: what was inserted is there now, and that is told, error by error.
    replay(scratch / "imported", uri, "--speed", "max", "--record", scratch / "again")
    compared = run_understudy("diff", scratch / "imported", scratch / "again", "--json", "-")
    assert compared.returncode == 1
    assert {one["class"] for one in json.loads(compared.stdout)["differences"]} == {"new_error"}


def test_who_is_authorized_and_then_refused_is_refused_again(make_server, scratch):
    server = make_server(settings=logging())
    before = log_file(server, "csv").stat().st_size
    for who in ({"PGUSER": "nobody_there"}, {"PGDATABASE": "nowhere"}):
        refused = subprocess.run([str(BIN / "psql"), "-X", "-c", "SELECT 1"], capture_output=True, timeout=60,
                                 env={**environment_of(server.port, "refused"), **who}, text=True)
        assert "does not exist" in refused.stderr
    psql(server.port, "SELECT 1;")
    sessions_over(server, {"psql"})
    log = scratch / "part.csv"
    log.write_bytes(log_file(server, "csv").read_bytes()[before:])
    assert import_logs([log], scratch / "imported")["found"]["refused_logins"] == 2
    run_understudy("replay", scratch / "imported", "--to", f"postgresql://postgres@{server.tcp}/postgres",
                   "--speed", "max", "--record", scratch / "again")
    compared = run_understudy("diff", scratch / "imported", scratch / "again")
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("order", ["session", "time", "causal"])
def test_it_is_replayed_in_every_order(make_server, scratch, order):
    production, target = make_server(settings=logging()), make_server()
    for server in (production, target):
        server.execute(TABLES)
    psql(production.port, "BEGIN;\nINSERT INTO thing VALUES (1, 'a');\nUPDATE thing SET t = 'b' WHERE n = 1;\nCOMMIT;\n"
                          "SELECT * FROM thing;\n")
    with_psycopg(production.port)
    sessions_over(production, {"psql", "psycopg"})
    log = log_file(production, "stderr").read_bytes()
    (scratch / "part.log").write_bytes(log[log.index(b"application_name=psql"):])
    # The first line is cut: it costs itself.
    summary = import_logs([scratch / "part.log"], scratch / "imported", status=3)
    assert [one["count"] for one in summary["unreadable"].values()] == [1]
    played = replay(scratch / "imported", f"postgresql://postgres@{target.tcp}/postgres", "--order", order)
    assert played["errors_new"] == played["errors_gone"] == played["sessions_ended_early"] == 0
    assert rows(target, "SELECT * FROM thing") == rows(production, "SELECT * FROM thing")


@pytest.mark.parametrize("dialect", ["stderr", "csv"])
def test_what_pgreplay_replays_is_replayed_the_same(make_server, scratch, dialect):
    """Both play a log; each one's target logs what it was asked."""
    production = make_server(settings=logging())
    prepare(production)
    before = length_of_logs(production)[dialect]
    psql(production.port, SCRIPT[:SCRIPT.index("COPY")])  # pgreplay knows no COPY
    with_psycopg(production.port)
    for mode in ("simple", "extended", "prepared"):
        pgbench(production.port, "-n", "-S", "-M", mode, "-c", "2", "-t", "20")
    sessions_over(production, {"psql", "psycopg", "pgbench"})
    log, readable = scratch / "part", scratch / "part_for_pgreplay"
    log.write_bytes(log_file(production, dialect).read_bytes()[before:])
    # pgreplay 1.2 gives up on what 17 and later write.
    readable.write_bytes(log.read_bytes().replace(b"Parameters: $1", b"parameters: $1"))
    asked = []
    for player in ("pgreplay", "understudy", "understudy of pgreplay's file"):
        target = make_server(settings=logging())
        prepare(target)
        csv = ["-c"] if dialect == "csv" else []
        if player == "pgreplay":
            done = subprocess.run(["pgreplay", "-h", "127.0.0.1", "-p", str(target.port), "-s", "1000", *csv, str(readable)],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
        else:
            source = log
            if "file" in player:
                source = scratch / "items"
                subprocess.run(["pgreplay", "-f", *csv, "-o", str(source), str(readable)], check=True, capture_output=True)
            recording = scratch / player.replace(" ", "_")
            import_logs([source], recording)
            replay(recording, f"postgresql://postgres@{target.tcp}/postgres", "--speed", "max")
        target.stop()  # all is in the log
        asked.append(asked_in_log(target, without={"prepare", "pgbench_init", "understudy replay"}))
        assert len(asked[-1]) == 2 + 3 * 3  # pgbench has a session of its own before those of its clients
    assert asked[1] == asked[0]
    assert asked[2] == asked[0]


def test_where_pgreplay_fails(make_server, scratch):
    """Fetches from a portal, COPY, "Parameters" with a capital, more sessions than select() can watch."""
    production, target = make_server(settings=logging(log_min_duration_statement="0")), make_server()
    for server in (production, target):
        with server.connect(application_name="prepare") as connection:
            connection.execute(TABLES + "INSERT INTO thing SELECT n, 'x' FROM generate_series(1, 100) n; CREATE SEQUENCE run")
    sessions_over(production, {"prepare"})
    before = log_file(production, "stderr").stat().st_size
    with Speaker(production.port) as client:
        client.send(query("SET application_name = 'fetcher'"))
        client.read_until("Z")
        client.send(query("BEGIN"))
        client.read_until("Z")
        client.send(parse("SELECT n, nextval('run') FROM thing WHERE n > $1", "S_1"),
                    bind("50", statement="S_1", portal="C_1"), execute(10, "C_1"), SYNC)
        client.read_until("Z")
        for _ in range(4):
            client.send(execute(10, "C_1"), SYNC)
            client.read_until("Z")
        client.send(query("COMMIT"), message("X"))
        client.read_until("Z")
    sessions_over(production, {"fetcher"})
    log = log_file(production, "stderr").read_bytes()[before:]
    assert b"execute fetch from S_1/C_1" in log
    # As the next majors spell it.
    spelled = re.sub(rb"DETAIL:  [pP]arameters: ", b"DETAIL:  Parameters: ", log)
    (scratch / "part.log").write_bytes(spelled)
    summary = import_logs([scratch / "part.log"], scratch / "imported")
    assert summary["found"]["fetches"] == 4 and summary["found"]["timed"] == summary["found"]["statements"] > 5
    played = replay(scratch / "imported", f"postgresql://postgres@{target.tcp}/postgres", "--speed", "max")
    assert played["errors_new"] == 0
    # Each row was asked for once.
    assert target.value("SELECT last_value FROM run") == production.value("SELECT last_value FROM run") == 50


def test_rotated_and_compressed_files_are_one_log(make_server, scratch):
    production = make_server(settings=logging(prefix="%m [%p] %q%u@%d/%a "))
    production.execute(TABLES)
    psql(production.port, SCRIPT)
    with_psycopg(production.port)
    sessions_over(production, {"psql", "psycopg"})
    lines = log_file(production, "stderr").read_bytes().splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if re.match(rb"\d{4}-.*LOG:  (statement|execute)", line)]
    first, second = starts[len(starts) // 3], starts[2 * len(starts) // 3]
    (scratch / "b.log.gz").write_bytes(gzip.compress(b"".join(lines[:first])))
    (scratch / "c.log").write_bytes(b"".join(lines[first:second]))
    (scratch / "a.log").write_bytes(b"".join(lines[second:]))
    subprocess.run(["zstd", "-q", "--rm", str(scratch / "c.log")], check=True)
    summary = import_logs([scratch / name for name in ("a.log", "b.log.gz", "c.log.zst")], scratch / "three")
    assert [os.path.basename(one["file"]) for one in summary["files"]] == ["b.log.gz", "c.log.zst", "a.log"]
    whole = import_logs([log_file(production, "stderr")], scratch / "whole", "--log-line-prefix", "%m [%p] %q%u@%d/%a ")
    assert asked_in_recording(scratch / "three") == asked_in_recording(scratch / "whole")
    assert summary["found"] == whole["found"]


@pytest.mark.parametrize("prefix", ["%m [%p] %q%u@%d ", "%t-%c-", "%t [%p]: [%l-1] "])
def test_verbose_errors_change_nothing_but_what_is_known(make_server, scratch, prefix):
    production = make_server(settings=logging(prefix=prefix, log_timezone="GMT", log_duration="on",
                                              log_error_verbosity="verbose"))
    production.execute(TABLES)
    psql(production.port, SCRIPT)
    with_psycopg(production.port)
    sessions_over(production, {"psql", "psycopg"})
    of_csv = import_logs([log_file(production, "csv")], scratch / "csv")
    of_stderr = import_logs([log_file(production, "stderr")], scratch / "stderr")
    assert of_stderr["files"][0]["log_line_prefix"] == prefix
    assert of_stderr["found"] == of_csv["found"] and of_csv["found"]["errors"] == 4
    assert asked_in_recording(scratch / "stderr") == asked_in_recording(scratch / "csv")
    for state in ("22012", "42601", "23505"):
        shown = run_understudy("show", scratch / "stderr", "--where", f"sqlstate = {state}")
        assert "  psql  " in shown.stdout, shown.stdout


def test_what_cannot_be_read_is_told_with_file_and_line(make_server, scratch):
    production = make_server(settings=logging())
    production.execute(TABLES)
    psql(production.port, "SELECT 1;\nSELECT 2;\n")
    sessions_over(production, {"psql"})
    log = log_file(production, "csv").read_bytes()
    at = log.index(b"statement: SELECT 2")
    harmed = scratch / "harmed.csv"
    harmed.write_bytes(log[:at + 12] + b"\n" + log[log.index(b"\n", at) + 1:] + b"no record at all\n")
    text = run_understudy("import", harmed, "--output", scratch / "imported")
    assert text.returncode == 3, text.stderr
    line = log[:at].count(b"\n") + 1
    assert f"harmed.csv:{line}" in text.stdout and "unreadable" in text.stdout, text.stdout
    asked = asked_in_recording(scratch / "imported")["psql"]
    assert ("Q", "SELECT 1;", ()) in asked[0] and ("Q", "SELECT 2;", ()) not in asked[0]
    assert run_understudy("verify", scratch / "imported").returncode == 0


def test_secrets_in_a_log_stay_there(make_server, scratch):
    production = make_server(settings=logging())
    psql(production.port, "CREATE ROLE carol PASSWORD 'tiger-in-a-log';\n"
                          "SELECT length($$host=h password=tiger$$), length('host=h password=' || 'tiger');\n")
    sessions_over(production, {"psql"})
    summary = import_logs([log_file(production, "csv")], scratch / "imported")
    assert summary["recording"]["passwords_hidden"] == 2
    raw = b"".join(subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
                   for path in (scratch / "imported").glob("*.transcript"))
    assert b"CREATE ROLE carol PASSWORD" in raw and b"tiger" not in raw
    again = run_understudy("import", log_file(production, "csv"), "--output", scratch / "imported")
    assert again.returncode == 2 and "there is a recording in it already" in again.stderr


@pytest.mark.parametrize("dialect", dialects())
def test_secrets_that_errors_quote_of_statements_are_hidden(make_server, scratch, dialect):
    production = make_server(settings=logging())
    with production.connect(application_name="failing") as connection:
        for sql in ("ALTER ROLE r100 PASSWORD 'Zq176Kv", "ALTER ROLE r100 PASSWORD $z$Zq177Kv",
                    "ALTER ROLE r100 PASSWORD 'Zq178\n\"Kv", "ALTER ROLE r100 PASSWORD 'Zq105Kv' 'Zq106Kv'",
                    "CREATE SUBSCRIPTION s CONNECTION 'POSTGRES://u:Zq109Kv@h' PUBLICATION p",
                    "DO $x$ BEGIN EXECUTE 'ALTER ROLE r100 PASSWORD ''Zq182Kv'; END $x$"):
            with pytest.raises(psycopg.errors.SyntaxError):
                connection.execute(sql)
    sessions_over(production, {"failing"})
    assert b"Zq176Kv" in log_file(production, dialect).read_bytes()
    import_logs([log_file(production, dialect)], scratch / "imported")
    raw = b"".join(subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
                   for path in (scratch / "imported").glob("*.transcript"))
    assert b"ALTER ROLE r100 PASSWORD" in raw and b"unterminated" in raw and b"Zq" not in raw


@pytest.mark.parametrize("arguments, status, told", [
    ([], 2, "expected the names"),
    (["nothing.log"], 2, "expected --output"),
    (["nothing.log", "--output", "out"], 1, "nothing.log"),
    (["/dev/null", "--output", "out"], 1, "nothing in these files"),
    (["x", "--output", "out", "--format", "xml"], 2, "expected auto, stderr, csv, json or pgreplay"),
    (["x", "--output", "out", "--log-line-prefix", "%u "], 2, "cannot be told apart"),
])
def test_mistakes_are_told(scratch, arguments, status, told):
    result = run_understudy("import", *arguments, cwd=scratch)
    assert result.returncode == status and told in result.stderr, result.stderr
    assert not (scratch / "out").exists()
