"""What a process cost: CPU time to the nanosecond, resident memory, and a whole command's wall and CPU time."""

import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import threading
import time


def cpu_ns(pid):
    """CPU time of all threads of a process. schedstat counts nanoseconds, where stat counts ticks of 10 ms."""
    total = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # a thread that has just ended
            pass
    return total


def settled_cpu_ns(pid, quiet_s=0.3, timeout_s=5.0):
    """cpu_ns() once it has stopped growing: work put off (sealing what was recorded) is counted with its cause."""
    end = time.monotonic() + timeout_s
    last = cpu_ns(pid)
    while True:
        time.sleep(quiet_s)
        now = cpu_ns(pid)
        # Timers of an idle process take some microseconds; a chunk being sealed takes milliseconds.
        if now - last < 500_000 or time.monotonic() > end:
            return now
        last = now


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))


class Finished:
    """A command that ran to its end: `output`, `wall_s`, and `cpu_s` of it and its children.

    Raises subprocess.TimeoutExpired, once it is killed, when it does not end within `timeout_s`.
    """

    def __init__(self, command, environment=None, timeout_s=None):
        with tempfile.TemporaryFile() as output:
            began = time.monotonic()
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, env=environment)
            overtime = threading.Event()
            watch = threading.Timer(timeout_s or 0, lambda: (overtime.set(), process.kill()))
            if timeout_s:
                watch.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            finally:
                watch.cancel()
            self.wall_s = time.monotonic() - began
            self.cpu_s = usage.ru_utime + usage.ru_stime
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        if overtime.is_set():
            raise subprocess.TimeoutExpired(command, timeout_s, self.output)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{self.output}")


def median(values):
    return statistics.median(list(values))


def rotated(items, by):
    """The order of a round: everyone comes first, second, ... equally often."""
    by %= len(items)
    return items[by:] + items[:by]
