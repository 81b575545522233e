"""What does relaying small transactions cost, and recording them? pgbench through each contender in turn."""

import itertools

from clients import PgbenchRun, tidy_tables
from contenders import Contenders
from meters import cpu_ns, median, rotated, settled_cpu_ns
from table import Row, Section, Target, at_least, at_most, number, ratio

# A shared machine changes its speed by half within seconds: many short slices in turn see the same of it.
SLICES_A_ROUND = 3
WARM_UP_TRANSACTIONS = 20  # of each client: connections pooled, plans cached, pages in memory


def measure(server, options):
    """One entry a combination of workload, mode and clients, with the samples of every round."""
    combinations = itertools.product(options.workloads, options.modes, options.clients)
    return [_measure_cell(server, *combination, options) for combination in combinations]


def _measure_cell(server, workload, mode, clients, options):
    options.progress(f"relay: {workload} {mode}, {clients} clients")
    with Contenders(server) as contenders:
        for name in contenders.names:
            PgbenchRun(contenders[name].port, workload, mode, clients, "-t", WARM_UP_TRANSACTIONS)
        samples = {name: [] for name in contenders.names}
        for number in range(options.rounds * (1 if options.quick else SLICES_A_ROUND)):
            for name in rotated(contenders.names, number):
                tidy_tables(server)
                samples[name].append(_slice(contenders[name], workload, mode, clients, options.seconds))
        contenders["on"].end()
        recorded = contenders["on"].recorded
    recorded["transactions"] = clients * WARM_UP_TRANSACTIONS + sum(one["transactions"] for one in samples["on"])
    return {"workload": workload, "mode": mode, "clients": clients, "samples": samples, "recorded": recorded}


def _slice(contender, workload, mode, clients, seconds):
    before = cpu_ns(contender.pid) if contender.pid else 0
    run = PgbenchRun(contender.port, workload, mode, clients, "-T", seconds)
    after = settled_cpu_ns(contender.pid) if contender.pid else 0
    return {"tps": run.tps, "transactions": run.transactions,
            "cpu_us": (after - before) / 1000 / run.transactions}


def section(cells):
    rows = [row for cell in cells for row in _rows(cell)]
    return Section("Relay: pgbench tps (ratios)", ["direct", "pgbouncer", "off", "on"],
                   rows + (_overall(cells) if len(cells) > 1 else []))


def _rows(cell):
    samples, recorded = cell["samples"], cell["recorded"]
    title = f"{cell['workload']} {cell['mode']}, {_count(cell['clients'])}"
    lost = recorded["events_shed"] + recorded["events_lost"]
    return [
        Row(title, [number(median(one["tps"] for one in samples["direct"]))]
            + [ratio(relative(samples, name, "direct", "tps")) for name in ("pgbouncer", "off", "on")],
            [at_least("on/off", relative(samples, "on", "off", "tps"), 0.97)]),
        Row("  CPU us/tx", ["", *(number(median(one["cpu_us"] for one in samples[name]))
                                           for name in ("pgbouncer", "off", "on"))],
            [at_most("off/pgbouncer", relative(samples, "off", "pgbouncer", "cpu_us"), 1.0),
             at_most("on/pgbouncer", relative(samples, "on", "pgbouncer", "cpu_us"), 1.3)]),
        Row("  recorded bytes/tx", ["", "", number(recorded["bytes"] / recorded["transactions"]),
                                             number(recorded["file_bytes"] / recorded["transactions"])],
            [at_least("compression", recorded["bytes"] / recorded["file_bytes"], 6),
             *([Target(f"{lost} events not recorded", False)] if lost else [])]),
    ]


def _overall(cells):
    """One cell's ratio is uncertain by some per cent; the median of all slices is not."""
    def over(name, base, figure):
        return median(one for cell in cells for one in ratios(cell["samples"], name, base, figure))
    return [
        Row("median of all", ["", *(ratio(over(name, "direct", "tps")) for name in ("pgbouncer", "off", "on"))],
            [at_least("on/off", over("on", "off", "tps"), 0.97)]),
        Row("  CPU, to pgbouncer's", ["", "", *(ratio(over(name, "pgbouncer", "cpu_us")) for name in ("off", "on"))],
            [at_most("off/pgbouncer", over("off", "pgbouncer", "cpu_us"), 1.0),
             at_most("on/pgbouncer", over("on", "pgbouncer", "cpu_us"), 1.3)]),
    ]


def relative(samples, name, base, figure):
    """The median of the slices' own ratios: what disturbs all contenders in turn cancels."""
    return median(ratios(samples, name, base, figure))


def ratios(samples, name, base, figure):
    return [mine[figure] / theirs[figure] for mine, theirs in zip(samples[name], samples[base])]


def _count(clients):
    return "1 client" if clients == 1 else f"{clients} clients"
