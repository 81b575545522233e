"""The clients that make the load: pgbench, and a raw connection that costs next to nothing itself."""

import os
import re
import socket
import struct

from meters import Finished
from postgres_server import BIN

ENVIRONMENT = {**os.environ, "PGHOST": "127.0.0.1", "PGUSER": "postgres", "PGDATABASE": "postgres",
               "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "PGOPTIONS": ""}

WORKLOADS = {"-S": "select-only", "-N": "simple-update", "TPC-B": "tpcb-like"}
STATEMENTS = {"-S": 1, "-N": 5, "TPC-B": 7}  # of one transaction, BEGIN and END included


class PgbenchRun:
    """A finished pgbench: `tps` as it says (without connecting, unless that is what is measured: -C), `transactions`,
    `wall_s`, `cpu_s`. `workload`: one of WORKLOADS, or a script's path; `environment`: libpq's variables beyond ENVIRONMENT."""

    def __init__(self, port, workload, mode, clients, *limit, environment=None):
        threads = min(clients, 2)
        script = ["-b", WORKLOADS[workload]] if workload in WORKLOADS else ["-f", workload]
        finished = Finished([BIN / "pgbench", "-n", *script, "-M", mode, "-c", clients,
                             "-j", threads, "-p", port, *limit], {**ENVIRONMENT, **(environment or {})})
        self.wall_s, self.cpu_s = finished.wall_s, finished.cpu_s
        self.tps = float(self._find(r"tps = ([\d.]+) \((?:without initial|including reconnection)", finished.output))
        self.transactions = int(self._find(r"actually processed: (\d+)", finished.output))
        if self._find(r"number of failed transactions: (\d+)", finished.output) != "0":
            raise RuntimeError(f"pgbench had failures:\n{finished.output}")

    @staticmethod
    def _find(pattern, output):
        found = re.search(pattern, output)
        if not found:
            raise RuntimeError(f"pgbench does not say {pattern}:\n{output}")
        return found.group(1)


def make_tables(port, scale):
    Finished([BIN / "pgbench", "-i", "-q", "-s", scale, "-p", port], ENVIRONMENT)


def tidy_tables(server):
    """TPC-B leaves dead rows and a longer history; without this each slice would be slower than the one before."""
    with server.connect() as connection:
        connection.execute("TRUNCATE pgbench_history")
        for table in ("pgbench_branches", "pgbench_tellers"):
            connection.execute(f"VACUUM {table}")


class RawClient:
    """One session over TCP, logged in by trust. What it reads it only counts."""

    # ReadyForQuery when idle: the last bytes of every reply. Replies read here are text and hold no zero bytes.
    READY = b"Z\x00\x00\x00\x05I"
    _buffer = memoryview(bytearray(1 << 20))

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        parameters = b"user\0postgres\0database\0postgres\0\0"
        self._socket.sendall(struct.pack("!II", 8 + len(parameters), 3 << 16) + parameters)
        self.read_reply()

    def query(self, sql):
        """Bytes of the reply."""
        text = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!I", 4 + len(text)) + text)
        return self.read_reply()

    def read_reply(self):
        total, tail, first = 0, b"", b""
        while tail != self.READY:
            count = self._socket.recv_into(self._buffer)
            if count == 0:
                raise RuntimeError(f"the connection was closed after {total} bytes: {first!r}")
            first = first or bytes(self._buffer[:200])
            tail = (tail + bytes(self._buffer[max(0, count - 6):count]))[-6:]
            total += count
        if first[:1] == b"E":
            raise RuntimeError(f"an error in place of a reply: {first!r}")
        return total

    def close(self):
        self._socket.sendall(b"X\x00\x00\x00\x04")
        self._socket.close()
