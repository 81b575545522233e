"""A primary and its streaming replicas, and what happens to them: power loss, silence, partition, promotion.

Everything runs on the thread that made the cluster: the kernel ends servers with the thread that started them. What a
test says of the servers, it says on direct connections, never through a relay.
"""

import dataclasses
import os
import pathlib
import re
import signal
import time

import network
from dropping_relay import Relay
from base_backup import copy_running
from postgres_server import BIN, Questions, Server, major_version
from processes import as_server_user, give_to_server, remove_directory
from waiting import await_condition

# Pages are written whole to the log, as pg_rewind wants it. A replica that lost its primary asks again soon.
SETTINGS = """
full_page_writes = on
wal_log_hints = on
hot_standby = on
max_wal_senders = 20
max_replication_slots = 20
wal_retrieve_retry_interval = 100ms
wal_receiver_timeout = 10s
wal_sender_timeout = 10s
wal_receiver_status_interval = 1s
max_connections = 200
synchronous_commit = on
recovery_target_timeline = 'latest'
log_line_prefix = '%m [%p] %a '
"""

# The name of the harness's own sessions: whoever else comes, a server's log tells.
OURSELVES = "harness"
FAR_AHEAD_OF_THE_FORK = re.compile(r"new timeline \d+ forked off current database system timeline \d+ before")


@dataclasses.dataclass
class Promotion:
    """When who became the primary; time.monotonic()."""
    node: "Node"
    asked_at: float
    promoted_at: float  # it takes writes
    ready_at: float     # it acknowledges them: with synchronous replication, a replica follows it


class Node(Questions):
    """A server of the cluster, and the relay before it, if any."""

    def __init__(self, name, server, relay, replication_relayed):
        self.name = name
        self.server = server
        self.relay = relay
        self.is_out = False  # an old primary that has not come back as a replica
        self._replication_relayed = replication_relayed

    def __repr__(self):
        return f"{self.name} (port {self.server.port})"

    @property
    def address(self):
        """Where a proxy reaches it."""
        return self.relay.address if self.relay else self.server.tcp

    @property
    def replication_address(self):
        """Host and port, where replicas reach it."""
        if self.relay and self._replication_relayed:
            return self.relay.host, self.relay.port
        return "127.0.0.1", self.server.port

    @property
    def data(self):
        return pathlib.Path(self.server.data)

    def connect(self, **options):
        return self.server.connect(**{"application_name": OURSELVES, "connect_timeout": 10, **options})

    @property
    def is_running(self):
        return self.server.process is not None and self.server.process.poll() is None

    def foreign_questions(self):
        """How often somebody else has asked a stray (see start_as_stray) what it is."""
        return sum(1 for line in self.server.log().splitlines()
                   if "pg_is_in_recovery" in line and f" {OURSELVES} " not in line)

    def kill(self):
        """All its processes at once, as if they had lost their power."""
        postmaster = self.server.process
        postmaster.send_signal(signal.SIGSTOP)  # it forks no more, and tells its children nothing
        _await_stopped(postmaster.pid)
        others = children(postmaster.pid)
        for pid in others:
            _signal(pid, signal.SIGKILL)
        postmaster.kill()
        postmaster.wait()
        self.server.process = None
        await_condition(lambda: not any(is_alive(pid) for pid in others), f"the processes of {self} to be gone")

    def freeze(self):
        """All its processes stop where they are; its sockets stay open and say nothing."""
        pid = self.server.process.pid
        _signal(pid, signal.SIGSTOP)
        _await_stopped(pid)
        for child in children(pid):
            _signal(child, signal.SIGSTOP)
            _await_stopped(child)

    def thaw(self):
        pid = self.server.process.pid
        for child in children(pid):
            _signal(child, signal.SIGCONT)
        _signal(pid, signal.SIGCONT)

    def write_settings(self, text, standby):
        """What ALTER SYSTEM would, of a server that is down; and whether it starts as a standby."""
        auto = self.data / "postgresql.auto.conf"
        auto.write_text(text, encoding="utf-8")
        give_to_server(auto)
        sign = self.data / "standby.signal"
        if standby:
            sign.touch()
            give_to_server(sign)
        else:
            sign.unlink(missing_ok=True)

    def remove(self):
        if self.is_running:
            self.kill()
        self.server.remove()
        if self.relay:
            self.relay.remove()


