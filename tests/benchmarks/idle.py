"""How much memory does a proxy hold for a client that has asked something once and is silent since?"""

from clients import RawClient
from contenders import Understudy
from meters import median, resident_kib, rotated
from pgbouncer import PgBouncer
from silent_server import SilentServer
from table import Row, Section, number

PROXIES = {"pgbouncer": lambda server: PgBouncer(server, settings="default_pool_size = 6000\n"),
           "off": Understudy, "on": lambda server: Understudy(server, record=True)}
WARM_UP_CLIENTS = 10


def measure(server, options):
    """A thousand on a real server; five thousand on one that is none: so many processes would be measured, not proxies."""
    with SilentServer() as silent:
        return [_measure(server, options.idle_clients, options), _measure(silent, options.many_idle_clients, options)]


def _measure(server, count, options):
    samples = {name: [] for name in PROXIES}
    for round_number in range(options.rounds):
        options.progress(f"idle: {count} clients, round {round_number + 1}")
        for name in rotated(list(PROXIES), round_number):
            contender = PROXIES[name](server)
            try:
                samples[name].append(_kib_a_client(contender, count))
            finally:
                contender.stop()
    return {"clients": count, "samples": samples}


def _kib_a_client(contender, count):
    _close(_open(contender.port, WARM_UP_CLIENTS))
    before = resident_kib(contender.pid)
    clients = _open(contender.port, count)
    after = resident_kib(contender.pid)
    _close(clients)
    return (after - before) / count


def _open(port, count):
    clients = [RawClient(port) for _ in range(count)]
    for client in clients:
        client.query("SELECT 1")  # pgbouncer gives a client its server session only now
    return clients


def _close(clients):
    for client in clients:
        client.close()


def section(cells):
    rows = [Row(f"KiB a client, {cell['clients']:,} clients",
                ["", *(number(median(cell["samples"][name])) for name in PROXIES)], []) for cell in cells]
    return Section("Memory: idle clients", ["direct", *PROXIES], rows)
