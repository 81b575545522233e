"""Do masked recordings tell nothing, and do they replay against a database masked with the same key?"""

import datetime
import json
import random
import re
import subprocess
import uuid

import psycopg
import pytest

from postgres_server import BIN, Server
from replaying import raw_contents, recorded, replay_whole
from understudy_process import run_understudy

KEY = "a-masking-key-of-the-tests"
RULES = """
column email                    # of users and of orders alike
column users.ssn as person
column name
column token
column born
column seen
column raw
column code
column client
pattern secret-[a-z]+
"""

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE, ssn varchar(11) UNIQUE, name text, token uuid,
                    born date, seen timestamptz, raw bytea, code int, client inet, note text);
CREATE TABLE orders (id int PRIMARY KEY, email text NOT NULL REFERENCES users (email), amount numeric(10, 2));
"""


def people():
    """Rows whose values are found nowhere by accident. Numbers have ten digits: fewer may stand in the nine behind the
    point of a time that an export tells."""
    maker = random.Random("people")
    rows = []
    for i in range(40):
        word = "".join(maker.choice("bcdfghjklmnpqrstvwxz") for _ in range(9))
        rows.append((i, f"{word}@example-{i}.test", f"{maker.randrange(100, 999)}-{maker.randrange(10, 99)}-"
                     f"{maker.randrange(1000, 9999)}", f"Ünal O'{word.upper()}", uuid.UUID(int=maker.getrandbits(128)),
                     datetime.date(1950, 1, 1) + datetime.timedelta(days=maker.randrange(18000)),
                     datetime.datetime(2024, 1, 1, 12, 0, tzinfo=datetime.timezone.utc)
                     + datetime.timedelta(seconds=maker.randrange(10**7), microseconds=maker.randrange(1, 10**6)),
                     maker.randbytes(12), maker.randrange(10**9, 2**31 - 2), f"10.{maker.randrange(256)}.77.{i + 100}",
                     f"secret-{word} or so"))
    return rows


PEOPLE = people()


def told(row):
    """How the masked values of a row are written in text, in binary and in SQL."""
    _, email, ssn, name, token, born, seen, raw, code, client, note = row
    texts = [email, ssn, name, name.replace("'", "''"), str(token), born.isoformat(),
             seen.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0"), raw.hex(), str(code), client, note]
    return [text.encode() for text in texts] + [token.bytes, raw]


def test_tokens_in_sql_are_those_in_recordings(server, scratch):
    """A property test: values of every shape, the same token in both, and a bijection."""
    maker = random.Random("tokens")
    values = ["", " ", "a", "7", "0", "-0", "00", "007", "-1", "-32768", "32767", "-32769", "2147483647", "-2147483648",
              "9223372036854775807", "12345678901234567890123", "1.50", "-0.25", "00.5", "NaN", "infinity", "\\x", "\\x00",
              "\\xdeadbeef", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "1899-12-31", "2099-12-31",
              "2024-02-29 23:59:59", "2024-02-29 00:00:00.5+00", "2024-12-31 23:30:00.123456-03:30",
              "1900-01-01 00:10:00+01", "2024-02-29 24:00:00", "2024-02-29T10:00:00.000Z",
              "2024-02-29 10:00:00.120000+00:00", "2024-02-29 10:00:00.0", "d41d8cd98f00b204e9800998ecf8427e", "10.0.0.1", "255.255.255.255/32", "256.1.1.1", "1.2.3",
              "trailing   ", "Ünïcödé ẞ 漢字 😀", "a\tb\nc'd\\e\"f", "x" * 300, str(uuid.UUID(int=7)),
              "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "o'brien@example.com", "+49 (0)30 123-456"]
    values += [str(uuid.UUID(int=maker.getrandbits(128))) for _ in range(10)]
    values += [str(maker.randrange(-10**maker.randrange(1, 19), 10**maker.randrange(1, 19))) for _ in range(40)]
    values += ["".join(maker.choice("aZ09 .-é漢@") for _ in range(maker.randrange(1, 25))) for _ in range(60)]
    values += [str(n) for n in range(100)]
    values = list(dict.fromkeys(values))
    rules, key = files(scratch, "column v as f\n")
    with recorded(server, scratch / "recording") as proxy, proxy.connect() as connection:
        for value in values:
            connection.execute("SELECT %s::text AS v", [value], prepare=False)
    mask(scratch, rules, key)
    recorded_tokens = result_values(scratch / "masked", "v")
    apply_functions(server, rules)
    with server.connect() as connection:
        connection.execute("SELECT set_config('understudy.mask_key', %s, false)", [KEY])
        tokens = [connection.execute("SELECT understudy.mask_text(%s, 'f')", [value]).fetchone()[0] for value in values]
        again = connection.execute("SELECT understudy.mask_text('abcdef', 'another')").fetchone()[0]
        assert again != connection.execute("SELECT understudy.mask_text('abcdef', 'f')").fetchone()[0]
    assert recorded_tokens == tokens
    assert len(set(tokens)) == len(values)
    assert [len(token.encode()) for token in tokens] == [len(value.encode()) for value in values]
    assert sorted(tokens[values.index("10"):][:90]) == [str(n) for n in range(10, 100)]


def test_a_masked_recording_tells_nothing_and_replays_on_a_masked_database(template, scratch):
    rules, key = files(scratch, RULES)
    with Server(template, name="prod") as production, Server(template, name="target") as target:
        for server in (production.start(), target.start()):
            server.execute(SCHEMA)
            load(server)
        with recorded(production, scratch / "recording") as proxy:
            work(proxy)
        report = mask(scratch, rules, key)
        assert report["statements_not_understood"] == 0 and report["sessions_cut"] == 0, report
        assert all(rule["values"] > 0 for rule in report["rules"]), report
        nothing_is_told(scratch / "masked")

        apply(target, rules, key)
        with target.connect() as connection:
            joined = "SELECT count(*) FROM users JOIN orders USING (email)"
            assert connection.execute(joined).fetchone()[0] == len(PEOPLE) - 5
        uri = f"postgresql://postgres@{target.tcp}/postgres"
        replay_whole(scratch / "masked", uri, "--record", scratch / "replayed")
    differences = run_understudy("diff", scratch / "masked", scratch / "replayed")
    assert differences.returncode == 0, differences.stdout + differences.stderr
    verified = run_understudy("verify", scratch / "masked")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_what_cannot_be_judged_is_hidden(server, scratch):
    rules, key = files(scratch, "column email\n")
    with recorded(server, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("CREATE TABLE t (id int, email text, flag bool, doc jsonb)")
        connection.execute("INSERT INTO t VALUES (1, 'hidden-one@example', true, '{\"a\": \"hidden-two\"}')")
        connection.execute("DO $$BEGIN RAISE NOTICE 'hidden-three'; END$$")
        assert connection.execute("SELECT upper(email) FROM t").fetchone()[0] == "HIDDEN-ONE@EXAMPLE"
        assert connection.execute("SELECT e FROM (SELECT email AS e FROM t) x").fetchone()[0]
        assert connection.execute("SELECT to_jsonb(t) FROM t").fetchone()[0]["email"]
        assert "email" in str(connection.execute("EXPLAIN SELECT * FROM t WHERE email = 'hidden-four'").fetchall())
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("SELEKT 'hidden-five' FROM t")
        connection.execute("/* hidden-six */ SELECT email FROM t -- hidden-seven")
        connection.execute("PREPARE p AS SELECT id AS n FROM t WHERE email = $1")
        connection.execute("EXECUTE p ('hidden-eight')")
        connection.execute("BEGIN")
        connection.execute("DECLARE c CURSOR FOR SELECT email AS other FROM t")
        assert connection.execute("FETCH c").fetchone()[0] == "hidden-one@example"
        connection.execute("COMMIT")
    report = mask(scratch, rules, key)
    assert report["values_hidden"] > 0 and report["statements_not_understood"] == 2, report
    contents = raw_contents(scratch / "masked").lower()
    assert re.findall(rb"hidden-\w+", contents) == []
    assert b"select to_jsonb(t) from t" in contents


def test_masked_values_come_out_by_no_other_name(server, scratch):
    """Whole rows of joins, rows of VALUES, unions and subqueries; names that mean two tables."""
    rules, key = files(scratch, "column users.ssn\ncolumn email\n")
    with server.connect() as connection:
        connection.execute("CREATE TABLE users (id int, ssn text, email text)")
        connection.execute("CREATE TABLE orders (id int, amount text)")
        connection.execute("INSERT INTO users VALUES (1, 'hidden-ssn', 'hidden-email')")
        connection.execute("INSERT INTO orders VALUES (1, 'kept-amount')")
    with recorded(server, scratch / "recording") as proxy, proxy.connect() as connection:
        for asked in ("SELECT j FROM (users JOIN orders USING (id)) AS j",
                      "SELECT row_to_json(j) AS whatever FROM (users JOIN orders USING (id)) AS j",
                      "SELECT b FROM (users JOIN orders USING (id)) AS j (a, b, c, d)",
                      "SELECT x.a FROM users u, LATERAL (VALUES (u.id::text), (u.ssn)) AS x (a)",
                      "SELECT column1 FROM users u, LATERAL (VALUES (u.email)) AS x",
                      "SELECT n FROM (SELECT amount AS n FROM orders UNION SELECT email FROM users) AS s",
                      "WITH w AS (SELECT 'a' AS n UNION ALL SELECT ssn FROM users) SELECT n FROM w",
                      "SELECT (VALUES (u.email)) AS n FROM users u",
                      "SELECT (SELECT 'none' WHERE false UNION SELECT u.ssn) AS n FROM users u",
                      "VALUES ((SELECT email FROM users))",
                      "SELECT upper(u.ssn) AS n FROM users u WHERE id IN (SELECT u.id FROM orders u)",
                      "SELECT query_to_xml('SELECT ssn AS n FROM users', true, true, '') AS n",
                      "SELECT * FROM json_array_elements_text('[\"hidden-email\"]') AS z JOIN users ON email = z",
                      "INSERT INTO orders (amount) SELECT ssn FROM users RETURNING amount",
                      "WITH a AS MATERIALIZED (TABLE users), b (x, y, z) AS (SELECT * FROM a) SELECT y FROM b"):
            assert "hidden" in str(connection.execute(asked).fetchall()).lower(), asked
        connection.execute("INSERT INTO users (id, ssn) SELECT i, 'hidden-' || i FROM generate_series(2, 9) AS i")
        connection.execute("ANALYZE users")
        for asked in ("SELECT * FROM pg_stats WHERE tablename = 'users' AND attname = 'ssn'",
                      "SELECT s.histogram_bounds::text AS n FROM pg_stats s WHERE tablename = 'users' AND attname = 'ssn'"):
            assert "hidden-" in str(connection.execute(asked).fetchall()), asked
        assert connection.execute("SELECT o FROM orders o JOIN users USING (id)").fetchone()[0] == "(1,kept-amount)"
    report = mask(scratch, rules, key)
    assert report["statements_not_understood"] == 0, report
    contents = raw_contents(scratch / "masked").lower()
    assert re.findall(rb".{60}hidden-\w+", contents, re.DOTALL) == []


def test_notifications_say_what_their_notify_says(server, scratch):
    """Replayed, too, they are those of the masked recording; what a function makes of a masked column is hidden."""
    rules, key = files(scratch, "column email\npattern secret-[a-z]+\n")
    with server.connect() as connection:
        connection.execute("CREATE TABLE speakers (email text)")
        connection.execute("INSERT INTO speakers VALUES ('hidden-email')")
    with recorded(server, scratch / "recording") as proxy, proxy.connect() as listener, proxy.connect() as connection:
        listener.execute("LISTEN news")
        connection.execute("NOTIFY news, 'a secret-literal'")
        connection.execute("SELECT pg_notify('news', E'it''s a secret-call')")
        connection.execute("SELECT pg_notify(%s, %s)", ["news", "a secret-parameter"])
        connection.execute("NOTIFY news, 'a plain one'")
        heard = listener.notifies()
        received = [next(heard).payload for _ in range(4)]
        connection.execute("SELECT pg_notify('news', 'of ' || email) FROM speakers")
        assert next(heard).payload == "of hidden-email"
        listener.execute("UNLISTEN news")
    mask(scratch, rules, key)
    contents = raw_contents(scratch / "masked")
    assert re.findall(rb"secret-[lcp]\w+|hidden-\w+", contents) == []
    brought = [json.loads(line) for line in run_understudy("export", scratch / "masked", "--format", "jsonl").stdout.splitlines()]
    payloads = [each["payload"] for each in brought if each["type"] == "NotificationResponse"]
    assert payloads[3] == received[3] == "a plain one" and len(set(payloads)) == 5, payloads
    for payload in payloads[:3]:
        assert contents.count(payload.replace("'", "''").encode()) >= (1 if "'" in payload else 2), payload


def test_rules_for_a_table_are_for_its_partitions_and_materialized_views_are_refused(server, scratch):
    rules, key = files(scratch, "column people.ssn\n")
    with server.connect() as connection:
        connection.execute("CREATE TABLE people (id int, ssn text) PARTITION BY LIST (id)")
        connection.execute("CREATE TABLE ones PARTITION OF people FOR VALUES IN (1) PARTITION BY LIST (id)")
        connection.execute("CREATE TABLE ones_only PARTITION OF ones FOR VALUES IN (1)")
        connection.execute("CREATE TABLE others (ssn text)")
        connection.execute("INSERT INTO people VALUES (1, 'abc-123')")
        connection.execute("INSERT INTO others VALUES ('abc-123')")
        connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT ssn AS s FROM people")
        printed = run_understudy("mask-sql", "--rules", rules)
        without_key = subprocess.run([str(BIN / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port),
                                      "-U", "postgres", "postgres"], input=printed.stdout, text=True, capture_output=True, timeout=120)
        assert without_key.returncode != 0 and "--mask-key-file" in without_key.stderr and "openssl" in without_key.stderr
        assert "CREATE" not in without_key.stdout and "BEGIN" not in without_key.stdout
        with pytest.raises(subprocess.CalledProcessError):
            apply(server, rules, key)
        assert connection.execute("SELECT ssn FROM people").fetchone()[0] == "abc-123"
        connection.execute("REFRESH MATERIALIZED VIEW seen WITH NO DATA")
        apply(server, rules, key)
        assert connection.execute("SELECT ssn FROM people").fetchone()[0] != "abc-123"
        assert connection.execute("SELECT ssn FROM others").fetchone()[0] == "abc-123"


def test_rules_that_match_nothing_are_told(server, scratch):
    rules, key = files(scratch, "column email\ncolumn emial\ncolumn peple.name\ntype uuid\npattern secret-\ntable guests (name, email)\ntable gests (a)\n")
    with recorded(server, scratch / "recording") as proxy, proxy.connect() as connection:
        connection.execute("CREATE TABLE guests (email text, name text)")
        connection.execute("INSERT INTO guests VALUES ('a@b', 'ann')")
        assert connection.execute("SELECT * FROM guests").fetchone() == ("a@b", "ann")
    result = run_understudy("mask", scratch / "recording", "--rules", rules, "--mask-key-file", key, "--output",
                            scratch / "masked")
    assert result.returncode == 0, result.stderr
    told = [line for line in result.stderr.splitlines() if str(rules) in line]
    assert [re.search(r"line \d", line)[0] for line in told] == ["line 2", "line 3", "line 4", "line 5"], result.stderr
    printed = run_understudy("mask-sql", "--rules", rules, "--mask-key-file", key).stdout
    applied = subprocess.run([str(BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port),
                              "-U", "postgres", "postgres"], input=printed, text=True, capture_output=True, timeout=120)
    assert applied.returncode == 0, applied.stderr
    assert re.findall(r'WARNING: .* rule "(.*)"', applied.stderr) == ["column emial", "column peple.name", "type uuid"]
    assert "guests has the columns (email, name), not (name, email)" in applied.stderr
    assert 'no table is called "gests"' in applied.stderr


def test_definitions_still_run_when_they_are_replayed(template, scratch):
    """And the masked values that they compare with are those that the masked rows have."""
    rules, key = files(scratch, "column people.email\n")
    schema = "CREATE TABLE people (id int, email text); CREATE TABLE kept (id int, email text); CREATE ROLE reader LOGIN"
    with Server(template, name="prod") as production, Server(template, name="target") as target:
        for server in (production.start(), target.start()):
            server.execute(schema)
            server.execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        with recorded(production, scratch / "recording") as proxy, proxy.connect() as connection:
            for asked in ("INSERT INTO people (id, email) VALUES (1, 'hidden-one'), (2, 'hidden-two')",
                          "ALTER TABLE people ENABLE ROW LEVEL SECURITY",
                          "GRANT SELECT ON people TO reader",
                          "CREATE POLICY p ON people USING (email = 'hidden-one' AND id > 0)",
                          "CREATE DOMAIN word AS varchar(20) NOT NULL CHECK (VALUE <> 'hidden-three')",
                          "CREATE TRIGGER t BEFORE INSERT ON people FOR EACH ROW WHEN (NEW.email = 'hidden-four') "
                          "EXECUTE FUNCTION nothing()",
                          "CREATE TRIGGER t BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION nothing('an argument')",
                          "CREATE RULE r AS ON DELETE TO people WHERE old.email = 'hidden-five' DO INSTEAD NOTHING",
                          "ALTER TABLE people ALTER email SET DEFAULT 'hidden-six'",
                          "SET ROLE reader"):
                connection.execute(asked)
            assert connection.execute("SELECT id FROM people").fetchall() == [(1,)]
        report = mask(scratch, rules, key)
        assert report["statements_not_understood"] == 0, report
        contents = raw_contents(scratch / "masked")
        assert re.findall(rb"hidden-\w+", contents) == [] and b"nothing('an argument')" in contents
        replay_whole(scratch / "masked", f"postgresql://postgres@{target.tcp}/postgres", "--record", scratch / "replayed")
        assert target.value("SELECT count(*) FROM pg_policy") == 1
    differences = run_understudy("diff", scratch / "masked", scratch / "replayed")
    assert differences.returncode == 0, differences.stdout + differences.stderr


def test_values_that_reach_a_masked_column_by_another_name_replay(template, scratch):
    """Through WITH, subqueries, functions in FROM; and literals that a statement answers with."""
    rules, key = files(scratch, "column people.email\ncolumn people.code as codes\n")
    schema = "CREATE TABLE people (id int, email text, code int)"
    with Server(template, name="prod") as production, Server(template, name="target") as target:
        for server in (production.start(), target.start()):
            server.execute(schema)
        with recorded(production, scratch / "recording") as proxy, proxy.connect() as connection:
            for asked, answer in (
                    ("WITH v AS (SELECT 7654321 AS x, 5 AS k) INSERT INTO people (id, code) SELECT k, x FROM v", None),
                    ("SELECT id FROM people WHERE code IN (SELECT x FROM (SELECT 7654321 AS x UNION SELECT 7654322) AS s)", (5,)),
                    ("UPDATE people SET email = s.x FROM (SELECT 'hidden-a' AS x, 5 AS k) AS s WHERE id = s.k", None),
                    ("SELECT 'hidden-b' AS p, id FROM people WHERE email = 'hidden-a'", ("hidden-b", 5)),
                    ("SELECT s.p FROM (SELECT 'hidden-a' AS p) AS s JOIN people ON email = s.p", ("hidden-a",)),
                    ("INSERT INTO people (id, email) SELECT 6, x FROM unnest(ARRAY['hidden-c']) AS x RETURNING id", (6,)),
                    ("SELECT x.a FROM people, LATERAL (VALUES (email, id)) AS x (a, b) WHERE x.b = 6", ("hidden-c",))):
                cursor = connection.execute(asked)
                assert answer is None or cursor.fetchall() == [answer], asked
        report = mask(scratch, rules, key)
        assert report["statements_not_understood"] == 0 and not any(each["unused"] for each in report["rules"]), report
        assert re.findall(rb"hidden-\w+|765432\d", raw_contents(scratch / "masked")) == []
        replay_whole(scratch / "masked", f"postgresql://postgres@{target.tcp}/postgres", "--record", scratch / "replayed")
    differences = run_understudy("diff", scratch / "masked", scratch / "replayed")
    assert differences.returncode == 0, differences.stdout + differences.stderr


def test_insert_and_copy_that_name_no_columns_go_by_known_ones(template, scratch):
    """Of a temporary table's CREATE, and of the rules: what is of no masked one stays, and finds its rows again."""
    rules, key = files(scratch, "column email\ntable people (id, email)\n")
    with Server(template, name="prod") as production, Server(template, name="target") as target:
        for server in (production.start(), target.start()):
            server.execute("CREATE TABLE people (id int, email text); INSERT INTO people VALUES (51, 'hidden-one'), (52, 'hidden-two')")
        with recorded(production, scratch / "recording") as proxy, proxy.connect() as connection:
            connection.execute("CREATE TEMP TABLE stage (id int, email text)")
            connection.execute("INSERT INTO stage VALUES (51, 'hidden-one')")
            with connection.cursor().copy("COPY stage FROM STDIN") as rows:
                rows.write_row((52, "hidden-two"))
            connection.execute("INSERT INTO people VALUES (53, 'hidden-three')")
            with connection.cursor().copy("COPY people TO STDOUT") as rows:
                assert b"53\thidden-three" in b"".join(rows)
            found = connection.execute("SELECT p.id FROM people p JOIN stage s ON s.id = p.id AND s.email = p.email ORDER BY 1")
            assert found.fetchall() == [(51,), (52,)]
        mask(scratch, rules, key)
        contents = raw_contents(scratch / "masked")
        assert re.findall(rb"hidden-\w+", contents) == []
        for kept in (b"INSERT INTO stage VALUES (51, '", b"INSERT INTO people VALUES (53, '", b"52\t", b"53\t"):
            assert kept in contents, kept
        apply(target, rules, key)
        replay_whole(scratch / "masked", f"postgresql://postgres@{target.tcp}/postgres", "--record", scratch / "replayed")
    differences = run_understudy("diff", scratch / "masked", scratch / "replayed")
    assert differences.returncode == 0, differences.stdout + differences.stderr


