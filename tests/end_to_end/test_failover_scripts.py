"""Does a session's output stay the same whatever it does, wherever its server is lost? Scripts made at random from
seeds (session_scripts.py), each run on a server, by the proxy, and by the proxy with a loss at this step or that.

UNDERSTUDY_SCRIPTS=500 runs so many, with a loss before and within each of their steps (tests/differential/run).
"""

import collections
import dataclasses
import os
import random
import time

import pytest

from cluster import Cluster
from script_runner import Disturbance, Stage, between, in_flight, shrink
from session_scripts import extended, make_script, one, rows_of, simple
from waiting import await_condition, scaled

ALL = int(os.environ.get("UNDERSTUDY_SCRIPTS", "0"))
FIRST = int(os.environ.get("UNDERSTUDY_FIRST_SCRIPT", "0"))
MOST_FAILURES = int(os.environ.get("UNDERSTUDY_MOST_FAILURES", "3"))
TABLE = "script_table"


@pytest.fixture(scope="module")
def cluster(template):
    with Cluster(template, replicas=2, relays="clients", settings="log_min_messages = fatal\n") as servers:
        yield servers


@pytest.fixture
def make_stage(cluster, make_proxy):
    def make(commit_guard, backends=3, mode="primary"):
        cluster.restore()
        addresses = cluster.backends[:backends]
        others = [word for address in addresses[1:] for word in ("--backend", address)]
        proxy = make_proxy(addresses[0], *others, "--auth", "trust", "--health-user", "postgres", "--commit-guard",
                           commit_guard, "--default-pool-size", "1", "--failover-timeout", "30s", "--mode", mode)
        proxy.await_log(r" primary_found .*")
        return (Stage if mode == "primary" else SplitStage)(proxy, cluster, TABLE)
    return make


class AllRelays:
    """The primary's relay, but for what ends connections: that ends those to the replicas, too."""

    def __init__(self, cluster):
        self._cluster = cluster

    def __getattr__(self, name):
        return getattr(self._cluster.primary.relay, name)

    def cut(self, mark):
        for node in self._cluster.nodes:
            node.relay.cut(mark)

    def abandon(self, mark):
        """The primary's. The replicas' are taken from their relays, too: kept until one of them is promoted, they would be
        the ports of others by then."""
        ports = {node: node.relay.abandon(mark) for node in self._cluster.nodes}
        return ports[self._cluster.primary]


