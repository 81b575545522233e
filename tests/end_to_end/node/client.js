// node-postgres through the proxy: a pool, prepared statements, errors, transactions, notifications, a big result.
// Connects as libpq's environment variables say. Prints one line when all is as expected.
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');

async function queries(client) {
  assert.deepStrictEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  assert.deepStrictEqual((await client.query('SELECT $1::text || $2 AS both', ['a', 'ü'])).rows, [{ both: 'aü' }]);
  const several = await client.query('SELECT 1; SELECT 2; SELECT 3');
  assert.deepStrictEqual(several.map((result) => result.rowCount), [1, 1, 1]);
  for (let n = 0; n < 20; n++) {
    const named = await client.query({ name: 'next', text: 'SELECT $1::int + 1 AS next', values: [n] });
    assert.strictEqual(named.rows[0].next, n + 1);
  }
  const big = await client.query("SELECT n, repeat('x', 500) AS x FROM generate_series(1, 20000) n");
  assert.strictEqual(big.rows.length, 20000);
  const bytes = Buffer.from([0, 1, 254, 255]);
  assert.ok((await client.query('SELECT $1::bytea AS bytes', [bytes])).rows[0].bytes.equals(bytes));
}

async function errorsInTransactions(client) {
  await client.query('CREATE TEMPORARY TABLE node_numbers (n int PRIMARY KEY)');
  await client.query('BEGIN');
  await client.query('INSERT INTO node_numbers VALUES (1)');
  await assert.rejects(client.query('INSERT INTO node_numbers VALUES ($1)', [1]), { code: '23505' });
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
  await client.query('ROLLBACK');
  assert.strictEqual((await client.query('SELECT count(*)::int AS n FROM node_numbers')).rows[0].n, 0);
}

async function notifications(listener, sender) {
  const heard = new Promise((resolve) => listener.once('notification', resolve));
  await listener.query('LISTEN node_news');
  await sender.query("NOTIFY node_news, 'from node'");
  assert.strictEqual((await heard).payload, 'from node');
}

async function manyAtOnce() {
  const pool = new Pool({ max: 10 });
  const answers = await Promise.all([...Array(200).keys()].map((n) => pool.query('SELECT $1::int AS n', [n])));
  assert.deepStrictEqual(answers.map((answer) => answer.rows[0].n), [...Array(200).keys()]);
  await pool.end();
}

async function main() {
  const client = new Client();
  const other = new Client();
  await Promise.all([client.connect(), other.connect()]);
  await queries(client);
  await errorsInTransactions(client);
  await notifications(client, other);
  await Promise.all([client.end(), other.end()]);
  await manyAtOnce();
  console.log('node-postgres: all as expected');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
