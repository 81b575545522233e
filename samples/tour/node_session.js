// An application on node-postgres: a prepared statement used again, a transaction, an error caught.
'use strict';
const { Client } = require('pg');

async function main() {
  const client = new Client();
  await client.connect();
  for (let id = 1; id <= 50; id++) {
    await client.query({ name: 'by-id', text: 'SELECT name, price FROM product WHERE id = $1', values: [id] });
  }
  await client.query('BEGIN');
  await client.query('INSERT INTO basket VALUES ($1, $2, $3)', [100, 1, 5]);
  await client.query('COMMIT');
  const refused = await client.query('INSERT INTO basket VALUES ($1, $2, $3)', [101, 1, -5]).catch((error) => error);
  if (refused.code !== '23514') throw new Error(`expected a refused row, got ${refused}`);
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
