-- A person at psql: COPY in and out, errors in transactions, savepoints, cursors, notifications.
COPY basket FROM STDIN;
1	10	3
2	20	1
3	30	7
\.
COPY (SELECT * FROM product ORDER BY id) TO STDOUT;
\copy basket to '/dev/null' csv header

BEGIN;
INSERT INTO basket VALUES (4, 40, 2);
INSERT INTO basket VALUES (4, 40, 2);
SELECT 'refused: the transaction has failed';
ROLLBACK;

BEGIN;
INSERT INTO basket VALUES (5, 50, 1);
SAVEPOINT before_mistake;
INSERT INTO basket VALUES (6, 999999, 1);
ROLLBACK TO SAVEPOINT before_mistake;
INSERT INTO basket VALUES (6, 60, 1);
RELEASE SAVEPOINT before_mistake;
COMMIT;

BEGIN;
DECLARE some CURSOR FOR SELECT id, name, price FROM product ORDER BY id;
FETCH 5 FROM some;
MOVE 500 IN some;
FETCH 5 FROM some;
CLOSE some;
COMMIT;

LISTEN news;
NOTIFY news, 'the basket is full';
UNLISTEN news;

COPY basket FROM STDIN;
7	70	not a number
\.
DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$;
SELECT no_such_column FROM product;
SELECT 1 AS one\; SELECT 1 / 0\; SELECT 'never reached';

-- What the third server will answer differently: one row is another there, and one index is missing.
SELECT id, name, price FROM product WHERE id = 7;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM product WHERE name = 'product 7';
SELECT sum(pieces), count(*) FROM basket;
