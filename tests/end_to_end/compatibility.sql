-- What psql can ask of a server, in more than 300 statements; run directly and through the proxy, the output must
-- be the same byte for byte. Nothing here depends on time, on process ids or on object ids.
\set VERBOSITY verbose
\set SHOW_CONTEXT always
\pset null '(null)'
\encoding
SHOW server_encoding;
SHOW client_encoding;
SHOW standard_conforming_strings;
SELECT current_user, session_user, current_database(), current_schema();
SELECT current_setting('application_name'), current_setting('is_superuser');
CREATE SCHEMA shop;
SET search_path = shop, public;
SHOW search_path;

-- Expressions and types -------------------------------------------------------------------------------------------
SELECT 1;
SELECT 1 AS one, 2 AS two, NULL AS nothing;
SELECT;
SELECT ''::text AS empty, length('') AS zero;
SELECT true, false, NULL::boolean, NOT true;
SELECT 32767::int2, (-32768)::int2, 2147483647, 9223372036854775807;
SELECT 32768::int2;
SELECT 9223372036854775807 + 1;
SELECT 1 / 0;
SELECT 1.5::numeric, 12345678901234567890.123456789, 'NaN'::numeric, 'Infinity'::numeric;
SELECT round(2.5), round(-2.5), trunc(9.99), ceil(1.1), floor(-1.1), 7 % 3, 2 ^ 10, |/ 25.0, @ -5;
SELECT 0.1::float8 + 0.2::float8, 'Infinity'::float8, '-Infinity'::float8, 'NaN'::float8, 1e308::float8 * 10;
SELECT 1::float4 / 3, 1::float8 / 3;
SET extra_float_digits = -5;
SELECT 1::float4 / 3, 1::float8 / 3;
RESET extra_float_digits;
SELECT 'abc' || 'def', upper('straße'), lower('ÄÖÜ'), initcap('hello world'), reverse('abc');
SELECT E'tab\there', E'new\nline', E'back\\slash', E'quote\'s', 'quote''s';
SELECT U&'d\0061t\+000061', '日本語', 'emoji 🐘', length('🐘'), octet_length('🐘');
SELECT repeat('x', 70), lpad('7', 5, '0'), rpad('7', 5, '*'), btrim('  x  '), split_part('a,b,c', ',', 2);
SELECT substring('PostgreSQL' FROM 5 FOR 3), position('S' IN 'PostgreSQL'), overlay('abcdef' PLACING '--' FROM 3 FOR 2);
SELECT regexp_replace('a1b22c333', '\d+', '#', 'g'), regexp_matches('foobar', '(o+)(b)');
SELECT * FROM regexp_split_to_table('one two  three', '\s+');
SELECT string_to_array('a,b,,c', ','), array_to_string(ARRAY[1, NULL, 3], '-', '?');
SELECT format('%s %I %L %%', 'text', 'Column Name', 'it''s');
SELECT quote_ident('a b'), quote_literal('a''b'), quote_nullable(NULL);
SELECT 'x'::char(5) || '|', 'abcdef'::varchar(3), 'abc'::name;
SELECT 'too long'::varchar(3) = 'too', chr(65), ascii('A'), md5('understudy'), to_hex(255);
SELECT '\xdeadbeef'::bytea, E'\\000\\001'::bytea, encode('\x00ff', 'base64'), decode('AP8=', 'base64'), length('\x000102'::bytea);
SET bytea_output = 'escape';
SELECT '\xdeadbeef00'::bytea, 'plain'::bytea;
RESET bytea_output;
SELECT DATE '2024-02-29' + 1, DATE '2024-03-01' - DATE '2024-02-01', 'infinity'::date, '4714-11-24 BC'::date;
SELECT TIMESTAMP '2024-01-01 12:34:56.789012', TIMESTAMPTZ '2024-01-01 12:00:00+02', TIME '23:59:59.999', TIMETZ '01:02:03+04';
SET TimeZone = 'America/New_York';
SELECT TIMESTAMPTZ '2024-07-01 12:00:00+00', TIMESTAMPTZ '2024-01-01 12:00:00+00';
SET DateStyle = 'German, DMY';
SELECT DATE '2024-12-31', TIMESTAMPTZ '2024-07-01 12:00:00+00';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'iso_8601';
SELECT INTERVAL '1 year 2 months 3 days 4:05:06.7';
RESET IntervalStyle;
RESET TimeZone;
SELECT INTERVAL '1 day' * 1.5, INTERVAL '1 month' + INTERVAL '-1 day', justify_hours(INTERVAL '50 hours');
SELECT extract(epoch FROM TIMESTAMPTZ '2000-01-01 00:00:00+00'), date_trunc('month', TIMESTAMP '2024-05-17 10:00'), age(DATE '2024-03-01', DATE '2023-01-31');
SELECT to_char(TIMESTAMP '2024-05-17 15:04:05', 'Day, DD Mon YYYY HH12:MI:SS AM'), to_char(1234567.891, 'FM9,999,990.00'), to_number('1,234.5', '9,999.9');
SELECT to_date('17 05 2024', 'DD MM YYYY'), make_date(2024, 5, 17), make_interval(days => 3);
SELECT 'not a date'::date;
SELECT '2024-13-01'::date;
SELECT ARRAY[1, 2, 3], ARRAY[[1, 2], [3, 4]], '{a,"b c",NULL}'::text[], ARRAY[]::int[];
SELECT (ARRAY[10, 20, 30])[2], (ARRAY[10, 20, 30])[2:3], array_length(ARRAY[[1, 2], [3, 4]], 2), 2 = ANY (ARRAY[1, 2]), array_agg(x) FROM generate_series(1, 3) x;
SELECT unnest(ARRAY['a', 'b']), unnest(ARRAY[1, 2, 3]);
SELECT '{1,2'::int[];
SELECT '{"a": 1, "b": [true, null, "x"]}'::json, '{"b": 2, "a": 1, "a": 3}'::jsonb;
SELECT '{"a": {"b": [1, 2, {"c": "d"}]}}'::jsonb #>> '{a,b,2,c}', '{"a": 1}'::jsonb ? 'a', '{"a": 1}'::jsonb || '{"b": 2}';
SELECT jsonb_pretty('{"a": [1, 2], "b": {}}'), jsonb_path_query_array('[1, 2, 3, 4]', '$[*] ? (@ > 2)');
SELECT * FROM jsonb_each('{"x": 1, "y": "two"}');
SELECT * FROM json_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS t(a int, b text);
SELECT '{"broken": '::jsonb;
SELECT '<a><b>1</b></a>'::xml;
SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid = '{a0eebc999c0b4ef8bb6d6bb9bd380a11}';
SELECT 'not-a-uuid'::uuid;
SELECT '192.168.0.1/24'::inet, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr, inet '::1' <<= inet '::/64', host('10.1.2.3/8'::inet);
SELECT B'1010', X'1F', B'1010' & B'0110', B'1'::bit(4), B'101'::bit varying(5);
SELECT '(1,2)'::point, '[(0,0),(1,1)]'::lseg, '((0,0),(1,1))'::box, '<(0,0),5>'::circle, '((0,0),(1,0),(1,1))'::polygon, point '(0,0)' <-> point '(3,4)';
SELECT '$1,234.56'::money, '12.3'::money * 2;
SELECT int4range(1, 5), '[1,3]'::int4range, int4range(1, 5) @> 3, numrange(NULL, 5), 'empty'::int4range, int4multirange(int4range(1, 3), int4range(5, 7));
SELECT ROW(1, 'a', NULL), ROW(1, 2) < ROW(1, 3), ROW(1, NULL) IS NULL;
SELECT to_tsvector('english', 'The quick brown foxes jumped'), to_tsquery('english', 'fox & jump'), to_tsvector('english', 'foxes') @@ to_tsquery('english', 'fox');
SELECT 'pg_class'::regclass, 'int4'::regtype, '16'::oid, 'abs(integer)'::regprocedure, pg_typeof(1.0), pg_typeof('x');
SELECT 'no_such_table'::regclass;
SELECT '0/16B3748'::pg_lsn, '0/16B3748'::pg_lsn - '0/16B3740'::pg_lsn, '10:20:10,14,15'::pg_snapshot;
SELECT CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'b' END, COALESCE(NULL, 'x'), NULLIF(1, 1), GREATEST(1, 3, 2), LEAST(1, NULL, 2);
SELECT num_nulls(1, NULL, NULL), 1 IS DISTINCT FROM NULL, NULL = NULL, 5 BETWEEN 1 AND 10, 'abc' LIKE 'a%', 'abc' SIMILAR TO '(a|b)%', 'ABC' ILIKE 'abc';
SELECT generate_series(1, 5), generate_series(10, 8, -1);
SELECT * FROM generate_series(TIMESTAMP '2024-01-01', '2024-01-03', '12 hours');
VALUES (1, 'one'), (2, 'two'), (3, NULL);
TABLE pg_catalog.pg_language ORDER BY lanname LIMIT 1 \g /dev/null
SELECT 1 AS "a column with spaces", 2 AS "ÜmläutCol", 3 AS "quote""d", 4 AS select_;

