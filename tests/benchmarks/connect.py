"""What does a connection cost that is there for one transaction (pgbench -C), with servers pooled? The proxies judge clients
themselves: by nothing (trust), and by SCRAM with the server's own secret in a file. With one backend, and with two, where
the state of sessions is tracked."""

import contextlib
import pathlib

import beside
import clients
from cluster import Cluster
from contenders import Understudy
from pgbouncer import PgBouncer
from processes import make_directory, remove_directory
from table import Section

CLIENTS = 8
SCALE = 10
PASSWORD = "benchmark"


def measure(_server, options):
    """On a cluster of its own: a primary and a replica."""
    with Cluster(replicas=1, synchronous=False, settings="shared_buffers = 256MB\n") as cluster:
        server = cluster.primary.server
        clients.make_tables(server.port, SCALE)
        server.execute(f"CREATE ROLE benched LOGIN PASSWORD '{PASSWORD}'; GRANT pg_read_all_data TO benched")
        secret = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'benched'")
        return {auth: _measure(cluster, auth, {"benched": secret}, options) for auth in ("trust", "scram-sha-256")}


def _measure(cluster, auth, users, options):
    server = cluster.primary.server
    options.progress(f"connect: {auth}")
    load = beside.Load("-S", "simple", CLIENTS, "-C", environment={"PGUSER": "benched", "PGPASSWORD": PASSWORD})
    with contextlib.ExitStack() as stack:
        directory = make_directory("users")
        stack.callback(remove_directory, directory)
        listed = pathlib.Path(directory, "users.txt")
        listed.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in users.items()), encoding="utf-8")
        own = ["--auth", "trust"] if auth == "trust" else ["--auth", "file", "--auth-file", listed]
        contenders = {"pgbouncer": PgBouncer(server, users, auth), "one": Understudy(server, arguments=own),
                      "two": Understudy(server, arguments=[*own, "--backend", cluster.replicas[0].address])}
        for contender in contenders.values():
            stack.callback(contender.stop)
        contenders["two"].await_primary()
        return beside.measure(contenders, load, options)


def section(cells):
    columns = ["pgbouncer", "one", "two"]
    return Section("Connecting: pgbench -C tps", columns,
                   [row for auth, samples in cells.items()
                    for row in beside.rows(f"-S, {auth}, {CLIENTS} clients", samples, columns)])
