"""Kills, silences, cuts off, restarts and replaces a primary again and again, while pgbench and clients that keep a
ledger work through the proxy; then says what they noticed. Started by samples/failover."""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/lib"))

import network  # noqa: E402
from cluster import Cluster, Promotion  # noqa: E402
from ledger import Ledger  # noqa: E402
from tpcb import Tpcb  # noqa: E402
from understudy_process import Proxy  # noqa: E402
from waiting import await_condition  # noqa: E402

# The most that a proxy may add to the time a promotion takes by itself.
MOST_ADDED_S = 0.2
# With asynchronous replication: how the proxy's log says that acknowledged commits may be gone.
# A session's last commit each; of those that no session can look up, the number.
LOSS_REPORTED = re.compile(r" commits_(?:lost|unclear) (?:count=(\d+) )?")
# And how it says so to a client: what it had been answered is not so any more; the fate of its commit is not known.
LOSS_STATES = ("40001", "08007")


def say(text=""):
    print(text, flush=True)


@dataclasses.dataclass
class Failover:
    kind: str
    begun_at: float
    promotion: Promotion
    first_at: float | None  # the first commit acknowledged afterwards; None: there was none
    all_at: float | None    # the last client's first one
    log_said: str           # by the proxy, meanwhile

    @property
    def promotion_s(self):
        return self.promotion.ready_at - self.begun_at

    @property
    def first_s(self):
        return self.first_at - self.begun_at

    @property
    def added_s(self):
        return self.first_at - self.promotion.ready_at


# ---- The kinds: each returns its promotion. What there is to be cleaned up waits until clients are answered.

def kill(cluster):
    """Power loss: every process of the primary at once."""
    cluster.kill_primary()
    return cluster.take_over()


def switchover(cluster):
    """Planned: the primary is shut down, and a replica that has everything takes its place."""
    return cluster.switchover(rejoin=False)


def silence(cluster):
    """The primary's processes stop where they are: connections stay open, nobody answers."""
    cluster.freeze(cluster.primary)
    return cluster.take_over()


def partition(cluster):
    """The primary is cut off from everybody, and knows nothing of it."""
    cluster.partition(cluster.primary)
    return cluster.take_over()


def restart(cluster):
    """Planned, and without another primary."""
    return cluster.restart_primary()


KINDS = {one.__name__: one for one in (kill, switchover, silence, partition, restart)}


def fail_over(kind, cluster, ledger, read_log, patience_s):
    logged = len(read_log())
    old = cluster.primary
    begun_at = time.monotonic()
    promotion = KINDS[kind](cluster)
    # What was acknowledged before the promotion was asked for was on its way when the event came.
    with contextlib.suppress(TimeoutError):
        await_condition(lambda: ledger.all_acknowledged(promotion.asked_at), "every client to be answered", patience_s,
                        longest_pause_s=0.02)
    result = Failover(kind, begun_at, promotion, ledger.first_acknowledged(promotion.asked_at),
                      ledger.all_acknowledged(promotion.asked_at), "")
    if old is not cluster.primary:
        bring_back(old, cluster, ledger, patience_s)
    return dataclasses.replace(result, log_said=read_log()[logged:])


def bring_back(old, cluster, ledger, patience_s):
    """It may believe that it still is the primary: while clients work on, nobody may believe it."""
    if old.is_running:
        old.relay.heal()
        old.thaw()
        now = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await_condition(lambda: ledger.all_acknowledged(now), "every client to be answered", patience_s)
    cluster.rejoin(old)


def tell(number, failover):
    first = "no client was answered" if failover.first_at is None else \
        f"first commit acknowledged after {failover.first_s:6.3f} s (promotion {failover.added_s:+.3f})"
    last = "" if failover.all_at is None else f", every client after {failover.all_at - failover.begun_at:6.3f} s"
    promoted = failover.promotion.promoted_at - failover.begun_at
    say(f"{number:4d}  {failover.kind:10s}  promoted after {promoted:6.3f} s, followed after"
        f" {failover.promotion_s:6.3f} s; {first}{last}")


# ---- At the end

