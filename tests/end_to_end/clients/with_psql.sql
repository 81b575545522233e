-- psql in a play of test_client_matrix.py: see players.py for the acts. It waits at a line "go".
\set ON_ERROR_STOP on
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET timezone = 'Asia/Kathmandu';
PREPARE next AS SELECT $1::int + 1;
PREPARE new_entry AS INSERT INTO entry VALUES (current_setting('application_name'), $1);
\echo at idle
go
SHOW timezone;
EXECUTE next(41);
SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid();
EXECUTE new_entry(1);
BEGIN;
EXECUTE new_entry(2);
DECLARE numbers CURSOR FOR SELECT n * n FROM generate_series(1, 10) n;
FETCH 3 FROM numbers;
\echo at transaction
go
FETCH ALL FROM numbers;
SAVEPOINT twice;
\set ON_ERROR_STOP off
EXECUTE new_entry(2);
\set ON_ERROR_STOP on
\echo :SQLSTATE
ROLLBACK TO twice;
EXECUTE new_entry(3);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM entry WHERE role = current_setting('application_name');
COMMIT;
EXECUTE new_entry(4);
\echo at prepared
go
EXECUTE new_entry(5);
INSERT INTO entry SELECT current_setting('application_name'), n FROM generate_series(6, 25) n;
\echo at busy
go
EXECUTE new_entry(26);
BEGIN;
EXECUTE new_entry(27);
COMMIT;
\copy (SELECT count(*) FROM entry WHERE role = current_setting('application_name')) TO STDOUT
\echo done 27