-- Tables ----------------------------------------------------------------------------------------------------------
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE place AS (street text, number int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE ticket START 100 INCREMENT 5;
CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, mood mood DEFAULT 'ok', home place, age positive, note varchar(20));
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, customer int REFERENCES customer ON DELETE CASCADE, total numeric(10, 2) CHECK (total >= 0), tags text[], detail jsonb, UNIQUE (customer, total));
CREATE TABLE IF NOT EXISTS customer (id int);
CREATE TABLE customer (id int);
CREATE TEMPORARY TABLE scratch (k int, v text) ON COMMIT DELETE ROWS;
CREATE UNLOGGED TABLE quick (k int PRIMARY KEY, v text);
CREATE TABLE measure (day date, value float8) PARTITION BY RANGE (day);
CREATE TABLE measure_2024 PARTITION OF measure FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measure_rest PARTITION OF measure DEFAULT;
CREATE INDEX orders_total ON orders (total DESC) WHERE total > 10;
CREATE UNIQUE INDEX customer_name ON customer (lower(name));
CREATE INDEX CONCURRENTLY orders_tags ON orders USING gin (tags);
CREATE VIEW spending AS SELECT c.name, sum(o.total) AS total, count(*) AS orders FROM customer c JOIN orders o ON o.customer = c.id GROUP BY c.name;
CREATE MATERIALIZED VIEW spending_then AS SELECT * FROM spending WITH NO DATA;
COMMENT ON TABLE customer IS 'who buys; a comment with "quotes" and ''apostrophes''';
ALTER TABLE customer ADD COLUMN joined date DEFAULT '2024-01-01', ADD COLUMN extra int;
ALTER TABLE customer DROP COLUMN extra;
ALTER TABLE customer ALTER COLUMN note TYPE text;
ALTER TABLE customer RENAME COLUMN note TO remark;
\d customer
\d orders
\d+ spending
\dT+ mood
\dn
\dt
\di
\ds

