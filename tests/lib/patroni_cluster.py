"""A cluster that Patroni runs: etcd, and a Patroni with its PostgreSQL for each member. All of it on this machine, as
an unprivileged user, in temporary directories, ended with the test (Patroni ends its server when it is told to end)."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess

import psycopg

from cluster import is_alive
from postgres_server import BIN
from processes import (as_server_user, end_process, give_to_server, make_directory, remove_directory, until_parent_ends,
                       SERVER_USER)
from waiting import await_condition, free_port

SCOPE = "understudy"

# A lock that is not renewed is gone after TTL_S; the smallest that this version takes without ado.
TTL_S = 8

CONFIGURATION = """
scope: {scope}
name: {name}
restapi:
  listen: 127.0.0.1:{rest}
  connect_address: 127.0.0.1:{rest}
{tls}etcd3:
  host: 127.0.0.1:{etcd}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        max_connections: 100
        wal_log_hints: 'on'
        wal_keep_size: 512MB
        hot_standby: 'on'
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, {{auth: trust}}, no-sync]
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 trust
    - host replication all 127.0.0.1/32 trust
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {directory}/data
  bin_dir: {bin}
  pgpass: {directory}/pgpass
  authentication:
    superuser: {{username: postgres}}
    replication: {{username: postgres}}
  parameters:
    unix_socket_directories: {directory}
    fsync: 'off'
    wal_retrieve_retry_interval: 100ms
watchdog: {{mode: 'off'}}
"""


# Who asks must show a certificate.
TLS = """  certfile: {certificate}
  keyfile: {key}
  cafile: {authority}
  verify_client: required
ctl:
  certfile: {certificate}
  keyfile: {key}
  cacert: {authority}
"""


def _start(command, log_path):
    """Told to end when this thread does: Patroni then ends its server, which knows nothing of us."""
    with open(log_path, "ab") as log:
        return subprocess.Popen(until_parent_ends([str(word) for word in command], "TERM", SERVER_USER),
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp"})


class Member:
    """One of them: Patroni, and its PostgreSQL."""

    def __init__(self, number, etcd_port, authority=None):
        self.name = f"node{number}"
        self.directory = pathlib.Path(make_directory(self.name))
        self.port, self.rest = free_port(), free_port()
        self.process = None
        self._configuration = self.directory / "patroni.yml"
        self._scheme = "https" if authority else "http"
        self._configuration.write_text(CONFIGURATION.format(
            tls=self._tls(authority) if authority else "", scope=SCOPE, name=self.name, rest=self.rest, etcd=etcd_port, ttl=TTL_S, port=self.port,
            directory=self.directory, bin=BIN), encoding="utf-8")
        give_to_server(self._configuration)

    def _tls(self, authority):
        issued = authority.issue(self.name)
        return TLS.format(certificate=issued.certificate, key=issued.key, authority=authority.certificate)

    def __repr__(self):
        return f"{self.name} (port {self.port})"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def endpoint(self):
        return f"{self._scheme}://127.0.0.1:{self.rest}"

    def start(self):
        self.process = _start(["/usr/bin/patroni", self._configuration], self.directory / "log")
        return self

    def connect(self, **options):
        return psycopg.connect(**{"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres",
                                  "autocommit": True, "connect_timeout": 5, **options})

    def postmaster(self):
        """Its process id; None when there is none."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "data/postmaster.pid").read_text().split("\n")[0])
            return pid if is_alive(pid) else None
        return None

    def kill(self):
        """Patroni first, so that it tells nobody; then its server, whose processes find out by themselves."""
        if self.process:
            end_process(self.process, (signal.SIGKILL,))
            self.process = None
        pid = self.postmaster()
        if pid:
            os.kill(pid, signal.SIGKILL)
            await_condition(lambda: not is_alive(pid), f"{self} to be gone")

    def stop(self):
        """Leaves the cluster in good order."""
        end_process(self.process)
        self.process = None

    def log(self):
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    def remove(self):
        self.kill()
        remove_directory(self.directory)