class SplitStage(Stage):
    """What an administrator ends while the session is at the other server is noticed late or not at all: not tried."""
    kinds = ("cut", "requests", "replies", "hush")

    @property
    def relay(self):
        return AllRelays(self.cluster)

    def clear(self):
        """On the replicas, too: a session that has seen nothing yet may read there what was before it."""
        super().clear()
        position = self.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
        for replica in self.cluster.replicas:
            await_condition(lambda node=replica: node.value(f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"),
                            "a replica to have the empty table")


def with_reads(script):
    """The same with reads of the table between its requests, so many that a replica may have caught up."""
    reads = [simple(rows_of(TABLE)), extended(one(rows_of(TABLE)))] * 4
    steps = []
    for step in script.steps:
        steps += [step, *(reads if step.readies and not step.copies else [])]
    return dataclasses.replace(script, steps=tuple(steps))


class Tally:
    """What came of all runs; a failure is shown with all it takes to see it again."""

    def __init__(self):
        self.counts = collections.Counter()
        self.failures = []
        self._kinds = collections.Counter()
        self._began = time.monotonic()

    def add(self, stage, reference, disturbance, verdict):
        self.counts["missed" if not verdict.fired and verdict.kind == "same" else verdict.kind] += 1
        if verdict.kind not in ("same", "wrong"):
            self.counts[f"{verdict.kind} {verdict.why[:150]}"] += 1
        self.counts["notices differ"] += verdict.notices_lost
        self.counts["notifications lost"] += verdict.notifications_lost
        if verdict.kind != "wrong":
            return
        kind = verdict.why.split(":")[0]
        self._kinds[kind] += 1
        self.counts[f"wrong {kind}"] += 1
        if kind == "hung" and self._kinds[kind] > MOST_FAILURES:
            raise TimeoutError(f"too many runs hang; the last one: {verdict.why}")
        if self._kinds[kind] > MOST_FAILURES:
            return
        text = (f"seed {reference.script.seed!r}, {disturbance}: {verdict.why}\n at step {verdict.step}\n"
                f" expected {verdict.expected}\n got      {verdict.got}\n")
        smaller, moved = reference, disturbance
        if disturbance is not None and not disturbance.kind.startswith("failover"):
            smaller, moved = shrink(stage, reference, disturbance)
        self.failures.append(f"{text} {moved}:\n{smaller.script}")
        print(f"FAILURE {self.failures[-1]}", flush=True)

    def __str__(self):
        lines = [f"{count:7} {what}" for what, count in sorted(self.counts.items())]
        return "\n".join([f"{time.monotonic() - self._began:.0f} s", *lines])


def play(stage, tally, seed, points, change=lambda script: script):
    """One script, undisturbed and with a loss at so many of its steps (None: before and within each)."""
    chance = random.Random(f"{seed} losses")
    reference = stage.reference(change(make_script(seed, TABLE)))
    tally.add(stage, reference, None, stage.run(reference))
    numbers = range(len(reference.script.steps))
    disturbances = [make(number, chance) for number in numbers for make in (between, in_flight)]
    kinds = getattr(stage, "kinds", None)
    disturbances = [one for one in disturbances if kinds is None or one.kind in kinds]
    if points is not None:
        disturbances = chance.sample(disturbances, min(points, len(disturbances)))
    for disturbance in disturbances:
        tally.add(stage, reference, disturbance, stage.run(reference, disturbance))


@pytest.mark.parametrize("commit_guard", ["on", "off"])
def test_a_lost_server_changes_no_answer(make_stage, commit_guard, request):
    stage = make_stage(commit_guard, backends=3 if commit_guard == "on" else 2)
    tally = Tally()
    for number in range(FIRST, FIRST + (ALL // 2 if ALL else scaled(30, least=5))):
        play(stage, tally, f"{request.node.name} {number}", None if ALL else 12)
        if len(tally.failures) >= 6 * MOST_FAILURES:
            break
    print(tally)
    assert not tally.failures, "\n".join(tally.failures)
    assert stage.proxy.counts()["commits_lost"] == 0


@pytest.mark.parametrize("commit_guard", ["on", "off"])
def test_reads_at_replicas_change_no_answer(make_stage, commit_guard, request):
    """The same in mode split: undisturbed and with losses, of the primary or of the replica that the session is at."""
    stage = make_stage(commit_guard, mode="split")
    tally = Tally()
    for number in range(FIRST, FIRST + (ALL // 10 if ALL else scaled(12, least=4))):
        play(stage, tally, f"{request.node.name} {number}", 20 if ALL else 8, with_reads)
        if len(tally.failures) >= 6 * MOST_FAILURES:
            break
    print(tally)
    print(stage.proxy.counts())
    assert not tally.failures, "\n".join(tally.failures)
    assert stage.proxy.counts()["commits_lost"] == 0  # connections were, servers were not
    assert stage.proxy.counts()["replica_reads"] > 0


@pytest.mark.parametrize("commit_guard", ["on", "off"])
def test_a_promotion_changes_no_answer(make_stage, commit_guard, request):
    stage = make_stage(commit_guard)
    tally = Tally()
    for number in range(FIRST, FIRST + (10 if ALL else 2)):
        seed = f"{request.node.name} {number}"
        chance = random.Random(f"{seed} losses")
        reference = stage.reference(make_script(seed, TABLE))
        disturbance = Disturbance(chance.randrange(len(reference.script.steps)),
                                  chance.choice(["failover", "failover_in_flight"]), pause_s=chance.choice([0, 0.001]))
        tally.add(stage, reference, disturbance, stage.run(reference, disturbance))
        stage.cluster.restore()
    print(tally)
    assert not tally.failures, "\n".join(tally.failures)
