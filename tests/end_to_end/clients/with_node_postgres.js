// node-postgres in a play of test_client_matrix.py: see players.py for the acts. Named statements, queries queued in the client.
'use strict';
const assert = require('assert');
const fs = require('fs');
const readline = require('readline');
const { Client } = require('pg');

const role = process.env.ROLE;
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function pause(name) {
  console.log(`at ${name}`);
  assert.strictEqual((await lines.next()).value, 'go');
}

const value = async (client, ...query) => Object.values((await client.query(...query)).rows[0])[0];
const insert = (client, n) => client.query({ name: 'insert', text: 'INSERT INTO entry VALUES ($1, $2)', values: [role, n] });

async function checkSession(client) {
  assert.strictEqual(await value(client, 'SHOW timezone'), 'Asia/Kathmandu');
  const encrypted = await value(client, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  assert.strictEqual(encrypted, process.env.SERVER_TLS === 'on');
  assert.strictEqual(await value(client, { name: 'next', text: 'SELECT $1::int + 1', values: [41] }), 42);
  await assert.rejects(client.query('SELECT 1 / $1::int', [0]), { code: '22012' });
}

async function transaction(client) {
  await client.query('BEGIN');
  await insert(client, 2);
  await client.query('DECLARE numbers CURSOR FOR SELECT n * n AS square FROM generate_series(1, 10) n');
  const squares = (await client.query('FETCH 3 FROM numbers')).rows;
  await pause('transaction');
  squares.push(...(await client.query('FETCH ALL FROM numbers')).rows);
  assert.deepStrictEqual(squares.map((row) => row.square), [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
  await client.query('SAVEPOINT twice');
  await assert.rejects(insert(client, 2), { code: '23505' });
  await client.query('ROLLBACK TO twice');
  await insert(client, 3);
  const own = await client.query('SELECT n FROM entry WHERE role = $1 ORDER BY n', [role]);
  assert.deepStrictEqual(own.rows.map((row) => row.n), [1, 2, 3]);
  await client.query('COMMIT');
}

async function insertUntilToldToStop(client) {
  let n = 25;
  while (!fs.existsSync(process.env.STOP)) {
    n++;
    if (n % 3 === 0) {
      await client.query('BEGIN');
      await insert(client, n);
      await client.query('COMMIT');
    } else {
      await insert(client, n);
    }
  }
  return n;
}

async function main() {
  const plain = process.env.PGSSLMODE === 'disable';
  const client = new Client({ ssl: plain ? false : { ca: fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8') } });
  await client.connect();
  await client.query("SET timezone = 'Asia/Kathmandu'");
  await checkSession(client);
  await pause('idle');
  await checkSession(client);
  await insert(client, 1);
  await transaction(client);
  await insert(client, 4);
  await pause('prepared');
  await insert(client, 5);
  await Promise.all([...Array(20).keys()].map((n) => insert(client, 6 + n)));
  await checkSession(client);
  await pause('busy');
  const last = await insertUntilToldToStop(client);
  await client.end();
  console.log(`done ${last}`);
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
