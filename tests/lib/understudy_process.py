"""The program under test: `understudy proxy` as a process one can await, and its other commands."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import psycopg

from processes import end_process, make_directory, remove_directory, until_parent_ends
from waiting import await_condition, free_port


def binary():
    """$UNDERSTUDY as CTest sets it, or the release build."""
    built = pathlib.Path(__file__).resolve().parents[2] / "build/release/understudy"
    return os.environ.get("UNDERSTUDY", str(built))


def run_understudy(*arguments, timeout_s=300, **options):
    """Runs a command to its end; stdout and stderr are text."""
    return subprocess.run([binary(), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout_s, **options)


class Proxy:
    """A running `understudy proxy`. `backend` and `listen` as on its command line; without a backend, `arguments` name
    whoever knows them."""

    def __init__(self, backend, *arguments, listen=None, record=None):
        self.directory = make_directory("proxy")
        self.record = record
        command = [binary(), "proxy", *(["--backend", backend] if backend else []), *map(str, arguments)]
        for address in listen or [f"127.0.0.1:{free_port()}"]:
            command += ["--listen", address]
        if record:
            command += ["--record", str(record)]
        self._log_path = os.path.join(self.directory, "log")
        with open(self._log_path, "wb") as log:
            self.process = subprocess.Popen(until_parent_ends(command, "KILL"), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        started = self.await_log(r" started .*?listening=(\S+)")
        self.listening = started.group(1).strip('"').split(",")

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        """Of the first TCP address it listens on."""
        return next(int(address.rpartition(":")[2]) for address in self.listening if ".s.PGSQL." not in address)

    @property
    def environment(self):
        """For libpq's clients."""
        return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres",
                "PGDATABASE": "postgres", "PGSSLMODE": "disable", "PGAPPNAME": ""}

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def await_log(self, pattern, timeout_s=60):
        """The first match of a regular expression in the log."""
        return await_condition(lambda: re.search(pattern, self.log()) or self._ended(pattern),
                               lambda: f"{pattern} in the proxy's log:\n{self.log()}", timeout_s)

    def reconfigure(self, path, **settings):
        """Rewrites the file it was started with (--config) and has it reread."""
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        pathlib.Path(path).write_text("".join(["[understudy]\n", *lines]), encoding="utf-8")
        before = self.log().count(" reloaded ")
        self.signal(signal.SIGHUP)
        await_condition(lambda: self.log().count(" reloaded ") > before, lambda: f"a reload: {self.log()}")

    def counts(self):
        """What it has counted so far, by name: asked for with SIGUSR1."""
        asked = self.log().count(" statistics ")
        self.signal(signal.SIGUSR1)
        line = await_condition(lambda: re.findall(r" statistics (.*)\n", self.log())[asked:], "the statistics")[0]
        return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}

    def _ended(self, pattern):
        if self.process.poll() is None:
            return None
        found = re.search(pattern, self.log())
        if not found:
            raise RuntimeError(f"the proxy ended with {self.process.returncode}:\n{self.log()}")
        return found

    def connect(self, **options):
        return psycopg.connect(**{"host": "127.0.0.1", "port": self.port, "user": "postgres",
                                  "dbname": "postgres", "autocommit": True, "sslmode": "disable", **options})

    def raw(self, timeout_s=30):
        """A TCP connection that speaks nothing by itself."""
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def resident_kib(self, peak=False):
        field = "VmHWM" if peak else "VmRSS"
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s=60):
        """Its exit status, once it has ended."""
        return self.process.wait(timeout_s)

    def stop(self):
        """Drains; then ends what is left. Its exit status."""
        return end_process(self.process, (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL), timeout_s=20)

    def kill(self):
        return end_process(self.process, (signal.SIGKILL,))

    def remove(self):
        self.kill()
        remove_directory(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
