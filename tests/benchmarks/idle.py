"""How much memory does a proxy hold for a client that has asked something once and is silent since?"""

from clients import RawClient
from contenders import Contenders
from meters import median, resident_kib, rotated
from table import Row, Section, number

PROXIES = ["pgbouncer", "off", "on"]
WARM_UP_CLIENTS = 10


def measure(server, options):
    samples = {name: [] for name in PROXIES}
    for round_number in range(options.rounds):
        options.progress(f"idle: {options.idle_clients} clients, round {round_number + 1}")
        for name in rotated(PROXIES, round_number):
            with Contenders(server, [name]) as contenders:
                samples[name].append(_kib_a_client(contenders[name], options.idle_clients))
    return {"clients": options.idle_clients, "samples": samples}


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


def section(idle):
    row = Row("resident KiB per client", ["", *(number(median(idle["samples"][name])) for name in PROXIES)], [])
    return Section(f"Memory: {idle['clients']:,} idle clients", ["direct", *PROXIES], [row])
