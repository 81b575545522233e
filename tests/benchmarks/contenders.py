"""Who is compared: the server itself, pgbouncer, and Understudy without and with recording. Each is a process of
this run on a free port, in front of the same server."""

import pathlib
import re
import resource

from pgbouncer import PgBouncer
from postgres_server import Server
from processes import make_directory, remove_directory
from understudy_process import Proxy

NAMES = ["direct", "pgbouncer", "off", "on"]

# Disk noise is taken out (tests/lib's servers have fsync and synchronous_commit off), and nothing wakes up by itself.
SERVER_SETTINGS = """
shared_buffers = 256MB
max_connections = 1100
wal_level = minimal
max_wal_senders = 0
max_wal_size = 16GB
checkpoint_timeout = 1h
"""


def start_server():
    return Server(settings=SERVER_SETTINGS, name="bench").start()


def raise_descriptor_limit():
    """Two descriptors a client in a proxy: inherited by what this process starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Direct:
    """No proxy at all."""

    def __init__(self, server):
        self.port = server.port
        self.pid = None

    def stop(self):
        pass


class Understudy:
    """`understudy proxy` with its default settings and `arguments`; `record` into a directory that is removed with it."""

    def __init__(self, server, record=False, arguments=()):
        self.recording = make_directory("recording") if record else None
        try:
            self._proxy = Proxy(server.tcp, *arguments, record=self.recording)
        except BaseException:
            self._remove_recording()
            raise
        self.port = self._proxy.port
        self.pid = self._proxy.pid
        self.recorded = None

    def end(self):
        """Ends the process; the recording stays. What the proxy then says it recorded is in `recorded`."""
        self._proxy.stop()
        log = self._proxy.log()
        self._proxy.remove()
        if self.recording:
            self.recorded = self._read_record(log)

    def await_primary(self):
        self._proxy.await_log(" primary_found ")
        return self

    def _read_record(self, log):
        line = re.search(r"^\S+ \w+ recorded(?:_in_part)? (.*)", log, re.MULTILINE)
        if not line:
            raise RuntimeError(f"the proxy does not say what it recorded:\n{log}")
        figures = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line.group(1))}
        files = sum(file.stat().st_size for file in pathlib.Path(self.recording).iterdir())
        return {**figures, "file_bytes": files}

    def stop(self):
        self._proxy.remove()
        self._remove_recording()

    def _remove_recording(self):
        if self.recording:
            remove_directory(self.recording)


def start(name, server):
    if name == "direct":
        return Direct(server)
    if name == "pgbouncer":
        return PgBouncer(server)
    return Understudy(server, record=name == "on")


class Contenders:
    """Those named, started afresh in front of one server, and ended together: contenders["off"].port."""

    def __init__(self, server, names=None):
        self._running = {}
        try:
            for name in names or NAMES:
                self._running[name] = start(name, server)
        except BaseException:
            self.stop()
            raise

    def __getitem__(self, name):
        return self._running[name]

    @property
    def names(self):
        return list(self._running)

    def stop(self):
        for contender in self._running.values():
            contender.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


