"""pgbouncer, as it comes from Debian, for what is compared with it: session pooling, pools that never make a client wait."""

import os
import pathlib
import shutil
import signal
import subprocess

from processes import (SERVER_USER, end_process, give_to_server, make_directory, remove_directory,
                       until_parent_ends)
from waiting import await_condition, free_port

PROGRAM = "/usr/sbin/pgbouncer"


class PgBouncer:
    """In front of `server`. `users`: names and secrets; `settings`: further lines of its configuration."""

    def __init__(self, server, users=None, auth_type="trust", settings=""):
        self.directory = make_directory("pgbouncer")
        self.port = free_port()
        listed = "".join(f'"{name}" "{secret}"\n' for name, secret in (users or {"postgres": ""}).items())
        self._log = os.path.join(self.directory, "log")
        config = self._write("pgbouncer.ini", f"""
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = {auth_type}
auth_file = {self._write("users.txt", listed)}
pool_mode = session
max_client_conn = 10000
default_pool_size = 1050
listen_backlog = 512
log_connections = 0
log_disconnections = 0
{settings}
""")
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                until_parent_ends([shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), config], "KILL", SERVER_USER),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        self.pid = self.process.pid
        await_condition(self._is_ready, lambda: f"pgbouncer to start: {self.log()}")

    def _write(self, name, text):
        path = os.path.join(self.directory, name)
        pathlib.Path(path).write_text(text, encoding="utf-8")
        give_to_server(path)
        return path

    def log(self):
        return pathlib.Path(self._log).read_text(encoding="utf-8", errors="replace")

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"pgbouncer ended at its start: {self.log()}")
        return " process up" in self.log()

    def stop(self):
        end_process(self.process, (signal.SIGINT, signal.SIGKILL))
        remove_directory(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
