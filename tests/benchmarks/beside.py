"""What the cases have in common that compare proxies by the CPU time they take for a transaction of pgbench."""

from clients import PgbenchRun
from meters import cpu_ns, median, rotated
from relay import SLICES_A_ROUND, WARM_UP_TRANSACTIONS, relative
from table import Row, at_most, number

BASE = "pgbouncer"


class Load:
    """How pgbench is called."""

    def __init__(self, workload, mode, clients, *arguments, environment=None, name=None):
        self._workload, self._mode, self._clients = workload, mode, clients
        self._arguments, self._environment = arguments, environment
        self.title = f"{name or workload} {mode}, {clients} clients"

    def run(self, port, *limit):
        return PgbenchRun(port, self._workload, self._mode, self._clients, *self._arguments, *limit,
                          environment=self._environment)


def measure(contenders, load, options, tidy=lambda: None):
    """The samples of each contender (by name: what has `port`, and `pid` or `pids()`), in slices in changing order."""
    for contender in contenders.values():
        load.run(contender.port, "-t", WARM_UP_TRANSACTIONS)
    samples = {name: [] for name in contenders}
    for number_ in range(options.rounds * (1 if options.quick else SLICES_A_ROUND)):
        for name in rotated(list(contenders), number_):
            tidy()
            samples[name].append(_slice(contenders[name], load, options.seconds))
    return samples


def _slice(contender, load, seconds):
    before = _cpu_ns(contender)
    run = load.run(contender.port, "-T", seconds)
    after = _cpu_ns(contender)  # nothing is put off where nothing is recorded
    return {"tps": run.tps, "cpu_us": (after - before) / 1000 / run.transactions}


def _cpu_ns(contender):
    pids = contender.pids() if hasattr(contender, "pids") else [contender.pid]
    return sum(cpu_ns(pid) for pid in pids)


def rows(title, samples, columns):
    """Two rows under `columns`: transactions a second, then CPU with its targets."""
    def figures(figure, text):
        return ["" if name not in samples else text(name, figure) for name in columns]
    others = [name for name in samples if name != BASE]
    return [
        Row(title, figures("tps", lambda name, figure: number(median(one[figure] for one in samples[name]))), []),
        Row("  CPU us/tx", figures("cpu_us", lambda name, figure: number(median(one[figure] for one in samples[name]))),
            [at_most(f"{name}/{BASE}", relative(samples, name, BASE, "cpu_us"), 1.0) for name in others]),
    ]