class PatroniCluster:
    """`members` of them; synchronous. The first becomes the primary. With an `authority` their REST API is https, for
    those who show one of its certificates."""

    def __init__(self, members=3, authority=None):
        self._etcd_directory = pathlib.Path(make_directory("etcd"))
        self._etcd = None
        self.members = []
        self._tls = None
        if authority:
            ours = authority.issue("test")
            self._tls = ssl.create_default_context(cafile=authority.certificate)
            self._tls.load_cert_chain(ours.certificate, ours.key)
        try:
            self._start_etcd()
            for number in range(1, members + 1):
                self.members.append(Member(number, self._etcd_port, authority))
            self.members[0].start()
            self._await(lambda: self._roles().get("node1") == "leader", "the first member to lead")
            for member in self.members[1:]:
                member.start()
            self.await_whole()
        except BaseException:
            self.remove()
            raise

    def _start_etcd(self):
        self._etcd_port, peer = free_port(), free_port()
        client = f"http://127.0.0.1:{self._etcd_port}"
        self._etcd = _start(["/usr/bin/etcd", "--data-dir", self._etcd_directory / "data", "--unsafe-no-fsync",
                             "--heartbeat-interval", "50", "--election-timeout", "250",
                             "--listen-client-urls", client, "--advertise-client-urls", client,
                             "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--log-level", "error"],
                            self._etcd_directory / "log")

    @property
    def endpoints(self):
        """For a proxy's `patroni`."""
        return ",".join(member.endpoint for member in self.members)

    def cluster(self):
        """What /cluster says, of whichever member answers; {} when none does."""
        for member in self.members:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                with contextlib.closing(self._reach(member)) as connection:
                    connection.request("GET", "/cluster")
                    return json.loads(connection.getresponse().read())
        return {}

    def _reach(self, member):
        if self._tls:
            return http.client.HTTPSConnection("127.0.0.1", member.rest, timeout=2, context=self._tls)
        return http.client.HTTPConnection("127.0.0.1", member.rest, timeout=2)

    def _roles(self):
        return {one["name"]: one["role"] for one in self.cluster().get("members", [])
                if one["state"] in ("running", "streaming")}

    @property
    def leader(self):
        """None while there is none."""
        names = [name for name, role in self._roles().items() if role == "leader"]
        return next((member for member in self.members if member.name in names), None)

    def await_whole(self):
        """Until all that run are members, and one of the replicas is synchronous."""
        running = {member.name for member in self.members if member.process}
        self._await(lambda: self._roles().keys() == running and {"leader", "sync_standby"} <= set(
            self._roles().values()), "the cluster to be whole")

    def await_leader(self, other_than):
        """The new one, once it takes writes."""
        def found():
            leader = self.leader
            if leader in (None, other_than):
                return None
            with contextlib.suppress(psycopg.Error), leader.connect() as connection:
                return leader if not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0] else None
        return self._await(found, "another leader")

    def switchover(self, to):
        as_server_user(["/usr/bin/patronictl", "-c", self.members[0].directory / "patroni.yml", "switchover", SCOPE,
                        "--master", self.leader.name, "--candidate", to.name, "--force"],
                       env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": "/tmp"})

    def sync_standby(self):
        names = [name for name, role in self._roles().items() if role == "sync_standby"]
        return next(member for member in self.members if member.name in names)

    def _await(self, condition, what):
        logs = "\n".join(f"--- {member}\n{member.log()[-2000:]}" for member in self.members if member.process)
        return await_condition(condition, lambda: f"{what}: {self.cluster()}\n{logs}", 60)

    def remove(self):
        for member in self.members:
            member.remove()
        if self._etcd:
            end_process(self._etcd, (signal.SIGKILL,))
        remove_directory(self._etcd_directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
