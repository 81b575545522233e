"""For the replay's tests: two servers with the same data, a recording of one, a replay on the other; and a client
that says exactly what a test wants said, piece by piece."""

import contextlib
import json
import socket
import struct
import subprocess

from understudy_process import Proxy, run_understudy

# Counts of a summary that would mean that a replay went another way than its recording.
DIVERGED = ("sessions_failed", "sessions_not_admitted", "sessions_ended_early", "sessions_cut_at_gap",
            "sessions_unfinished", "sessions_lost", "sessions_stuck", "unstuck", "errors_new", "errors_gone",
            "transaction_state_differs")


class Pair:
    """A server to record and one to replay on, begun with the same data."""

    def __init__(self, production, target):
        self.production, self.target = production, target

    @property
    def uri(self):
        return f"postgresql://postgres@{self.target.tcp}/postgres"

    def assert_same(self, *queries):
        """Both servers answer each query (or table name) alike, in whatever order; returns production's rows."""
        for query in queries:
            sql = query if " " in query else f"SELECT * FROM {query}"
            rows = []
            for server in (self.production, self.target):
                with server.connect() as connection:
                    rows.append(sorted(connection.execute(sql).fetchall(), key=repr))
            assert rows[0] == rows[1], sql
        return rows[0]


@contextlib.contextmanager
def recorded(server, recording, *arguments):
    """A proxy that records into `recording` while the block runs, and must end well."""
    with Proxy(server.tcp, *arguments, record=recording) as proxy:
        yield proxy
        assert proxy.stop() == 0, proxy.log()


def replay(recording, to, *arguments, status=0, **options):
    """Plays it and returns the summary."""
    result = run_understudy("replay", recording, "--to", to, "--json", *arguments, **options)
    assert result.returncode == status, result.stdout + result.stderr
    assert "Sanitizer" not in result.stderr and "runtime error:" not in result.stderr, result.stderr
    return json.loads(result.stdout)


def replay_whole(recording, to, *arguments, **options):
    """Plays it as fast as it goes (unless told otherwise), insisting that nothing went another way."""
    speed = [] if "--speed" in arguments else ["--speed", "max"]
    summary = replay(recording, to, *speed, *arguments, **options)
    assert not {name: summary[name] for name in DIVERGED if summary[name]}, summary
    return summary


def raw_contents(recording):
    """All that is in its chunks, decompressed."""
    pieces = [subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
              for path in sorted(recording.glob("*.transcript"))]
    return b"".join(pieces)


class Speaker:
    """A client of the protocol by hand, logged in by trust."""

    def __init__(self, port, user="postgres", database="postgres"):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        parameters = f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!II", 8 + len(parameters), 3 << 16) + parameters)
        self._unread = b""
        self.cancel_key = b""
        self.read_until("Z")

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def read_message(self):
        while len(self._unread) < 5 or len(self._unread) < 1 + struct.unpack("!I", self._unread[1:5])[0]:
            piece = self.socket.recv(1 << 16)
            if not piece:
                return None
            self._unread += piece
        end = 1 + struct.unpack("!I", self._unread[1:5])[0]
        message, self._unread = self._unread[:end], self._unread[end:]
        return chr(message[0]), message[5:]

    def read_until(self, kind, count=1):
        """Message types up to the `count`th of `kind`, as text; asynchronous ones left out."""
        types = ""
        while types.count(kind) < count:
            message = self.read_message()
            assert message, f"closed after {types!r}"
            if message[0] == "K":
                self.cancel_key = message[1]
            types += message[0] if message[0] not in "SNAKR" else ""
        return types

    def cancel(self):
        """A cancel request; returns when it was taken."""
        with socket.create_connection(self.socket.getpeername(), 60) as other:
            other.sendall(struct.pack("!II", 8 + len(self.cancel_key), 80877102) + self.cancel_key)
            assert other.recv(1) == b""

    def close(self):
        self.send(message("X"))
        assert self.read_message() is None
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def message(kind, *parts):
    payload = b"".join(part.encode() + b"\0" if isinstance(part, str) else part for part in parts)
    return kind.encode() + struct.pack("!I", 4 + len(payload)) + payload


def query(sql):
    return message("Q", sql)


def parse(sql, name=""):
    return message("P", name, sql, b"\0\0")


def bind(*values, statement="", portal=""):
    encoded = b"".join(struct.pack("!i", len(value)) + value.encode() for value in values)
    return message("B", portal, statement, b"\0\0", struct.pack("!H", len(values)), encoded, b"\0\0")


def describe(portal=""):
    return message("D", b"P", portal)


def execute(rows=0, portal=""):
    return message("E", portal, struct.pack("!I", rows))


def statement(sql, *values):
    """Parse, Bind, Describe, Execute of the unnamed statement."""
    return parse(sql) + bind(*values) + describe() + execute()


SYNC = message("S")
FLUSH = message("H")
COPY_DONE = message("c")


def copy_data(data):
    return message("d", data)


def copy_fail(reason):
    return message("f", reason)