INSERT INTO customer (name, mood, home, age) VALUES ('Ada', 'happy', ROW('Main St', 1), 36), ('Grace', 'ok', NULL, 85), ('Edsger', 'sad', ROW('Elm', 12), 72);
INSERT INTO customer (name) VALUES ('Barbara') RETURNING id, name, mood, joined;
INSERT INTO customer (name) VALUES ('ADA');
INSERT INTO customer (name, mood) VALUES ('Tony', 'furious');
INSERT INTO customer (name, age) VALUES ('Tony', -1);
INSERT INTO customer (name) VALUES (NULL);
INSERT INTO customer DEFAULT VALUES;
INSERT INTO customer (name) VALUES ('ADA') ON CONFLICT (lower(name)) DO UPDATE SET mood = 'sad' RETURNING *;
INSERT INTO customer (name) VALUES ('Grace') ON CONFLICT DO NOTHING;
INSERT INTO orders (customer, total, tags, detail) VALUES (1, 10.50, '{a,b}', '{"n": 1}'), (1, 99.99, '{}', NULL), (2, 0, NULL, '[]');
INSERT INTO orders (customer, total) VALUES (999, 1);
INSERT INTO orders (customer, total) VALUES (1, -1);
INSERT INTO orders (customer, total) VALUES (1, 10.50);
INSERT INTO orders (customer, total) VALUES (1, 123456789012.5);
INSERT INTO orders (id, customer, total) VALUES (7, 1, 1);
INSERT INTO orders (id, customer, total) OVERRIDING SYSTEM VALUE VALUES (70, 1, 1) RETURNING id;
INSERT INTO orders (customer, total, tags) SELECT 3, n * 1.25, ARRAY['t' || n] FROM generate_series(1, 20) n;
INSERT INTO measure SELECT DATE '2023-12-25' + n, n * 1.5 FROM generate_series(0, 20) n;
INSERT INTO measure_2024 VALUES ('2022-01-01', 1);
INSERT INTO quick SELECT n, 'value ' || n FROM generate_series(1, 1000) n;
INSERT INTO no_such_table VALUES (1);
INSERT INTO customer (no_such_column) VALUES (1);
INSERT INTO customer VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9);