def test_what_is_wrong_is_told_with_file_and_line(scratch):
    rules, key = files(scratch, "column email\ncolumn a.b.c\n")
    for lines, said in (("column email\ncolum a\n", "line 2"), ("column a.b.c", "TABLE.NAME"), ("pattern (", "POSIX"),
                        ("type nothing", "no type"), ("# nothing\n", "no rule in it"), (r"pattern (a)\1", "line 1"), (r"pattern \d+", "everywhere")):
        rules.write_text(lines)
        result = run_understudy("mask-sql", "--rules", rules)
        assert result.returncode == 1 and said in result.stderr and str(rules) in result.stderr, result.stderr
    rules.write_text("column email")
    key.write_text("short")
    (scratch / "recording").mkdir()
    result = run_understudy("mask", scratch / "recording", "--rules", rules, "--mask-key-file", key, "--output",
                            scratch / "masked")
    assert result.returncode == 1 and "16 characters" in result.stderr and "short" not in result.stderr
    assert run_understudy("mask", scratch / "recording").returncode == 2


def files(scratch, rules):
    (scratch / "rules").write_text(rules)
    (scratch / "key").write_text(KEY + "\n")
    return scratch / "rules", scratch / "key"


def mask(scratch, rules, key):
    result = run_understudy("mask", scratch / "recording", "--rules", rules, "--mask-key-file", key, "--output",
                            scratch / "masked", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def psql(server, script, key=None):
    environment = {"PGOPTIONS": f"-c understudy.mask_key={key}"} if key else {}
    subprocess.run([str(BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port),
                    "-U", "postgres", "postgres"], input=script, text=True, check=True, timeout=120, env=environment)


def apply_functions(server, rules):
    printed = run_understudy("mask-sql", "--rules", rules, "--functions-only")
    assert printed.returncode == 0 and KEY not in printed.stdout, printed.stderr
    psql(server, printed.stdout)


def apply(server, rules, key):
    """As a user would: the key is in a setting, and not in the SQL."""
    printed = run_understudy("mask-sql", "--rules", rules)
    assert printed.returncode == 0 and KEY not in printed.stdout, printed.stderr
    psql(server, printed.stdout, KEY)
    told_key = run_understudy("mask-sql", "--rules", rules, "--mask-key-file", key)
    assert f"SET understudy.mask_key = '{KEY}';" in told_key.stdout


def load(server):
    with server.connect() as connection:
        for row in PEOPLE[:-5]:
            connection.execute("INSERT INTO users VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
            connection.execute("INSERT INTO orders VALUES (%s, %s, %s)", [row[0], row[1], row[8] / 100])


def work(proxy):
    """The masked values in every place they can have, in simple and extended protocol, text and binary."""
    with proxy.connect() as connection:
        for kind in ("simple", "text", "binary"):
            work_through(connection, kind)
    with proxy.connect() as connection:
        with connection.cursor().copy("COPY users (id, email, ssn, name, note) TO STDOUT") as rows:
            assert len(list(rows)) >= len(PEOPLE) - 5
        with connection.cursor().copy("COPY users (id, email, ssn, name, code) FROM STDIN") as rows:
            for row in PEOPLE[-2:]:
                rows.write_row((row[0], row[1], row[2], row[3], row[8]))
        for row in PEOPLE[-2:]:
            connection.execute("INSERT INTO orders (id, email, amount) VALUES (%s, %s, 1)", [row[0], row[1]])


def work_through(connection, kind):
    cursor = psycopg.ClientCursor(connection) if kind == "simple" else connection.cursor(binary=kind == "binary")
    offset = {"simple": 5, "text": 4, "binary": 3}[kind]
    form = "%s" if kind != "binary" else "%b"
    for row in PEOPLE[:6]:
        columns = ("id", "email", "ssn", "name", "token", "born", "seen", "raw", "code", "client", "note")
        for column, value in list(zip(columns, row))[1:9]:
            found = cursor.execute(f"SELECT * FROM users WHERE {column} = {form} ORDER BY id", [value]).fetchall()
            assert [each[0] for each in found] == [row[0]], (kind, column)
        cursor.execute(f"SELECT u.name AS who, o.amount FROM users u JOIN orders o ON o.email = u.email "
                       f"WHERE u.ssn IN ({form}, 'nobody') OR u.email = {form}", [row[2], row[1]])
        assert cursor.fetchone()[0] == row[3]
        cursor.execute(f"SELECT name FROM users WHERE email = ANY({form}) AND code = ANY({form})",
                       [["nobody-at-all@example.test", row[1]], [row[8], 7]])
        assert cursor.fetchone()[0] == row[3]
    new = PEOPLE[-offset]
    cursor.execute(f"INSERT INTO users (id, email, ssn, name, token, born, seen, raw, code, note) VALUES "
                   f"({', '.join([form] * 10)}) RETURNING email, token", [*new[:9], new[10]])
    cursor.execute(f"INSERT INTO orders (id, email, amount) VALUES ({form}, {form}, 2.50)", [new[0], new[1]])
    with pytest.raises(psycopg.errors.UniqueViolation):
        cursor.execute(f"INSERT INTO users (id, email) VALUES (1000, {form})", [new[1]])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        cursor.execute(f"INSERT INTO orders (id, email) VALUES (1000, {form})", ["nobody-at-all@example.test"])
    cursor.execute(f"UPDATE users SET code = {form} WHERE email = {form}", [new[8] + 1, new[1]])
    cursor.execute(f"UPDATE users SET code = {form} WHERE ssn = {form} RETURNING *", [new[8], new[2]])


def nothing_is_told(recording):
    exported = run_understudy("export", recording, "--format", "jsonl").stdout.encode()
    script = run_understudy("export", recording, "--format", "sql").stdout.encode()
    for contents in (raw_contents(recording), exported, script):
        found = [value for row in PEOPLE for value in told(row) if value in contents]
        assert not found, found[:5]
        assert b"nobody-at-all@" not in contents


def result_values(recording, column):
    """What a column's rows say, from the export."""
    exported = run_understudy("export", recording, "--format", "jsonl")
    assert exported.returncode == 0, exported.stderr
    values, named = [], False
    for line in exported.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "RowDescription":
            named = [each["name"] for each in message["columns"]] == [column]
        elif message["type"] == "DataRow" and named:
            values.append(message["values"][0])
    return values
