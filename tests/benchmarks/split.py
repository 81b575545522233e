"""What do reads at replicas cost, and how many go there? A primary and two replicas behind pgbouncer (all to the primary),
Understudy in mode primary and in mode split with either consistency, and pgpool-II."""

import contextlib
import pathlib

import beside
import clients
from cluster import Cluster
from contenders import Understudy
from meters import median
from pgbouncer import PgBouncer
from pgpool import PgPool
from processes import make_directory, remove_directory
from table import Row, Section, at_most, number
from waiting import await_condition

SCALE = 10
CLIENTS = 8
COLUMNS = ["pgbouncer", "primary", "split", "own", "pgpool"]
AT_REPLICAS = ["split", "own", "pgpool"]
# One in ten writes, outside of a transaction.
MIXED = """\\set aid random(1, 100000 * :scale)
\\set chance random(1, 10)
\\if :chance = 1
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
\\else
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
\\endif
"""


def measure(_server, options):
    """On a cluster of its own."""
    settings = "shared_buffers = 256MB\nfull_page_writes = off\n"
    with Cluster(replicas=2, synchronous=False, settings=settings) as cluster, contextlib.ExitStack() as stack:
        clients.make_tables(cluster.primary.server.port, SCALE)
        cluster.primary.execute("CHECKPOINT")
        for node in cluster.replicas:
            cluster.await_streaming(node)
        directory = make_directory("mixed")
        stack.callback(remove_directory, directory)
        mixed = pathlib.Path(directory, "mixed.sql")
        mixed.write_text(MIXED, encoding="utf-8")
        contenders = _start(cluster, stack)
        cells = []
        for workload, mode in (("-S", "simple"), ("-S", "prepared"), (mixed, "simple"), (mixed, "prepared")):
            load = beside.Load(workload, mode, CLIENTS, *(["-D", f"scale={SCALE}"] if workload is mixed else []),
                               name="90/10" if workload is mixed else workload)
            options.progress(f"split: {load.title}")
            samples = beside.measure(contenders, load, options)
            shares = {name: _share_at_replicas(cluster, contenders[name], load, options) for name in AT_REPLICAS}
            cells.append({"title": load.title, "samples": samples, "shares": shares})
        return cells


def _start(cluster, stack):
    primary = cluster.primary.server
    others = [word for node in cluster.replicas for word in ("--backend", node.address)]
    split = [*others, "--mode", "split"]
    contenders = {"pgbouncer": PgBouncer(primary)}
    stack.callback(contenders["pgbouncer"].stop)
    for name, arguments in (("primary", others), ("split", split), ("own", [*split, "--split-consistency", "own-writes"])):
        contenders[name] = Understudy(primary, arguments=arguments)
        stack.callback(contenders[name].stop)
        contenders[name].await_primary()
    contenders["pgpool"] = PgPool(cluster)
    stack.callback(contenders["pgpool"].stop)
    return contenders


def _share_at_replicas(cluster, contender, load, options):
    """Percent of the index scans of a run of its own."""
    first, all_first = _scanned(cluster)
    done = load.run(contender.port, "-T", options.seconds).transactions
    # A backend tells what it counted when it ends, or is idle for a while.
    last, all_last = await_condition(lambda: (now := _scanned(cluster))[1] - all_first >= 0.9 * done and now,
                                     "servers to tell what they scanned", 60)
    return 100 * (1 - (last - first) / max(1, all_last - all_first))


def _scanned(cluster):
    """Index scans of pgbench's table since ever: at the primary, and at all."""
    sql = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'pgbench_accounts'"
    counts = [int(node.value(sql)) for node in cluster.nodes]
    return counts[0], sum(counts)


def section(cells):
    rows = []
    for cell in cells:
        tps, cpu = beside.rows(cell["title"], cell["samples"], COLUMNS)
        mine = {name: median(one["cpu_us"] for one in samples) for name, samples in cell["samples"].items()}
        # pgbouncer sends nothing to a replica: the same job only in mode primary.
        cpu.targets = [target for target in cpu.targets if target.words.startswith("primary/")] + [
            at_most(f"{name}/pgpool", mine[name] / mine["pgpool"], 1.0) for name in ("split", "own")]
        share = Row("  reads at replicas", ["" if name not in cell["shares"] else number(cell["shares"][name]) + " %"
                                            for name in COLUMNS], [])
        rows += [tps, cpu, share]
    return Section("Reads at replicas: tps", COLUMNS, rows)