SELECT * FROM customer ORDER BY id;
SELECT (home).street, (home).number FROM customer ORDER BY id;
SELECT * FROM spending ORDER BY name;
SELECT * FROM spending_then;
REFRESH MATERIALIZED VIEW spending_then;
SELECT * FROM spending_then ORDER BY name;
SELECT tableoid::regclass, count(*), sum(value) FROM measure GROUP BY 1 ORDER BY 1;
SELECT name, total FROM customer LEFT JOIN orders ON customer = customer.id AND total > 20 ORDER BY 1, 2 NULLS FIRST;
SELECT count(*), count(tags), avg(total)::numeric(10, 4), min(total), max(total), stddev(total)::numeric(10, 4) FROM orders;
SELECT customer, count(*) FILTER (WHERE total > 10), string_agg(id::text, ',' ORDER BY id) FROM orders GROUP BY customer HAVING count(*) > 1 ORDER BY customer;
SELECT customer, total, rank() OVER (PARTITION BY customer ORDER BY total DESC), sum(total) OVER w, lag(total) OVER w FROM orders WHERE id < 10 WINDOW w AS (ORDER BY id) ORDER BY id;
SELECT mood, age, count(*) FROM customer GROUP BY GROUPING SETS ((mood), (age), ()) ORDER BY 1, 2;
SELECT mood, count(*) FROM customer GROUP BY ROLLUP (mood) ORDER BY mood;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY customer) FROM orders;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n), array_agg(n) FROM t;
WITH moved AS (DELETE FROM orders WHERE total = 0 RETURNING *) SELECT count(*) FROM moved;
WITH changed AS (UPDATE customer SET remark = 'seen' WHERE id <= 2 RETURNING id) SELECT * FROM changed ORDER BY id;
SELECT * FROM (VALUES (1), (2), (3)) AS v(n) WHERE EXISTS (SELECT 1 FROM customer WHERE id = n) ORDER BY n;
SELECT c.name, latest.total FROM customer c CROSS JOIN LATERAL (SELECT total FROM orders WHERE customer = c.id ORDER BY total DESC LIMIT 1) latest ORDER BY 1;
SELECT 1 UNION SELECT 2 UNION ALL SELECT 2 ORDER BY 1;
SELECT 1 INTERSECT SELECT 1;
SELECT n FROM generate_series(1, 5) n EXCEPT SELECT 3 ORDER BY 1;
SELECT DISTINCT ON (customer) customer, total FROM orders ORDER BY customer, total DESC;
SELECT * FROM quick ORDER BY k LIMIT 3 OFFSET 500;
SELECT * FROM quick ORDER BY k FETCH FIRST 2 ROWS ONLY;
SELECT * FROM quick WHERE k = 0;
SELECT * FROM quick TABLESAMPLE BERNOULLI (100) WHERE k < 3 ORDER BY k;
SELECT k, v FROM quick WHERE k BETWEEN 10 AND 60 ORDER BY k;
SELECT nextval('ticket'), nextval('ticket'), currval('ticket'), setval('ticket', 500), nextval('ticket');
SELECT lastval();
UPDATE orders SET total = total * 2 WHERE customer = 3 AND total < 5 RETURNING id, total;
UPDATE orders SET total = -5 WHERE customer = 1;
UPDATE customer SET (mood, age) = ('happy', 40) FROM orders WHERE orders.customer = customer.id AND orders.id = 1;
UPDATE customer SET age = age + 1;
UPDATE no_such_table SET x = 1;
UPDATE customer SET no_such_column = 1;
DELETE FROM orders WHERE id = 70;
DELETE FROM orders USING customer WHERE customer.id = orders.customer AND name = 'nobody';
DELETE FROM customer WHERE id = 4 RETURNING *;
MERGE INTO quick q USING (VALUES (1, 'merged'), (2000, 'new')) AS s(k, v) ON q.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.k, s.v);
SELECT * FROM quick WHERE k IN (1, 2000) ORDER BY k;
TRUNCATE measure;
SELECT count(*) FROM measure;
TRUNCATE customer;
SELECT * INTO copied FROM customer WHERE id < 3;
CREATE TABLE copied_again AS SELECT id, name FROM customer ORDER BY id;
CREATE TABLE like_customer (LIKE customer INCLUDING ALL);
ANALYZE customer;
VACUUM customer;
LOCK TABLE customer IN ACCESS EXCLUSIVE MODE;