def spread(values):
    return f"{min(values):.3f} / {statistics.median(values):.3f} / {max(values):.3f} s" if values else "none"


def reported(log):
    return sum(int(count or 1) for count in LOSS_REPORTED.findall(log))


def unreported(lost, failovers, ledger):
    """Of the failovers that lost commits, those of which the proxy reported fewer sessions than there are clients with a
    lost one, a line each."""
    times = {(client.number, sequence): at for client in ledger.clients for sequence, at in client.acknowledged}
    losers = {}
    for client, sequence in lost:
        guilty = next((number for number, one in enumerate(failovers, 1)
                       if one.promotion.promoted_at >= times[client, sequence]), None)
        losers.setdefault(guilty, set()).add(client)
    counted = {number: reported(failovers[number - 1].log_said) if number else 0 for number in losers}
    return [f"failover {number}: acknowledged commits of {len(clients)} clients are lost, {counted[number]} were reported"
            for number, clients in losers.items() if counted[number] < len(clients)]


def broken_promises(arguments, failovers, booked, benched, ledger):
    """What was not as promised, a line each."""
    broken = []
    if arguments.asynchronous:
        broken += unreported(booked.lost, failovers, ledger)
        # Errors that say that something is lost or unknown are as promised; others are not.
        others = [one for one in booked.failures if one.sqlstate not in LOSS_STATES]
        broken += dataclasses.replace(booked, lost=[], failures=others).problems()
    else:
        broken += booked.problems() + benched.problems()
        alarms = sum(reported(one.log_said) for one in failovers)
        if alarms:
            broken.append(f"{alarms} commits were reported as lost or unclear, and none was")
    for number, one in enumerate(failovers, 1):
        if one.first_at is None or one.all_at is None:
            broken.append(f"failover {number} ({one.kind}): not every client was answered in {arguments.patience:.0f} s")
        elif one.added_s > MOST_ADDED_S:
            broken.append(f"failover {number} ({one.kind}): {one.added_s:.3f} s beyond the promotion itself")
    return broken


def print_table(failovers, booked, benched):
    answered = [one for one in failovers if one.first_at is not None]
    states = ", ".join(f"{count} x {state}" for state, count in booked.errors.items()) or "none"
    rows = [("failovers", len(failovers)),
            ("commits acknowledged, ledger", booked.acknowledged),
            ("transactions, pgbench", benched.transactions),
            ("errors seen by the ledger's clients", f"{len(booked.failures)} ({states})"),
            ("errors seen by pgbench's clients", len(benched.errors) + benched.failed),
            ("acknowledged commits lost", len(booked.lost)),
            ("reported as lost or unclear, by the proxy", sum(reported(one.log_said) for one in failovers)),
            ("applied twice", len(booked.twice)),
            ("applied although refused", len(booked.uninvited)),
            ("settings lost", len(booked.changed_settings)),
            ("event to first commit: min / median / max", spread([one.first_s for one in answered])),
            ("beyond the promotion itself", spread([one.added_s for one in answered])),
            ("longest time without any commit", f"{booked.longest_gap_s:.3f} s")]
    say()
    for name, value in rows:
        say(f"{name:42s}  {value}")
    for kind in dict.fromkeys(one.kind for one in answered):
        mine = [one for one in answered if one.kind == kind]
        say(f"   {kind:10s} {len(mine):3d} x  first commit {spread([one.first_s for one in mine])},"
            f"  beyond the promotion {spread([one.added_s for one in mine])}")


# ---- The run

