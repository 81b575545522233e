"""What does a connection cost that is there for one transaction (pgbench -C), with servers pooled? The proxies judge clients
themselves: by nothing (trust), and by SCRAM with the server's own secret in a file."""

import contextlib
import pathlib

import beside
from contenders import Understudy
from pgbouncer import PgBouncer
from processes import make_directory, remove_directory
from table import Section

CLIENTS = 8
PASSWORD = "benchmark"


def measure(server, options):
    server.execute("DROP ROLE IF EXISTS benched")
    server.execute(f"CREATE ROLE benched LOGIN PASSWORD '{PASSWORD}'; GRANT pg_read_all_data TO benched")
    secret = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'benched'")
    return {auth: _measure(server, auth, {"benched": secret}, options) for auth in ("trust", "scram-sha-256")}


def _measure(server, auth, users, options):
    options.progress(f"connect: {auth}")
    load = beside.Load("-S", "simple", CLIENTS, "-C", environment={"PGUSER": "benched", "PGPASSWORD": PASSWORD})
    with contextlib.ExitStack() as stack:
        directory = make_directory("users")
        stack.callback(remove_directory, directory)
        listed = pathlib.Path(directory, "users.txt")
        listed.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in users.items()), encoding="utf-8")
        own = ["--auth", "trust"] if auth == "trust" else ["--auth", "file", "--auth-file", listed]
        contenders = {"pgbouncer": PgBouncer(server, users, auth), "off": Understudy(server, arguments=own)}
        for contender in contenders.values():
            stack.callback(contender.stop)
        return beside.measure(contenders, load, options)


def section(cells):
    columns = ["direct", "pgbouncer", "off", "on"]
    return Section("Connecting: pgbench -C tps", columns,
                   [row for auth, samples in cells.items()
                    for row in beside.rows(f"-S, {auth}, {CLIENTS} clients", samples, columns)])
