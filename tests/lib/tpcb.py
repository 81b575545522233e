"""pgbench's TPC-B, run beside something for as long as that takes; and whether a client of it has seen an error."""

import dataclasses
import os
import re
import signal
import subprocess

from postgres_server import BIN
from processes import end_process, make_directory, remove_directory, until_parent_ends
from waiting import await_condition


@dataclasses.dataclass
class TpcbReport:
    transactions: int
    failed: int      # of those, with a serialization failure or a deadlock: pgbench goes on after these
    errors: list     # lines that it printed
    status: int
    consistent: bool  # the sums over accounts, tellers, branches and the history are the same

    @property
    def is_clean(self):
        return not self.problems()

    def problems(self):
        found = list(self.errors)
        if self.failed:
            found.append(f"{self.failed} transactions failed")
        if self.status != 0:
            found.append(f"exit status {self.status}")
        if not self.consistent:
            found.append("the sums over its tables differ")
        return [f"pgbench: {line}" for line in found]


class Tpcb:
    """`environment`: PGHOST, PGPORT and so on, as of Proxy. `rate`: transactions a second of all clients together, to
    bound the load; None: as many as it can."""

    def __init__(self, environment, clients=16, rate=None, protocol="prepared"):
        self._clients = clients
        self._directory = make_directory("tpcb")
        self._output = open(os.path.join(self._directory, "output"), "w+", encoding="utf-8", errors="replace")
        command = [str(BIN / "pgbench"), "-n", "-c", str(clients), "-j", "2", "-T", "86400", "-M", protocol]
        if rate:
            command += ["-R", str(rate)]
        environment = {**environment, "PGAPPNAME": "pgbench"}
        self.process = subprocess.Popen(until_parent_ends(command, "KILL"), env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT)

    @staticmethod
    def make_tables(port, scale=1):
        subprocess.run([str(BIN / "pgbench"), "-i", "-q", "-s", str(scale), "-h", "127.0.0.1", "-p", str(port), "-U",
                        "postgres", "postgres"], stdin=subprocess.DEVNULL, capture_output=True, check=True)

    def await_running(self, direct):
        """Until every client has a session, and has prepared what it asks: meanwhile pgbench waits for one session with
        the thread that several share, and if that session's lock is one of theirs after a failover, it waits for itself."""
        running = ("SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench') >= %(clients)s"
                   " AND (SELECT count(*) FROM pgbench_history) >= 6 * %(clients)s")
        with direct:
            await_condition(lambda: self.process.poll() is not None or
                            direct.execute(running, {"clients": self._clients}).fetchone()[0],
                            "pgbench's clients to begin")

    def stop(self, direct, patience_s=60):
        """Ends it as its own clock would (SIGALRM), each client after its transaction. `direct`: to the primary."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGALRM)
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            status = end_process(self.process)
        self._output.seek(0)
        text = self._output.read()
        return TpcbReport(_number(r"transactions actually processed: (\d+)", text),
                          _number(r"number of failed transactions: (\d+)", text),
                          [line for line in text.splitlines() if re.search("error|fatal|WARNING|aborted", line)],
                          status, _is_consistent(direct))

    def remove(self):
        end_process(self.process)
        self._output.close()
        remove_directory(self._directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def _number(pattern, text):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def _is_consistent(direct):
    with direct:
        sums = direct.execute(
            "SELECT (SELECT coalesce(sum(delta), 0) FROM pgbench_history),"
            " (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),"
            " (SELECT sum(bbalance) FROM pgbench_branches)").fetchone()
    return len(set(sums)) == 1