-- Errors ----------------------------------------------------------------------------------------------------------
SELEC 1;
SELECT * FORM customer;
SELECT * FROM;
SELECT (1;
SELECT 'unterminated;
';
SELECT $$dollar $ quoted$$, $tag$with $$ inside$tag$;
SELECT no_such_column FROM customer;
SELECT no_such_function(1);
SELECT abs('x', 'y');
SELECT name FROM customer GROUP BY id, mood HAVING count(*) = 1 AND name;
SELECT id FROM customer GROUP BY mood;
SELECT * FROM customer c JOIN orders o USING (no_such);
SELECT id FROM customer, orders;
SELECT 1 WHERE 'text';
SELECT 'abc'::int;
SELECT ''::int;
SELECT '1e400'::float8;
SELECT sqrt(-1);
SELECT ln(0);
SELECT (SELECT n FROM generate_series(1, 2) n);
SELECT array_fill(0, ARRAY[-1]);
SELECT substring('x' FROM 1 FOR -1);
SELECT regexp_replace('x', '(', '');
SELECT 1 FROM generate_series(1, 3) n WHERE 1 / (n - 2) > 0;
SELECT pg_terminate_backend(-1);
SELECT has_table_privilege('nobody_at_all', 'customer', 'select');
SET no_such_setting = 1;
SET work_mem = 'lots';
SHOW no_such_setting;
SET statement_timeout = 30;
SELECT pg_sleep(20);
RESET statement_timeout;
SELECT set_config('my.setting', 'a value', false), current_setting('my.setting'), current_setting('my.other', true);
DROP TABLE no_such_table;
DROP TABLE IF EXISTS no_such_table;
DROP TYPE mood;
DROP TABLE customer;
CREATE INDEX ON customer (no_such_column);
ALTER TABLE customer ADD COLUMN name int;
ALTER TABLE no_such_table ADD COLUMN x int;
CREATE ROLE clerk;
GRANT SELECT ON customer TO clerk;
SET ROLE clerk;
SELECT count(*) FROM shop.customer;
SELECT current_user, session_user;
RESET ROLE;
GRANT USAGE ON SCHEMA shop TO clerk;
SET SESSION AUTHORIZATION clerk;
SELECT count(*) FROM customer;
DELETE FROM customer;
CREATE TABLE not_mine (x int);
SET ROLE postgres;
RESET SESSION AUTHORIZATION;
\dp customer
REVOKE ALL ON customer FROM clerk;
DROP ROLE clerk;

-- Transactions ----------------------------------------------------------------------------------------------------
BEGIN;
INSERT INTO quick VALUES (5000, 'kept?');
ROLLBACK;
SELECT count(*) FROM quick WHERE k = 5000;
BEGIN;
SELECT 1 / 0;
SELECT 'refused';
INSERT INTO quick VALUES (5001, 'refused');
COMMIT;
BEGIN;
INSERT INTO quick VALUES (5002, 'kept');
SAVEPOINT one;
INSERT INTO quick VALUES (5002, 'duplicate');
SELECT 'in error';
ROLLBACK TO SAVEPOINT one;
INSERT INTO quick VALUES (5003, 'kept too');
SAVEPOINT two;
INSERT INTO quick VALUES (5004, 'given up');
ROLLBACK TO two;
RELEASE SAVEPOINT two;
RELEASE SAVEPOINT no_such_savepoint;
ROLLBACK TO one;
COMMIT;
SELECT * FROM quick WHERE k > 5000 ORDER BY k;
COMMIT;
ROLLBACK;
BEGIN;
BEGIN;
COMMIT AND CHAIN;
COMMIT;
START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
SHOW transaction_isolation;
SHOW transaction_read_only;
INSERT INTO quick VALUES (6000, 'refused');
END;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM quick;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
ABORT;
SET TRANSACTION READ ONLY;
SET LOCAL work_mem = '1MB';
BEGIN;
SET LOCAL application_name = 'for a transaction';
SHOW application_name;
INSERT INTO scratch VALUES (1, 'gone at commit');
SELECT * FROM scratch;
COMMIT;
SHOW application_name;
SELECT * FROM scratch;
SET application_name = 'compatibility';
SHOW application_name;
BEGIN;
CREATE TABLE short_lived (x int);
DROP TABLE short_lived;
CREATE DATABASE refused;
ROLLBACK;
BEGIN;
DECLARE plain CURSOR FOR SELECT k, v FROM quick ORDER BY k;
FETCH 3 FROM plain;
FETCH NEXT FROM plain;
FETCH BACKWARD 1 FROM plain;
MOVE 10 IN plain;
FETCH 0 FROM plain;
FETCH ALL FROM plain \g /dev/null
FETCH 1 FROM plain;
CLOSE plain;
FETCH 1 FROM plain;
ROLLBACK;
BEGIN;
DECLARE both SCROLL CURSOR FOR SELECT n FROM generate_series(1, 10) n;
FETCH LAST FROM both;
FETCH PRIOR FROM both;
FETCH ABSOLUTE 3 FROM both;
FETCH RELATIVE -1 FROM both;
FETCH FIRST FROM both;
DECLARE both CURSOR FOR SELECT 1;
END;
DECLARE outside CURSOR FOR SELECT 1;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT n FROM generate_series(1, 5) n;
COMMIT;
FETCH 2 FROM held;
CLOSE held;
BEGIN;
DECLARE updatable CURSOR FOR SELECT k FROM quick WHERE k < 3 ORDER BY k FOR UPDATE;
FETCH 1 FROM updatable;
UPDATE quick SET v = 'by cursor' WHERE CURRENT OF updatable;
COMMIT;
SELECT v FROM quick WHERE k = 1;
SELECT k FROM quick WHERE k = 7 FOR UPDATE NOWAIT;
SELECT pg_advisory_lock(42), pg_try_advisory_lock(42);
SELECT pg_advisory_unlock(42), pg_advisory_unlock(42), pg_advisory_unlock(42);
PREPARE TRANSACTION 'refused';

-- Several statements in one message -------------------------------------------------------------------------------
SELECT 1 AS a\; SELECT 2 AS b\; SELECT 3 AS c;
SELECT 1 AS a\; SELECT 1 / 0\; SELECT 3 AS never;
CREATE TABLE several (x int)\; INSERT INTO several VALUES (1), (2)\; SELECT * FROM several\; DROP TABLE several;
BEGIN\; SELECT 'in' AS transaction\; COMMIT;
;
 -- nothing but a comment
/* another /* nested */ one */ SELECT 'after a comment';

-- Prepared statements ---------------------------------------------------------------------------------------------
PREPARE by_key (int) AS SELECT k, v FROM quick WHERE k = $1;
EXECUTE by_key (10);
EXECUTE by_key (11);
EXECUTE by_key ('not a number');
EXECUTE by_key;
PREPARE by_key AS SELECT 1;
PREPARE untyped AS SELECT $1 || $2;
EXECUTE untyped ('a', 'b');
PREPARE write_it (int, text) AS INSERT INTO quick VALUES ($1, $2) RETURNING *;
EXECUTE write_it (7000, 'prepared');
EXECUTE write_it (7000, 'again');
SELECT name, statement, parameter_types FROM pg_prepared_statements ORDER BY name;
EXPLAIN (COSTS OFF) EXECUTE by_key (10);
DEALLOCATE by_key;
DEALLOCATE by_key;
EXECUTE by_key (1);
DEALLOCATE ALL;
EXPLAIN (COSTS OFF) SELECT * FROM customer WHERE id = 1;
EXPLAIN (COSTS OFF, VERBOSE) SELECT c.name FROM customer c JOIN orders o ON o.customer = c.id WHERE o.total > 10;
EXPLAIN (COSTS OFF, FORMAT json) SELECT count(*) FROM quick;
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM generate_series(1, 10) n WHERE n > 5;
SELECT k FROM quick WHERE k = 12 \gdesc
SELECT 'described' AS a, 1.5 AS b, ARRAY[1] AS c \gdesc

-- COPY ------------------------------------------------------------------------------------------------------------
COPY customer TO STDOUT;
COPY (SELECT k, v FROM quick WHERE k < 5 ORDER BY k) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY (SELECT NULL, 'tab	here', E'new\nline', '\') TO STDOUT;
COPY no_such_table TO STDOUT;
COPY (SELECT 1 / (3 - n) FROM generate_series(1, 5) n) TO STDOUT;
CREATE TABLE loaded (a int, b text, c numeric);
COPY loaded FROM STDIN;
1	one	1.5
2	\N	\N
3	tab\there	3.25
4	Ünïcödé 🐘	4
\.
COPY loaded (a, b) FROM STDIN WITH (FORMAT csv, HEADER);
a,b
5,"quoted, with comma"
6,"two
lines"
\.
COPY loaded FROM STDIN;
7	fine	7
not a number	broken	8
\.
COPY loaded FROM STDIN;
9	too few
\.
COPY loaded FROM STDIN WITH (FORMAT csv, DELIMITER '|', NULL 'nil');
10|nil|10
\.
COPY loaded FROM STDIN WHERE a > 100;
50	skipped	1
150	taken	1
\.
COPY loaded FROM STDIN;
\.
COPY no_such_table FROM STDIN;
SELECT * FROM loaded ORDER BY a;
COPY (SELECT 1, 'x') TO STDOUT WITH (FORMAT binary) \g /dev/null
\copy loaded to '/dev/null'
\copy (select a, b from loaded where a < 3 order by a) to stdout with csv
\copy loaded from stdin with csv
200,two hundred,200
201,"two hundred and one",201
\.
SELECT count(*), sum(a) FROM loaded;
BEGIN;
COPY loaded FROM STDIN;
300	in a transaction	1
\.
ROLLBACK;
SELECT count(*) FROM loaded;
COPY (SELECT repeat('wide ', 1000), n FROM generate_series(1, 50) n) TO STDOUT;

-- Functions, notices, DO ------------------------------------------------------------------------------------------
DO $$ BEGIN RAISE NOTICE 'a notice of % words', 4; END $$;
DO $$ BEGIN RAISE WARNING 'a warning' USING HINT = 'a hint', DETAIL = 'a detail'; END $$;
DO $$ BEGIN RAISE INFO 'information'; RAISE LOG 'to the log'; RAISE DEBUG 'not shown'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'an exception' USING ERRCODE = '22012', TABLE = 'customer', COLUMN = 'id'; END $$;
DO $$ BEGIN RAISE SQLSTATE 'ABCDE'; END $$;
DO $$ BEGIN FOR i IN 1..50 LOOP RAISE NOTICE 'line %', i; END LOOP; END $$;
SET client_min_messages = warning;
DO $$ BEGIN RAISE NOTICE 'hidden'; RAISE WARNING 'shown'; END $$;
SET client_min_messages = debug1;
DO $$ BEGIN RAISE DEBUG 'debug is shown'; END $$;
RESET client_min_messages;
CREATE FUNCTION add_one(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + 1';
SELECT add_one(41), add_one(NULL);
CREATE FUNCTION pairs(n int) RETURNS TABLE (a int, b text) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP a := i; b := repeat('*', i); RETURN NEXT; END LOOP; END $$;
SELECT * FROM pairs(3);
CREATE FUNCTION fails(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN x / 0; END $$;
SELECT fails(1);
CREATE FUNCTION catches() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM fails(1); EXCEPTION WHEN division_by_zero THEN RETURN SQLSTATE || ': ' || SQLERRM; END $$;
SELECT catches();
CREATE FUNCTION two_cursors(OUT one refcursor, OUT two refcursor) LANGUAGE plpgsql AS $$ BEGIN one := 'one'; two := 'two'; OPEN one FOR SELECT 1; OPEN two FOR SELECT 2; END $$;
BEGIN;
SELECT * FROM two_cursors();
FETCH ALL FROM one;
FETCH ALL FROM two;
COMMIT;
CREATE PROCEDURE batches() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO loaded VALUES (1000 + i); COMMIT; RAISE NOTICE 'batch %', i; END LOOP; END $$;
CALL batches();
BEGIN;
CALL batches();
ROLLBACK;
SELECT count(*) FROM loaded WHERE a > 1000;
CREATE PROCEDURE doubles(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x * 2; END $$;
CALL doubles(21);
CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% on %: % -> %', TG_OP, TG_TABLE_NAME, OLD, NEW; RETURN NEW; END $$;
CREATE TRIGGER loaded_changed AFTER UPDATE ON loaded FOR EACH ROW EXECUTE FUNCTION on_change();
UPDATE loaded SET b = upper(b) WHERE a IN (1, 2);
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, INITCOND = 1);
SELECT product(n) FROM generate_series(1, 6) n;
CREATE OPERATOR +++ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
SELECT 2 +++ 3;
CREATE CAST (mood AS int) WITH FUNCTION add_one(int);
CREATE RULE no_delete AS ON DELETE TO loaded DO INSTEAD NOTHING;
DELETE FROM loaded;
SELECT pg_notify('nobody', 'listens');

-- Notifications in the same session -------------------------------------------------------------------------------
LISTEN news;
NOTIFY news;
NOTIFY news, 'with a payload';
BEGIN;
NOTIFY news, 'first of a transaction';
NOTIFY news, 'second';
NOTIFY news, 'second';
SELECT 'nothing yet';
COMMIT;
BEGIN;
NOTIFY news, 'never sent';
ROLLBACK;
SELECT pg_notify('news', repeat('long ', 100));
SELECT pg_notify('news', repeat('too long', 1000));
SELECT * FROM pg_listening_channels();
UNLISTEN news;
NOTIFY news, 'nobody hears';
LISTEN one;
LISTEN two;
UNLISTEN *;
SELECT count(*) FROM pg_listening_channels();

-- Large objects ---------------------------------------------------------------------------------------------------
SELECT lo_create(424242);
SELECT lo_create(424242);
SELECT lo_put(424242, 0, 'some bytes of a large object');
SELECT lo_get(424242), length(lo_get(424242, 5, 5));
BEGIN;
SELECT lo_open(424242, 393216) AS handle \gset
SELECT lowrite(:handle, 'SOME'), lo_lseek(:handle, 0, 2), lo_tell(:handle), lo_close(:handle);
COMMIT;
SELECT convert_from(lo_get(424242), 'UTF8');
\lo_list
SELECT lo_unlink(424242);
SELECT lo_get(424242);
\lo_unlink 424242

-- psql's own ------------------------------------------------------------------------------------------------------
SELECT 42 AS answer, 'a word' AS word \gset
SELECT :answer, :'word', :"word";
SELECT :answer + 1 AS next;
SELECT 'SELECT ' || n || ' AS generated' FROM generate_series(1, 3) n \gexec
SELECT 'DROP TABLE no_such_' || n FROM generate_series(1, 2) n \gexec
\echo :ERROR :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE
SELECT * FROM quick WHERE k < 4 ORDER BY k \gx
\x on
SELECT id, name, mood FROM customer ORDER BY id LIMIT 2;
\x off
\pset format unaligned
SELECT k, v FROM quick WHERE k < 4 ORDER BY k;
\pset format csv
SELECT k, v, 'with "quotes", commas' FROM quick WHERE k < 4 ORDER BY k;
\pset format html
SELECT '<b>' AS html;
\pset format aligned
\pset border 2
SELECT 1 AS framed;
\pset border 1
\pset tuples_only on
SELECT 'no header';
\pset tuples_only off
SELECT customer, mood, total FROM orders JOIN customer c ON c.id = customer WHERE orders.id < 6 ORDER BY 1, 3 \crosstabview customer mood total
\if :answer
SELECT 'taken';
\else
SELECT 'not taken';
\endif
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT 'still alive';
COMMIT;
\set ON_ERROR_ROLLBACK off
\set FETCH_COUNT 7
SELECT n FROM generate_series(1, 30) n;
SELECT 1 / (n - 20) FROM generate_series(1, 30) n;
\set FETCH_COUNT 0
\set AUTOCOMMIT off
INSERT INTO quick VALUES (8000, 'rolled back');
ROLLBACK;
SELECT count(*) FROM quick WHERE k = 8000;
COMMIT;
\set AUTOCOMMIT on
\set SINGLELINE off
\errverbose
SELECT no_such;
\errverbose
\set VERBOSITY sqlstate
SELECT no_such;
\set VERBOSITY terse
SELECT 1 / 0;
\set VERBOSITY default
SELECT fails(1);

-- Sizes, encodings, settings ----------------------------------------------------------------------------------------
SELECT length(repeat('x', 10000000)), md5(repeat('understudy', 100000));
SELECT repeat('0123456789', 100000);
SELECT n, repeat(chr(65 + n % 26), 200) FROM generate_series(1, 2000) n;
SELECT array_agg(n) FROM generate_series(1, 5000) n;
CREATE TABLE toasted (v text);
INSERT INTO toasted SELECT string_agg(md5(n::text), '') FROM generate_series(1, 20000) n;
SELECT length(v), md5(v), substring(v FROM 500000 FOR 64) FROM toasted;
SELECT v FROM toasted;
SET client_encoding = 'LATIN1';
SELECT 'caf' || chr(233);
SELECT chr(8364) || ' has no place in LATIN1';
SET client_encoding = 'UTF8';
SELECT 'café', E'\u00e9', 'naïve' COLLATE "C" < 'nb';
SELECT E'\xff';
SELECT chr(0);
SELECT U&'\FFFF';
CREATE TABLE "Weird ""name"" ünï" ("select" int, "日本" text);
INSERT INTO "Weird ""name"" ünï" VALUES (1, '語');
SELECT * FROM "Weird ""name"" ünï";
DROP TABLE "Weird ""name"" ünï";
CREATE TABLE wide AS SELECT 1 AS c1, 2 AS c2, 3 AS c3, 4 AS c4, 5 AS c5, 6 AS c6, 7 AS c7, 8 AS c8, 9 AS c9, 10 AS c10, 11 AS c11, 12 AS c12;
SELECT * FROM wide, wide w2, wide w3;
SET default_transaction_read_only = on;
CREATE TABLE refused (x int);
RESET default_transaction_read_only;
SET lock_timeout = '1s';
SHOW lock_timeout;
DISCARD ALL;
SHOW search_path;
SHOW lock_timeout;
SHOW application_name;
SET search_path = shop;
SECURITY LABEL ON TABLE customer IS 'none';
CHECKPOINT;
REINDEX TABLE quick;
CLUSTER quick USING quick_pkey;
COMMENT ON DATABASE postgres IS 'compared';
CREATE EXTENSION no_such_extension;
CREATE EXTENSION pg_trgm;
SELECT similarity('word', 'words')::numeric(4, 3);
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT pubname, puballtables FROM pg_publication;
DROP PUBLICATION everything;
CREATE STATISTICS correlated ON k, v FROM quick;
CREATE POLICY own_rows ON customer USING (name = current_user);
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
\d customer
CREATE DATABASE other TEMPLATE template0;
\connect other
SELECT current_database();
CREATE TABLE elsewhere (x int);
\connect postgres
DROP DATABASE other;
DROP SCHEMA shop CASCADE;
SELECT count(*) FROM pg_class WHERE relname = 'customer';
