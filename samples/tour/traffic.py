"""The tour's traffic: real clients, and nothing in it that could differ between two equal servers (no clock,
no randomness but pgbench's with fixed seeds)."""

import os
import pathlib
import signal
import subprocess

import psycopg

from postgres_server import BIN
from waiting import await_condition

HERE = pathlib.Path(__file__).resolve().parent
NODE_MODULES = HERE.parents[1] / "build/node/node_modules"


def run(command, environment, **options):
    """Runs a client; what it printed matters only if it fails."""
    result = subprocess.run([str(part) for part in command], env=environment, stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=300, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{result.stderr.decode(errors='replace')}")
    return result


def pgbench(environment):
    for seed, protocol in enumerate(("simple", "extended", "prepared")):
        run([BIN / "pgbench", "-n", "-M", protocol, "-c", 8, "-j", 2, "-t", 250, f"--random-seed={seed}"], environment)


def psql_script(environment):
    run([BIN / "psql", "-X", "-f", HERE / "psql_session.sql"], environment)


def psql_cancelled(environment):
    """Ctrl-C at psql, once its statement runs."""
    client = subprocess.Popen([str(BIN / "psql"), "-X", "-c", "SELECT pg_sleep(600)"], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Looked at beside the proxy: a question asked until the answer is right could not be replayed.
    with psycopg.connect(environment["DIRECT"], autocommit=True) as watcher:
        running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        await_condition(lambda: watcher.execute(running).fetchone()[0] == 1, "the statement to run")
    client.send_signal(signal.SIGINT)
    errors = client.communicate(timeout=60)[1]
    if b"canceling statement due to user request" not in errors:
        raise RuntimeError(f"the statement was not cancelled: {errors}")


def psql_big_result(environment):
    run([BIN / "psql", "-X", "-o", "/dev/null", "-c",
         "SELECT n, repeat(md5(n::text), 31) FROM generate_series(1, 100000) n"], environment)


def psycopg_pipeline(environment):
    with psycopg.connect(autocommit=True, **connection_of(environment)) as connection:
        with connection.pipeline() as pipeline:
            for n in range(200):
                connection.execute("UPDATE product SET price = price + %s WHERE id = %s", [n, 500 + n])
                if n % 20 == 0:
                    pipeline.sync()
            answers = [connection.execute("SELECT price FROM product WHERE id = %s", [500 + n]) for n in range(200)]
            pipeline.sync()
            if len([answer.fetchone() for answer in answers]) != 200:
                raise RuntimeError("answers are missing")
        try:
            with connection.pipeline():
                connection.execute("SELECT 1 / 0")
                connection.execute("SELECT 'skipped'")
        except psycopg.errors.DivisionByZero:
            pass
        if connection.execute("SELECT 'usable'").fetchone() != ("usable",):
            raise RuntimeError("the session did not survive an error in a pipeline")


def node_postgres(environment):
    run(["node", HERE / "node_session.js"], {**environment, "NODE_PATH": str(NODE_MODULES)})


def connection_of(environment):
    return {"host": environment["PGHOST"], "port": environment["PGPORT"], "user": environment["PGUSER"],
            "dbname": environment["PGDATABASE"], "sslmode": "disable"}


STEPS = (
    ("pgbench, TPC-B in simple, extended and prepared mode, 8 clients", pgbench),
    ("psql: COPY in and out, errors in transactions, savepoints, cursors, LISTEN/NOTIFY", psql_script),
    ("psql: a running statement, cancelled with Ctrl-C", psql_cancelled),
    ("psql: a result of 100 MB", psql_big_result),
    ("psycopg: pipeline mode, with errors", psycopg_pipeline),
    ("node-postgres", node_postgres),
)


def environment_for(host, port, server):
    """libpq's variables for the clients, and a way to the server beside the proxy (DIRECT)."""
    return {**os.environ, "PGHOST": host, "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": "postgres",
            "PGSSLMODE": "disable", "DIRECT": f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"}
