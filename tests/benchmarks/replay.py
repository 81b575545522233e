"""How fast is a recording played back when nothing paces it? The same transactions, on the same server, by pgbench
itself (which made them), by pgreplay from the server's log, and by `understudy replay` from a transcript."""

import json
import os
import re
import shutil
import subprocess

from clients import ENVIRONMENT, STATEMENTS, PgbenchRun, tidy_tables
from contenders import Understudy
from meters import Finished, median, rotated
from processes import make_directory, remove_directory
from table import Row, Section, Target, at_least, number
from understudy_process import binary
from waiting import await_condition

# TPC-B's few hot rows hang pgreplay (it sends in recorded order, and so waits for the reply of a session that waits for
# another's COMMIT, which is later in its file); -N has none.
CASES = [("-S", "prepared"), ("-N", "simple"), ("TPC-B", "simple")]
CLIENTS = 8
REPLAYERS = ["pgbench", "pgreplay", "session", "causal"]
SEED = "--random-seed=42"

# What pgreplay needs in the log (its manual); the prefix is one it can parse.
LOGGING = {"log_statement": "all", "log_connections": "on", "log_disconnections": "on",
           "log_min_messages": "error", "log_min_error_statement": "log", "log_line_prefix": "%m|%u|%d|%c|"}

# Times as long as pgbench took: a replayer that has not ended by then is stuck.
PATIENCE, LEAST_PATIENCE_S = 10, 20

# Counts of understudy's summary that would mean that it did not play all of the recording.
MUST_BE_ZERO = ["sessions_failed", "sessions_ended_early", "sessions_cut_at_gap", "sessions_unfinished",
                "sessions_lost", "sessions_stuck", "unstuck", "transaction_state_differs"]


def measure(server, options):
    return [_measure_case(server, workload, mode, options) for workload, mode in CASES]


def _measure_case(server, workload, mode, options):
    options.progress(f"replay: {workload} {mode}, recording")
    load = Load(server, workload, mode, options.replay_seconds)
    scratch = make_directory("replay")
    proxy = Understudy(server, record=True)
    try:
        load.run(proxy.port)
        proxy.end()
        if proxy.recorded["events_shed"] + proxy.recorded["events_lost"]:
            raise RuntimeError(f"not everything was recorded: {proxy.recorded}")
        play = {"pgbench": lambda: load.run(server.port), "pgreplay": PgreplayFile(server, load, scratch).play,
                "session": lambda: _replay(proxy.recording, server, "session", load),
                "causal": lambda: _replay(proxy.recording, server, "causal", load)}
        samples = {name: [] for name in REPLAYERS}
        for round_number in range(options.rounds):
            options.progress(f"replay: {workload} {mode}, round {round_number + 1}")
            for name in rotated(REPLAYERS, round_number):
                tidy_tables(server)
                finished = play[name]()
                if finished is None:
                    continue
                samples[name].append({"statements_s": load.statements / finished.wall_s,
                                      "cpu_us": finished.cpu_s * 1e6 / load.statements})
    finally:
        proxy.stop()
        remove_directory(scratch)
    return {"workload": workload, "mode": mode, "statements": load.statements, "samples": samples}


class Load:
    """A fixed number of transactions: the same ones at every run."""

    def __init__(self, server, workload, mode, seconds):
        self.workload, self.mode = workload, mode
        tps = PgbenchRun(server.port, workload, mode, CLIENTS, "-T", 1).tps
        self.transactions = max(10, int(tps * seconds / CLIENTS))  # of each client
        self.statements = self.transactions * CLIENTS * STATEMENTS[workload]

    def run(self, port):
        run = PgbenchRun(port, self.workload, self.mode, CLIENTS, "-t", self.transactions, SEED)
        self.wall_s = run.wall_s
        return run


class PgreplayFile:
    """The load as pgreplay wants it: logged by the server, then parsed. Neither is part of what is measured."""

    def __init__(self, server, load, scratch):
        self._port, self._load, self._stuck = server.port, load, False
        self._file = os.path.join(scratch, "pgreplay")
        log = os.path.join(scratch, "log")
        _set_logging(server, True)
        try:
            _await_alone(server)
            os.truncate(_log_path(server), 0)  # it is appended to
            load.run(server.port)
            _await_alone(server)
            shutil.copyfile(_log_path(server), log)
        finally:
            _set_logging(server, False)
        Finished(["pgreplay", "-f", "-o", self._file, log], ENVIRONMENT)

    def play(self):
        """None when it does not end; it is not tried again then."""
        if self._stuck:
            return None
        try:
            finished = Finished(["pgreplay", "-r", "-s", "1000000", "-h", "127.0.0.1", "-p", self._port, self._file],
                                ENVIRONMENT, timeout_s=max(LEAST_PATIENCE_S, PATIENCE * self._load.wall_s))
        except subprocess.TimeoutExpired:
            self._stuck = True
            return None
        executed = re.search(r"SQL statements executed: (\d+)", finished.output)
        errors = re.search(r"(\d+) statements? .*error", finished.output)
        if not executed or int(executed.group(1)) < self._load.statements or errors and errors.group(1) != "0":
            raise RuntimeError(f"pgreplay did not execute all {self._load.statements} statements:\n{finished.output}")
        return finished


def _log_path(server):
    return os.path.join(server.directory, "log")


def _await_alone(server):
    """A backend logs its disconnection after its client has seen the end."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    await_condition(lambda: server.value(others) == 0, "all clients' backends to end")


def _set_logging(server, on):
    with server.connect() as connection:
        for name, value in LOGGING.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'" if on else f"ALTER SYSTEM RESET {name}")
        connection.execute("SELECT pg_reload_conf()")
    wanted = "all" if on else "none"
    await_condition(lambda: server.value("SHOW log_statement") == wanted, f"log_statement to be {wanted}")


def _replay(recording, server, order, load):
    """Sessions end cleanly, and every recorded statement was sent and answered as it was in the recording."""
    finished = Finished([binary(), "replay", recording, "--to", f"postgresql://postgres@127.0.0.1:{server.port}/postgres",
                         "--order", order, "--speed", "max", "--json", "--quiet"], ENVIRONMENT)
    result = json.loads(finished.output[finished.output.index("{"):])
    wrong = {name: result[name] for name in MUST_BE_ZERO if result[name]}
    if wrong or result["exchanges"] < load.statements:
        raise RuntimeError(f"the replay of {load.statements} statements differs: {wrong or finished.output}")
    return finished


def section(cases):
    return Section(f"Replay: {CLIENTS} clients, statements/s", REPLAYERS, [row for case in cases for row in _rows(case)])


def _rows(case):
    samples = case["samples"]

    def rate(name, base):
        return median(mine["statements_s"] / theirs["statements_s"]
                      for mine, theirs in zip(samples[name], samples[base]))

    def figure(name, what):
        return number(median(one[what] for one in samples[name])) if samples[name] else "stuck"

    targets = []
    for order in ("session", "causal"):
        targets.append(at_least(f"{order}/pgbench", rate(order, "pgbench"), 0.95))
        if samples["pgreplay"]:
            targets.append(_faster(order, rate(order, "pgreplay")))
    return [Row(f"{case['workload']} {case['mode']}", [figure(name, "statements_s") for name in REPLAYERS], targets),
            Row("  CPU us/statement", [figure(name, "cpu_us") for name in REPLAYERS], [])]


def _faster(order, times):
    return Target(f"{order}/pgreplay {times:.2f} >1", times > 1)