class Cluster:
    """Node 1 begins as the primary. `relays`: None; "clients": a proxy reaches servers through relays, replication does
    not use them; "everything": replication does, too, so that a dropped server is cut off from all others; "network": it
    is cut off by a network whose link goes down, which only root can make (network.can_be_made)."""

    def __init__(self, template=None, replicas=2, synchronous=True, slots=False, relays=None, settings="", hba=None):
        if relays not in (None, "clients", "everything", "network"):
            raise ValueError(f"relays: {relays}")
        self._slots = slots
        self._synchronous = synchronous
        names = "ANY 1 (*)" if synchronous else ""
        keep = "wal_keep_size = 2GB" if major_version() >= 13 else "wal_keep_segments = 128"
        own = f"{SETTINGS}{keep}\nsynchronous_standby_names = '{names}'\n{settings}"
        self.nodes = []
        try:
            for number in range(1, replicas + 2):
                server = Server(template, settings=own, hba=hba, name=f"node{number}")
                relay = None
                if relays:
                    relay = network.Link(server) if relays == "network" else Relay(server.port)
                self.nodes.append(Node(f"node{number}", server, relay, relays != "clients"))
            self.primary = self.nodes[0]
            self.primary.server.start()
            for node in self.nodes[1:]:
                self._base_backup(node)
                node.server.start()
            for node in self.nodes[1:]:
                self.await_streaming(node)
        except BaseException:
            self.remove()
            raise

    # ---- Who is who

    @property
    def replicas(self):
        """Those that follow, or would."""
        return [node for node in self.nodes if node is not self.primary and not node.is_out]

    @property
    def backends(self):
        """The addresses for a proxy, in the order of the nodes."""
        return [node.address for node in self.nodes]

    def most_advanced_replica(self):
        """Of the replicas, the one that has most of the log: with 'ANY 1', all that was acknowledged."""
        position = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn"
        return max((node for node in self.replicas if node.is_running), key=lambda node: node.value(position))

    def await_streaming(self, node, timeout_s=60):
        """Until `node` streams from the primary, and has replayed what there was when this was called."""
        lsn = self.primary.value("SELECT pg_current_wal_flush_lsn()")
        follows = (f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{node.name}'"
                   f" AND state = 'streaming' AND replay_lsn >= '{lsn}'")
        with self.primary.connect() as connection:
            await_condition(lambda: connection.execute(follows).fetchone()[0],
                            lambda: f"{node} to follow {self.primary}; its log ends:\n{node.server.log()[-3000:]}",
                            timeout_s)

    # ---- What goes wrong

    def kill_primary(self):
        """Returns it: for rejoin()."""
        self.primary.kill()
        self.primary.is_out = True
        return self.primary

    def freeze(self, node):
        node.freeze()

    def thaw(self, node):
        node.thaw()

    def partition(self, node):
        """Nobody that comes by its relay hears of it any more."""
        node.relay.drop()

    def restart_primary(self, how=signal.SIGINT):
        """Planned and without a promotion. Asked when it was told to start; ready when it was."""
        self.primary.server.stop(how)
        asked_at = time.monotonic()
        self.primary.server.start()
        promoted_at = time.monotonic()
        return Promotion(self.primary, asked_at, promoted_at, self._await_acknowledging(self.primary))

    # ---- What is done about it

    def promote(self, node):
        """Makes a replica the primary; the others do not follow yet. Returns when it was asked and when it was done."""
        with node.connect() as connection:
            asked_at = time.monotonic()
            connection.execute("SELECT pg_promote(wait => false)")
            await_condition(lambda: not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0],
                            f"{node} to be promoted", longest_pause_s=0.005)
            promoted_at = time.monotonic()
        if self.primary is not node:
            self.primary.is_out = True
        self.primary = node
        return asked_at, promoted_at

    def follow(self, node, new_primary):
        """Repoints a running replica; without waiting. Use await_following() for one that may have gone another way."""
        if self._slots:
            self._ensure_slot(new_primary, node)
        with node.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET primary_conninfo = '{self._conninfo(node, new_primary)}'")
            connection.execute("SELECT pg_reload_conf()")
        if major_version() < 13:  # it reads that at its start only
            node.server.stop()
            node.server.start()

    def await_following(self, node):
        """Until it streams from the primary, on its timeline: what is left of the old one is streamed first, also to who
        cannot follow. One that has log beyond the place where the primary's timeline began is made anew."""
        begun = len(node.server.log())
        timeline = self.primary.value("SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
        follows = ("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
                   f" AND received_tli = {timeline}")
        is_seen = ("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
                   f" AND application_name = '{node.name}'")
        with self.primary.connect() as primary, node.connect() as connection:
            await_condition(lambda: (connection.execute(follows).fetchone()[0] and primary.execute(is_seen).fetchone()[0])
                            or FAR_AHEAD_OF_THE_FORK.search(node.server.log()[begun:]), f"{node} to follow", 30)
        if FAR_AHEAD_OF_THE_FORK.search(node.server.log()[begun:]):
            node.is_out = True
            self.rejoin(node)

    def take_over(self, node=None):
        """Promotes a replica (the most advanced), has the others follow it, and waits until it acknowledges commits."""
        node = node or self.most_advanced_replica()
        asked_at, promoted_at = self.promote(node)
        for other in self.replicas:
            self.follow(other, node)
        ready_at = self._await_acknowledging(node)
        for other in self.replicas:
            self.await_following(other)
        return Promotion(node, asked_at, promoted_at, ready_at)

    def switchover(self, to=None, rejoin=True):
        """Planned: nothing is lost, and nothing diverges."""
        to = to or self.most_advanced_replica()
        old = self.primary
        old.execute("CHECKPOINT")
        old.server.stop()
        old.is_out = True
        end = self._control_data(old, "Latest checkpoint location")
        for replica in self.replicas:  # the shutdown checkpoint is the last record, and the old primary sent it to all
            with replica.connect() as connection:
                await_condition(
                    lambda: connection.execute(f"SELECT pg_last_wal_replay_lsn() > '{end}'").fetchone()[0],
                    f"{replica} to have replayed {end}", longest_pause_s=0.005)
        promotion = self.take_over(to)
        if rejoin:
            self.rejoin(old)
        return promotion

    def rejoin(self, node):
        """Brings an old primary back as a replica of today's: rewound, or made anew. If it still runs, it is killed."""
        if node.relay:
            node.relay.heal()
        if node.is_running:
            node.kill()
        if self._slots:
            self._ensure_slot(self.primary, node)
        # Until then the new primary's control file names its old timeline, and there would be nothing to rewind.
        self.primary.execute("CHECKPOINT")
        rewound = as_server_user([BIN / "pg_rewind", "-D", node.data, "--no-sync", "--source-server",
                                  f"host=127.0.0.1 port={self.primary.server.port} user=postgres dbname=postgres"
                                  f" application_name={OURSELVES}"], check=False)
        if rewound.returncode == 0:
            self._write_standby(node)
        else:
            self._base_backup(node)
        node.is_out = False
        node.server.start()
        if self._slots:
            node.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
        self.await_streaming(node)

    def start_as_stray(self, node):
        """An old primary comes back believing it still is one, and takes writes although nobody follows it. It
        logs what it is asked."""
        node.write_settings("synchronous_standby_names = ''\nlog_statement = 'all'\n", standby=False)
        node.server.start()

    def restore(self):
        """Whatever a test did: one primary, everybody else follows it."""
        for node in self.nodes:
            if node.relay:
                node.relay.heal()
            if node.is_running:
                node.thaw()
        if not self.primary.is_running and self.primary.is_out:
            self.take_over()
        for node in self.nodes:
            if node is not self.primary and (node.is_out or not node.is_running):
                self.rejoin(node)
        for replica in self.replicas:
            self.await_streaming(replica)

    def remove(self):
        for node in self.nodes:
            node.remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    # ---- How

    def _await_acknowledging(self, node):
        """When a commit would not wait for a replica any more."""
        followed = ("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
                    " AND sync_state IN ('sync', 'quorum')")
        if self._synchronous:
            with node.connect() as connection:
                await_condition(lambda: connection.execute(followed).fetchone()[0], f"somebody to follow {node}",
                                longest_pause_s=0.005)
        return time.monotonic()

    def _conninfo(self, node, primary):
        host, port = primary.replication_address
        return f"host={host} port={port} user=postgres application_name={node.name} connect_timeout=5"

    def _ensure_slot(self, primary, node):
        primary.execute(f"SELECT pg_create_physical_replication_slot('{node.name}', true) WHERE NOT EXISTS"
                        f" (SELECT FROM pg_replication_slots WHERE slot_name = '{node.name}')")

    def _write_standby(self, node):
        slot = f"primary_slot_name = '{node.name}'\n" if self._slots else ""
        node.write_settings(f"primary_conninfo = '{self._conninfo(node, self.primary)}'\n{slot}", standby=True)

    def _base_backup(self, node):
        """A copy of the primary. What pg_basebackup -R writes names the direct port; ours, the relay's."""
        if self._slots:
            self._ensure_slot(self.primary, node)
        remove_directory(node.data)
        if not (BIN / "pg_basebackup").exists():
            copy_running(self.primary.server, node.data)
            return self._write_standby(node)
        slot = ["-S", node.name] if self._slots else []
        as_server_user([BIN / "pg_basebackup", "-D", node.data, "-R", "-X", "stream", "-c", "fast", "--no-sync", *slot,
                        "-d", f"host=127.0.0.1 port={self.primary.server.port} user=postgres"
                        f" application_name={node.name}"])
        return self._write_standby(node)

    @staticmethod
    def _control_data(node, field):
        text = as_server_user([BIN / "pg_controldata", node.data]).stdout.decode()
        return re.search(rf"^{field}: *(\S+)$", text, re.MULTILINE).group(1)


# ---- Processes

def _stat(pid):
    """State and parent of a process; None when it is no more."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def children(pid):
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [number for number in numbers if (found := _stat(number)) and found[1] == pid]


def is_alive(pid):
    found = _stat(pid)
    return found is not None and found[0] not in "ZX"


def _await_stopped(pid):
    await_condition(lambda: (found := _stat(pid)) is None or found[0] in "TtZX", f"process {pid} to stop")


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