def run(arguments, stack):
    say(f"== A primary and two replicas, replicating {'a' if arguments.asynchronous else ''}synchronously")
    real = network.can_be_made() and not arguments.relays
    say("   partitions: " + ("a network namespace, whose link goes down" if real else
                              "a relay that drops what it hears (network namespaces need root, with CAP_NET_ADMIN)"))
    cluster = stack.enter_context(Cluster(synchronous=not arguments.asynchronous,
                                          relays="network" if real else "everything"))
    Tpcb.make_tables(cluster.primary.server.port, arguments.scale)
    if arguments.without_proxy:
        connect, environment, read_log = (lambda: cluster.primary.connect()), direct_environment(cluster), lambda: ""
    else:
        proxy = stack.enter_context(start_proxy(cluster, arguments))
        connect, environment, read_log = proxy.connect, proxy.environment, proxy.log
    say(f"== pgbench with {arguments.clients} clients, and {arguments.ledger_clients} that keep a ledger,"
        f" {'without a' if arguments.without_proxy else 'through the'} proxy; {arguments.failovers} failovers")
    tpcb = stack.enter_context(Tpcb(environment, arguments.clients, arguments.rate))
    ledger = Ledger(connect, cluster.primary.connect(), arguments.ledger_clients)
    failovers = []
    with ledger:
        tpcb.await_running(cluster.primary.connect())
        await_condition(lambda: ledger.all_acknowledged(0), "every client to begin")
        for number in range(1, arguments.failovers + 1):
            kind = arguments.kinds[(number - 1) % len(arguments.kinds)]
            failovers.append(fail_over(kind, cluster, ledger, read_log, arguments.patience))
            tell(number, failovers[-1])
    booked = ledger.check(cluster.primary.connect())
    benched = tpcb.stop(cluster.primary.connect())
    print_table(failovers, booked, benched)
    broken = broken_promises(arguments, failovers, booked, benched, ledger)
    if broken and arguments.keep_log and not arguments.without_proxy:
        arguments.keep_log.write_text(proxy.log(), encoding="utf-8")
    return broken


def start_proxy(cluster, arguments):
    backends = cluster.backends
    others = [word for address in backends[1:] for word in ("--backend", address)]
    proxy = Proxy(backends[0], *others, "--auth", "trust", "--health-user", "postgres", "--commit-guard", "on",
                  "--failover-timeout", "30s", *arguments.proxy_option)
    proxy.await_log(r" primary_found ")
    return proxy


def direct_environment(cluster):
    return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(cluster.primary.server.port), "PGUSER": "postgres",
            "PGDATABASE": "postgres", "PGSSLMODE": "disable"}


def kinds(text):
    """Of the command line."""
    names = text.split(",")
    if wrong := [name for name in names if name not in KINDS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(KINDS)}")
    return names


def parse_arguments():
    parser = argparse.ArgumentParser(prog="samples/failover", description=__doc__)
    parser.add_argument("--failovers", type=int, default=5, metavar="N", help="how many (default 5)")
    parser.add_argument("--kinds", type=kinds, default=list(KINDS), metavar="A,B",
                        help=f"in turn; default: {','.join(KINDS)}")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="replicate asynchronously")
    parser.add_argument("--relays", action="store_true",
                        help="make partitions by relays also where network namespaces can be made")
    parser.add_argument("--without-proxy", action="store_true", help="clients connect to the primary itself")
    parser.add_argument("--clients", type=int, default=16, metavar="N", help="of pgbench (default 16)")
    parser.add_argument("--rate", type=int, default=200, metavar="N",
                        help="pgbench's transactions a second (default 200; 0: as many as it can)")
    parser.add_argument("--scale", type=int, default=5, metavar="N", help="pgbench's (default 5)")
    parser.add_argument("--ledger-clients", type=int, default=6, metavar="N", help="default 6: one of each variant")
    parser.add_argument("--patience", type=float, default=60, metavar="S",
                        help="wait so long for every client to be answered (default 60)")
    parser.add_argument("--proxy-option", action="append", default=[], metavar="--X=Y", help="one more for the proxy")
    parser.add_argument("--keep-log", type=pathlib.Path, metavar="FILE", help="the proxy's log, if a promise is broken")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    begun = time.monotonic()
    os.environ.pop("PGOPTIONS", None)
    with contextlib.ExitStack() as stack:
        broken = run(arguments, stack)
    if broken:
        say("\nNot as promised:")
        for line in broken[:30]:
            say(f"   {line}")
        sys.exit(1)
    say(f"\nAll as promised, in {time.monotonic() - begun:.0f} s. Servers and proxy are gone again.")


if __name__ == "__main__":
    main()
