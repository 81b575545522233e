"""pgpool-II, as it comes from Debian, before a primary and its replicas: streaming replication, load balancing, a child a
client. It spreads statements that read; of what a session wrote it promises nothing there."""

import os
import pathlib
import subprocess

from postgres_server import BIN
from processes import SERVER_USER, end_process, give_to_server, make_directory, remove_directory, until_parent_ends
from waiting import await_condition, free_port

PROGRAM = "/usr/sbin/pgpool"


class PgPool:
    def __init__(self, cluster):
        self.port = free_port()
        self.directory = make_directory("pgpool")
        nodes = "".join(f"backend_hostname{i} = '127.0.0.1'\nbackend_port{i} = {node.server.port}\n"
                        f"backend_weight{i} = {0 if node is cluster.primary else 1}\n"
                        for i, node in enumerate(cluster.nodes))
        config = pathlib.Path(self.directory, "pgpool.conf")
        config.write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\npcp_port = {free_port()}\n"
            f"unix_socket_directories = '{self.directory}'\npcp_socket_dir = '{self.directory}'\n"
            f"pid_file_name = '{self.directory}/pid'\nlogdir = '{self.directory}'\n"
            "backend_clustering_mode = 'streaming_replication'\nload_balance_mode = on\nnum_init_children = 32\n"
            "max_pool = 1\nsr_check_user = 'postgres'\nsr_check_database = 'postgres'\nsr_check_period = 1\n"
            f"health_check_period = 0\nenable_pool_hba = off\nmemory_cache_enabled = off\n{nodes}", encoding="utf-8")
        give_to_server(config)
        self._log = pathlib.Path(self.directory, "log")
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                until_parent_ends([PROGRAM, "-n", "-f", str(config), "-F", f"{self.directory}/pcp.conf"], "INT",
                                  SERVER_USER),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        await_condition(self._answers, lambda: f"pgpool to start: {self._log.read_text(errors='replace')[-2000:]}", 30)

    def _answers(self):
        return subprocess.run([BIN / "psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c",
                               "SELECT 1"], env={**os.environ, "PGSSLMODE": "disable"}, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False).returncode == 0

    def pids(self):
        """Its own and its children's, who serve the clients."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True,
                                check=False).stdout.split()
        return [self._process.pid, *map(int, listed)]

    def stop(self):
        end_process(self._process, (2, 9))
        remove_directory(self.directory)
