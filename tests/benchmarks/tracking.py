"""What does it cost that sessions can move? One backend, two (state is tracked), two and commit_guard, beside pgbouncer."""

import contextlib

import beside
import clients
from cluster import Cluster
from contenders import Understudy
from pgbouncer import PgBouncer
from table import Section

SCALE = 10
LOADS = [(workload, mode, 8) for workload in ("-S", "-N") for mode in ("simple", "prepared")]


def measure(_server, options):
    """On a cluster of its own: a primary and a replica."""
    with Cluster(replicas=1, synchronous=False, settings="shared_buffers = 256MB\n") as cluster, \
            contextlib.ExitStack() as stack:
        primary = cluster.primary.server
        clients.make_tables(primary.port, SCALE)
        two = ["--backend", cluster.replicas[0].address]
        contenders = {"pgbouncer": PgBouncer(primary), "one": Understudy(primary),
                      "two": Understudy(primary, arguments=two).await_primary(),
                      "guard": Understudy(primary, arguments=[*two, "--commit-guard", "on"]).await_primary()}
        for contender in contenders.values():
            stack.callback(contender.stop)
        cells = []
        for arguments in LOADS:
            load = beside.Load(*arguments)
            options.progress(f"tracking: {load.title}")
            cells.append({"title": load.title, "samples": beside.measure(
                contenders, load, options, tidy=lambda: clients.tidy_tables(primary))})
        return cells


def section(cells):
    columns = ["pgbouncer", "one", "two", "guard"]
    return Section("Sessions that can move: tps", columns,
                   [row for cell in cells for row in beside.rows(cell["title"], cell["samples"], columns)])
