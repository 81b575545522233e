"""Does nobody notice that the primary's network is gone? Where the machine lets us, a link of the kernel's goes down:
packets are lost, connections stay open, and new ones get no answer; elsewhere a relay falls silent."""

import time

import pytest

import network
from cluster import Cluster
from ledger import Ledger
from waiting import await_condition


@pytest.fixture
def cluster(template):
    with Cluster(template, relays="network" if network.can_be_made() else "everything") as servers:
        yield servers


def test_a_primary_that_is_cut_off_and_comes_back_is_no_error(cluster, make_proxy):
    first, *others = cluster.backends
    more = [word for address in others for word in ("--backend", address)]
    proxy = make_proxy(first, *more, "--auth", "trust", "--commit-guard", "on")
    proxy.await_log(" primary_found ")
    with Ledger(proxy.connect, cluster.primary.connect(), clients=6) as ledger:
        await_condition(lambda: ledger.all_acknowledged(0), "every client to begin")
        lonely = cluster.primary
        cluster.partition(lonely)
        asked_at = cluster.take_over().asked_at
        await_condition(lambda: ledger.all_acknowledged(asked_at), "every client to be answered")
        # It still believes that it is the primary, and nobody believes it.
        lonely.relay.heal()
        proxy.await_log(f" backend_fenced backend={lonely.address}")
        now = time.monotonic()
        await_condition(lambda: ledger.all_acknowledged(now), "every client to be answered")
    books = ledger.check(cluster.primary.connect())
    assert books.is_clean, books.problems()
