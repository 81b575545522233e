"""PostgreSQL servers of a test's own: a free port, a temporary directory, an unprivileged user."""

import functools
import os
import pathlib
import re
import signal
import subprocess

import psycopg

from processes import (as_server_user, end_process, give_to_server, make_directory, remove_directory,
                       until_parent_ends, SERVER_USER)
from waiting import await_condition, free_port


def newest_installed():
    """Where the programs of the newest PostgreSQL are that is installed, as Debian lays them out."""
    installed = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in installed), key=lambda path: float(path.parent.name))


# Where PostgreSQL's programs are: $PGBIN for another version than the newest installed.
BIN = pathlib.Path(os.environ["PGBIN"]) if "PGBIN" in os.environ else newest_installed()


@functools.cache
def major_version():
    """Of the servers."""
    told = subprocess.run([BIN / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+)", told).group(1))


SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 100
wal_level = logical
max_wal_size = 4GB
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off
"""


def run_initdb(directory):
    as_server_user([BIN / "initdb", "-D", directory, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                    "--locale=C.UTF-8", "--no-sync"])


class Questions:
    """What is asked in a connection of its own, of whatever has connect()."""

    def execute(self, sql):
        with self.connect() as connection:
            connection.execute(sql)

    def value(self, sql):
        with self.connect() as connection:
            return connection.execute(sql).fetchone()[0]


class Server(Questions):
    """One server. `template`: the data directory of a stopped server to begin from (copied)."""

    def __init__(self, template=None, settings="", hba=None, name="server"):
        self.directory = make_directory(name)
        self.data = os.path.join(self.directory, "data")
        self.port = free_port()
        self.process = None
        if template:
            as_server_user(["cp", "-a", "--reflink=auto", template, self.data])
        else:
            run_initdb(self.data)
        self._append("postgresql.conf", SETTINGS + settings)
        if hba is not None:
            self._write("pg_hba.conf", hba)

    # Where clients connect: over TCP, and the directory of the Unix socket.
    @property
    def tcp(self):
        return f"127.0.0.1:{self.port}"

    @property
    def socket(self):
        return f"{self.directory}:{self.port}"

    def start(self):
        log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen(
            until_parent_ends([str(BIN / "postgres"), "-D", self.data, "-p", str(self.port), "-k", self.directory,
                               "-c", "listen_addresses=127.0.0.1,::1"], "INT", SERVER_USER),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        log.close()
        await_condition(self._is_ready, lambda: f"server on port {self.port} to start; its log: {self.log()}")
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended at its start: {self.log()}")
        try:
            lines = pathlib.Path(self.data, "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        # Line 8 is the postmaster's state; a pid file left in a template names another process.
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def stop(self, how=signal.SIGINT):
        """A fast shutdown (SIGINT), or SIGQUIT for a crash."""
        if self.process:
            end_process(self.process, (how, signal.SIGQUIT, signal.SIGKILL))
            self.process = None
        return self

    def remove(self):
        self.stop(signal.SIGQUIT)
        remove_directory(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def connect(self, **options):
        return psycopg.connect(**{"host": "127.0.0.1", "port": self.port, "user": "postgres",
                                  "dbname": "postgres", "autocommit": True, **options})

    def _append(self, name, text):
        with open(os.path.join(self.data, name), "a", encoding="utf-8") as file:
            file.write(text)

    def _write(self, name, text):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        give_to_server(path)
