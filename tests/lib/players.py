"""Clients of every kind in one play, each a process: psql, psycopg, asyncpg, node-postgres, JDBC.

A play has acts, and after each a player says "at <act>" and waits to be told "go": then its server may be lost. What every
player does, in its own idiom (tests/end_to_end/clients), is

    idle         has set the time zone and prepared a statement; afterwards both are as they were, errors are errors
    transaction  has inserted a row and read three of a cursor's ten; afterwards reads seven, fails in a savepoint, commits
    prepared     has used a prepared statement; afterwards uses it again, and inserts twenty rows as fast as it can
    busy         afterwards inserts one by one, every third row in a transaction, until the file $STOP is there

A player that is content ends with "done N" and has left rows 1 to N in the table entry.
"""

import os
import pathlib
import re
import signal
import subprocess

from postgres_server import BIN
from processes import end_process, make_directory, remove_directory, until_parent_ends
from waiting import await_condition

ACTS = ["idle", "transaction", "prepared", "busy"]
KINDS = ["psql", "psycopg", "asyncpg", "node-postgres", "jdbc"]
TABLES = "CREATE TABLE entry (role text, n int, PRIMARY KEY (role, n)); GRANT ALL ON entry TO public;"
PYTHON = "/usr/bin/python3"
JDBC = "/usr/share/java/postgresql.jar"

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "end_to_end/clients"
NODE_MODULES = SCRIPTS.parents[2] / "build/node/node_modules"


def compile_java(directory):
    """Once for all players; with a JRE alone (it has the compiler, not the command)."""
    subprocess.run(["java", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", str(directory),
                    str(SCRIPTS / "WithJdbc.java")], stdin=subprocess.DEVNULL, capture_output=True, check=True)


class Player:
    """`environment`: libpq's variables, and SERVER_TLS (on, off). `classes`: where the Java program was compiled to. `stop`:
    the file that ends the last act."""

    def __init__(self, kind, role, environment, classes, stop):
        self.kind, self.role = kind, role
        self._encrypted = environment["SERVER_TLS"] == "on"
        self._directory = make_directory("player")
        self._output_path = pathlib.Path(self._directory, "output")
        self._error_path = pathlib.Path(self._directory, "error")
        environment = {**os.environ, **environment, "ROLE": role, "PGAPPNAME": role, "NODE_PATH": str(NODE_MODULES),
                       "STOP": str(stop)}
        with open(self._output_path, "wb") as output, open(self._error_path, "wb") as error:
            self.process = subprocess.Popen(until_parent_ends(self._command(classes), "KILL"), env=environment,
                                            stdin=subprocess.PIPE, stdout=output, stderr=error)
        self._parts = (SCRIPTS / "with_psql.sql").read_text().split("go\n") if kind == "psql" else []
        self._tell_next()

    def _command(self, classes):
        return {
            "psql": [str(BIN / "psql"), "-X", "-f", "-"],
            "psycopg": [PYTHON, "-B", str(SCRIPTS / "with_psycopg.py")],
            "asyncpg": [PYTHON, "-B", str(SCRIPTS / "with_asyncpg.py")],
            "node-postgres": ["node", str(SCRIPTS / "with_node_postgres.js")],
            "jdbc": ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", f"{JDBC}:{classes}", "WithJdbc"],
        }[self.kind]

    def _tell_next(self):
        """psql is told what to do in parts: it has no way to wait."""
        if self._parts:
            self._tell(self._parts.pop(0))

    def _tell(self, text):
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; problems() says how

    @property
    def has_ended(self):
        return self.process.poll() is not None

    def output(self):
        return self._output_path.read_text(encoding="utf-8", errors="replace")

    def await_act(self, act):
        """Until it waits there, or has ended."""
        await_condition(lambda: f"at {act}\n" in self.output() or self.has_ended,
                        lambda: f"{self.role} to be at {act}; so far: {self.output()}{self._errors()}")

    def go(self):
        if self.kind == "psql":
            self._tell_next()
        else:
            self._tell("go\n")

    def problems(self, timeout_s=60):
        """What went wrong; empty for a content player. Waits until it has ended."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            end_process(self.process)
            status = f"none after {timeout_s} s"
        if status == 0 and self._is_as_expected():
            return ""
        return f"exit status {status}\n{self.output()}{self._errors()}"

    def _is_as_expected(self):
        if self.kind != "psql":
            return self.last_row() is not None
        # psql cannot judge what it is told.
        expected = (SCRIPTS / "with_psql.out").read_text()
        return self.output() == expected.replace("SERVER_TLS", "t" if self._encrypted else "f")

    def last_row(self):
        found = re.search(r"^done (\d+)\n\Z", self.output(), re.MULTILINE)
        return int(found.group(1)) if found else None

    def _errors(self):
        return self._error_path.read_text(encoding="utf-8", errors="replace")

    def close(self):
        end_process(self.process, (signal.SIGKILL,))
        self.process.stdin.close()
        remove_directory(self._directory)
