"""Whoever wants a masked value out of a masked recording: every shape of a statement, an answer and an error that might
bring it. The values' names say where one came from."""

import re
import struct

import psycopg
import pytest

from replaying import SYNC, Speaker, bind, copy_fail, describe, execute, message, parse, query, raw_contents, recorded
from test_mask import files, mask
from understudy_process import run_understudy

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, code int, note text);
CREATE TABLE orders (id int PRIMARY KEY, note text, attributes jsonb);
CREATE TYPE person AS (name text, email text);
CREATE TABLE guests (id int, who person);
CREATE VIEW noted AS SELECT id, email, note FROM users WHERE note = 'seen' WITH CHECK OPTION;
CREATE FUNCTION greet(id int, email text) RETURNS text LANGUAGE sql AS $$SELECT 'hello ' || email$$;
CREATE FUNCTION rename() RETURNS void LANGUAGE plpgsql AS $$BEGIN
  EXECUTE (SELECT format('UPDATE users SET email = %L, code = 1 / (id - id)', email) FROM users WHERE id = 1); END$$;
CREATE TABLE plain (email text);
INSERT INTO users VALUES (1, 'hidden-one@row', 70001234, 'seen'), (2, 'hidden-two@row', 70005678, 'seen');
INSERT INTO guests VALUES (1, ROW('ann', 'hidden-guest@row'));
"""

STATEMENTS = r"""
INSERT INTO users (id, email, code) VALUES (10, 'hidden-insert', 70000010)
INSERT INTO users VALUES (11, 'hidden-unnamed', 70000011)
INSERT INTO users (id, note, email) SELECT o.*, 'hidden-star' FROM (SELECT 12, 'n') o
INSERT INTO users (id, email) VALUES (10, 'hidden-conflict') ON CONFLICT (id) DO UPDATE SET email = 'hidden-excluded', code = 70000012 RETURNING email AS x
UPDATE users u SET email = v.e, code = v.c FROM (VALUES (11, 'hidden-from', 70000013)) v (i, e, c) WHERE u.id = v.i RETURNING u.email AS other
UPDATE users SET (email, code) = ('hidden-row', 70000014) WHERE id = 11
MERGE INTO users USING (VALUES (11, 'hidden-merge')) s (i, e) ON id = s.i WHEN MATCHED THEN UPDATE SET email = s.e, code = 70000015
WITH w AS (UPDATE users SET note = 'seen' WHERE id = 1 RETURNING email AS e) SELECT e AS x FROM w
SELECT id FROM users WHERE email = E'hidden-\x65scaped' OR email = $q$hidden-dollar$q$ OR email = U&'hidden-\0075nicode' OR email = 'hidden-cast'::text
SELECT id FROM users WHERE (id, code) = (1, 70001234) OR code IN (VALUES (70000016)) OR code = ANY ('{70000017}'::int[])
SELECT id FROM users WHERE code <@ '[1,70000018]'::int4range OR email IN (SELECT 'hidden-subquery')
SELECT 1 WHERE (SELECT max(code) FROM users) > 70000025 OR 70000026 IN (SELECT code FROM users)
SELECT ARRAY[email], ROW(email, 1), json_build_object('a', email), nullif(email, '') FROM users
SELECT "array" FROM (SELECT ARRAY[email] FROM users) s
SELECT "nullif" FROM (SELECT nullif(email, '') FROM users) s
SELECT note FROM (SELECT CASE WHEN true THEN email ELSE note END FROM users) s
SELECT "varchar" FROM (SELECT (email || '')::text::varchar FROM users) s
SELECT to_jsonb(u), u, string_agg(email, ',') OVER () FROM users u
SELECT x FROM users, LATERAL regexp_split_to_table(email, '@') x
SELECT * FROM json_to_recordset('[{"email": "hidden-recordset"}]') AS x (email text)
INSERT INTO users SELECT * FROM json_populate_record(null::users, '{"id": 13, "email": "hidden-populate", "code": 70000019}')
UPDATE guests SET who.email = 'hidden-field'
SELECT (who).email AS x, (who).email || '' FROM guests WHERE (who).email = 'hidden-composite' OR (who).name = 'ann'
SELECT greet(email => 'hidden-argument', id => 7)
SELECT * FROM greet(7, email => 'hidden-called') AS g
SELECT query_to_xml('SELECT email AS x FROM users', true, true, '')
EXPLAIN SELECT * FROM users WHERE email = 'hidden-plan'
EXPLAIN (ANALYZE, FORMAT json) UPDATE users SET note = note WHERE email = 'hidden-analyze' OR code = 70000020
DO $$BEGIN PERFORM 1 FROM users WHERE email = 'hidden-do'; EXECUTE format('UPDATE users SET email = %L WHERE id = 11', 'hidden-format'); END$$
CREATE TEMP TABLE copies AS SELECT email AS mail, 'hidden-created' AS also FROM users
PREPARE one (text, int) AS SELECT email AS x FROM users WHERE email = $1 OR code = $2
EXECUTE one ('hidden-execute', 70000021)
EXPLAIN EXECUTE one ('hidden-explained', 70000022)
CREATE TEMP TABLE made AS EXECUTE one ('hidden-made', 70000023)
BEGIN
DECLARE c CURSOR FOR SELECT id, email AS x FROM users
FETCH 2 FROM c
COMMIT
SELECT pg_notify('news', email) FROM users
SELECT data FROM pg_logical_slot_peek_changes('adversary', NULL, NULL)
SELECT * FROM pg_logical_slot_peek_changes('adversary', NULL, NULL)
SELECT c.data FROM pg_logical_slot_peek_binary_changes('adversary', NULL, NULL) c
SELECT encode(data, 'escape') AS d FROM pg_logical_slot_get_binary_changes('adversary', NULL, NULL)
SELECT 'hidden-query' = email, current_query() FROM users
ALTER TABLE plain ALTER email SET DEFAULT 'hidden-default', ALTER email TYPE text USING coalesce(email, 'hidden-using')
ALTER TABLE users ADD CONSTRAINT no CHECK (email <> 'hidden-check') NOT VALID
CREATE TEMP TABLE stage (id int, email text, code int)
INSERT INTO stage VALUES (1, 'hidden-stage', 70000024)
"""

FAILING = r"""
INSERT INTO users (id, email) VALUES (20, 'hidden-one@row')
INSERT INTO users (id, email) VALUES (1, 'hidden-key')
UPDATE users SET id = NULL WHERE id = 2
UPDATE noted SET note = 'unseen'
SELECT email::int FROM users WHERE id = 2
SELECT email::date FROM users WHERE id = 2
SELECT rename()
SELECT 1 FROM users WHERE code = 'hidden-type'
SELECT 1 FROM users WHERE code = E'hidden-\x74yped'
SELEKT 'hidden-syntax'
"""


def test_no_shape_of_a_statement_or_an_answer_brings_a_masked_value_out(server, scratch):
    rules, key = files(scratch, "column email\ncolumn code\n")
    with server.connect() as connection:
        for statement in (SCHEMA, "SELECT pg_create_logical_replication_slot('adversary', 'test_decoding')"):
            connection.execute(statement)
    with recorded(server, scratch / "recording") as proxy:
        with proxy.connect() as listener, proxy.connect(cursor_factory=psycopg.ClientCursor) as connection:
            listener.execute("LISTEN news")
            for statement in STATEMENTS.strip().split("\n"):
                try:
                    connection.execute(statement)
                except psycopg.Error as error:
                    pytest.fail(f"{statement}: {error}")
            for statement in FAILING.strip().split("\n"):
                with pytest.raises(psycopg.Error):
                    connection.execute(statement)
            told = listener.execute("SELECT state, query FROM pg_stat_activity").fetchall()
            assert "hidden-syntax" in str(told)
            copies(connection)
        with Speaker(proxy.port) as speaker:
            by_hand(speaker, oid_of(server, "greet"))
    report = mask(scratch, rules, key)
    assert report["sessions_cut"] == 0, report
    exports = [run_understudy("export", scratch / "masked", "--format", kind).stdout.encode() for kind in ("jsonl", "sql")]
    told = re.compile(rb"hidden-[\w@-]*|68696464656e2d[0-9a-f]*|(?<!\d)7000\d{4}(?!\d)")
    assert len(set(told.findall(raw_contents(scratch / "recording")))) > 80  # they do come
    assert [sorted(set(told.findall(contents))) for contents in (raw_contents(scratch / "masked"), *exports)] == [[], [], []]


def copies(connection):
    """In and out, as text, CSV and binary; one that the client gives up."""
    cursor = connection.cursor()
    for options in ("", "(FORMAT csv)", "(FORMAT csv, HEADER, FORCE_QUOTE *)", "(FORMAT binary)"):
        for what in ("users", "users (id, email)", "(SELECT email AS x FROM users)"):
            with cursor.copy(f"COPY {what} TO STDOUT {options}") as rows:
                assert b"hidden-" in b"".join(rows)
    for columns, row in (("", "30\thidden-copied\t70000030\tn\n"), ("(email, id)", "hidden-\\\\copied\t31\n")):
        with cursor.copy(f"COPY users {columns} FROM STDIN") as rows:
            for piece in row:
                rows.write(piece)
    with cursor.copy("COPY users (id, email) FROM STDIN (FORMAT csv)") as rows:
        rows.write('32,"hidden-""quoted"\n33,hidden-plain\n')
    with cursor.copy("COPY stage FROM STDIN") as rows:
        rows.write("1\thidden-staged\t70000031\n")
    with pytest.raises(psycopg.Error), cursor.copy("COPY users (id, code) FROM STDIN") as rows:
        rows.write("34\thidden-number\n")
    with pytest.raises(psycopg.Error), cursor.copy("COPY users (id, email) FROM STDIN"):
        raise ValueError("hidden-reason")


def by_hand(speaker, function):
    """A function call, a COPY that fails, parameters of statements whose types are not told, a portal that is fetched
    from twice."""
    arguments = struct.pack("!IHH", function, 0, 2)
    for value in (b"7", b"hidden-called-by-number"):
        arguments += struct.pack("!i", len(value)) + value
    speaker.send(message("F", arguments + struct.pack("!H", 0)))
    assert "V" in speaker.read_until("Z")
    speaker.send(query("COPY users (id, email) FROM STDIN"))
    speaker.read_until("G")
    speaker.send(copy_fail("hidden-reason-by-hand"))
    assert "E" in speaker.read_until("Z")
    speaker.send(parse("SELECT email AS x FROM users WHERE email <> $1 AND code <> $2", "s"),
                 bind("hidden-parameter", "70000032", statement="s"), execute(1), execute(1), SYNC,
                 parse("INSERT INTO users VALUES ($1, $2, $3)"), bind("40", "hidden-bound", "70000033"), describe(), execute(), SYNC)
    speaker.read_until("Z", 2)
    speaker.send(parse("SELECT id AS x FROM users", "again"), SYNC, query("DEALLOCATE again"),
                 query("PREPARE again AS SELECT email AS x FROM users"), bind(statement="again"), execute(), SYNC)
    assert "D" in speaker.read_until("Z", 4)
    speaker.send(parse("SELECT email AS x FROM users"), bind(), execute(), SYNC)  # rows without a description
    assert "D" in speaker.read_until("Z")


def oid_of(server, function):
    return server.value(f"SELECT oid FROM pg_proc WHERE proname = '{function}'")
