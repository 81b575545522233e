// What DuckDB makes of an export: runs the files that are named one after the other as `export --ddl duckdb` printed
// them, going on after an error as DuckDB's command line does; then the queries on standard input, a line each. Prints
// JSON: the errors of each file, and each query's first value as text.
'use strict';
const fs = require('fs');
const { DuckDBInstance } = require('@duckdb/node-api');

async function errorsOf(connection, file) {
  const statements = await connection.extractStatements(fs.readFileSync(file, 'utf8'));
  const errors = [];
  for (let n = 0; n < statements.count; n++) {
    try {
      await (await statements.prepare(n)).run();
    } catch (error) {
      errors.push(error.message);
    }
  }
  return errors;
}

async function main() {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const errors = [];
  for (const file of process.argv.slice(2)) errors.push(await errorsOf(connection, file));
  const answers = [];
  for (const query of fs.readFileSync(0, 'utf8').split('\n').filter((line) => line !== '')) {
    const rows = await (await connection.runAndReadAll(query)).getRowsJson();
    answers.push(rows[0][0] === null ? null : String(rows[0][0]));
  }
  console.log(JSON.stringify({ errors, answers }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
