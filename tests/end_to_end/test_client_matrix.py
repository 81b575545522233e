"""Do clients of every kind go on where they were when their server dies: psql, pgbench, psycopg, asyncpg, node-postgres and
JDBC, with the server judging them or the proxy, with TLS on both sides and without?

All of them play at once, on one cluster, each before the same three deaths; what became of each is a test of its own.
"""

import contextlib
import pathlib

import pytest

from certificates import Authority
from cluster import Cluster
from pgbouncer import PgBouncer
from players import ACTS, KINDS, TABLES, Player, compile_java
from processes import make_directory, remove_directory
from tpcb import Tpcb
from understudy_process import Proxy
from waiting import await_condition

PASSWORD = "the password of both"
USERS = f"CREATE ROLE relayed LOGIN; CREATE ROLE judged LOGIN PASSWORD '{PASSWORD}';"
# A relayed login leaves no password behind: its server must trust the proxy.
HBA = """
local all all trust
host replication all all trust
host all postgres all trust
host all relayed all trust
host all all all scram-sha-256
"""
WAYS = ["relay", "relay-tls", "file", "file-tls", "query", "query-tls"]
PGBENCH_PROTOCOL = {"relay": "simple", "relay-tls": "prepared", "file": "extended", "file-tls": "prepared",
                    "query": "prepared", "query-tls": "simple"}


class Papers:
    def __init__(self):
        self.directory = make_directory("papers")
        self.authority = Authority(self.directory)
        self.server = self.authority.issue("server")
        self.proxy = self.authority.issue("proxy")
        self.classes = self.directory  # of what Java is compiled to
        self.users = f"{self.directory}/users.txt"

    def server_settings(self):
        return f"ssl = on\nssl_cert_file = '{self.server.certificate}'\nssl_key_file = '{self.server.key}'\n"

    def proxy_options(self):
        return ["--client-tls-sslmode", "require", "--client-tls-cert-file", self.proxy.certificate,
                "--client-tls-key-file", self.proxy.key,
                "--server-tls-sslmode", "verify-full", "--server-tls-ca-file", self.authority.certificate]

    def pgbouncer_settings(self):
        return (f"client_tls_sslmode = require\nclient_tls_cert_file = {self.proxy.certificate}\n"
                f"client_tls_key_file = {self.proxy.key}\n"
                f"server_tls_sslmode = verify-full\nserver_tls_ca_file = {self.authority.certificate}\n")


def options_of(way, papers):
    auth = {"relay": [], "file": ["--auth", "file", "--auth-file", papers.users],
            "query": ["--auth", "query", "--auth-user", "postgres"]}
    return auth[way.removesuffix("-tls")] + (papers.proxy_options() if way.endswith("tls") else [])


def environment_of(way, port, papers):
    encrypted = way.endswith("tls")
    return {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": "postgres", "PGPASSWORD": PASSWORD,
            "PGUSER": "relayed" if way.startswith("relay") else "judged",
            "PGSSLMODE": "verify-full" if encrypted else "disable", "PGSSLROOTCERT": str(papers.authority.certificate),
            "SERVER_TLS": "on" if encrypted else "off"}


class Company:
    """A player of each kind on each of `environments` (by way); all do the same at the same time."""

    def __init__(self, stack, name, environments, papers):
        directory = make_directory("company")
        stack.callback(remove_directory, directory)
        self._stop = pathlib.Path(directory, "stop")
        self.players = {(way, kind): stack.enter_context(contextlib.closing(
            Player(kind, f"{kind} {name} {way}", environment, papers.classes, self._stop)))
            for way, environment in environments.items() for kind in KINDS}
        self.problems = {}

    def await_act(self, act):
        for player in self.players.values():
            player.await_act(act)

    def go(self):
        for player in self.players.values():
            player.go()

    def await_busy(self, server, rows):
        """Until each that still runs has inserted so many rows more."""
        def counts():
            with server.connect() as direct:
                return dict(direct.execute("SELECT role, count(*) FROM entry GROUP BY role").fetchall())
        before = counts()
        await_condition(lambda: (now := counts()) and all(
            player.kind == "psql" or player.has_ended or now[player.role] >= before[player.role] + rows
            for player in self.players.values()), lambda: f"busy players: {before}, then {counts()}")

    def end(self, server):
        """What became of each: `problems`, empty where there was none."""
        self._stop.touch()
        with server.connect() as direct:
            self.problems = {part: player.problems() or self._rows_amiss(direct, player)
                             for part, player in self.players.items()}

    @staticmethod
    def _rows_amiss(direct, player):
        found = direct.execute("SELECT n FROM entry WHERE role = %s ORDER BY n", [player.role]).fetchall()
        rows, expected = [row[0] for row in found], list(range(1, player.last_row() + 1))
        return "" if rows == expected else f"its rows are {rows}, up to {player.last_row()} were expected"


class Play:
    """A cluster, a proxy for each way, and before it a player of each kind and a pgbench."""

    def __init__(self, template, stack):
        self.papers = Papers()
        stack.callback(remove_directory, self.papers.directory)
        self.cluster = stack.enter_context(Cluster(template, settings=self.papers.server_settings(), hba=HBA))
        self.cluster.primary.execute(USERS + TABLES)
        Tpcb.make_tables(self.cluster.primary.server.port)
        self.cluster.primary.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO public")
        self.secret = self.cluster.primary.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'judged'")
        pathlib.Path(self.papers.users).write_text(f'"judged" "{self.secret}"\n', encoding="utf-8")
        compile_java(self.papers.classes)
        self.proxies = {way: stack.enter_context(self.proxy(way)) for way in WAYS}
        environments = {way: environment_of(way, proxy.port, self.papers) for way, proxy in self.proxies.items()}
        self.company = Company(stack, "understudy", environments, self.papers)
        self.benches = {way: stack.enter_context(Tpcb(environment, clients=2, rate=20, protocol=PGBENCH_PROTOCOL[way]))
                        for way, environment in environments.items()}

    def proxy(self, way):
        first, *others = self.cluster.backends
        more = [word for address in others for word in ("--backend", address)]
        proxy = Proxy(first, *more, "--commit-guard", "on", *options_of(way, self.papers))
        proxy.await_log(" primary_found ")
        return proxy

    def perform(self):
        for act in ACTS:
            self._perform_act(act)
        self.company.await_busy(self.cluster.primary, 10)
        self.company.end(self.cluster.primary)
        self.problems = self.company.problems
        for way, bench in self.benches.items():
            self.problems[way, "pgbench"] = "\n".join(bench.stop(self.cluster.primary.connect()).problems())

    def _perform_act(self, act):
        """The primary dies. The players go on before it, after it, or while nobody is primary."""
        self.company.await_act(act)
        if act == "busy":
            self.company.go()
            self.company.await_busy(self.cluster.primary, 1)
        lost = self.cluster.kill_primary()
        if act == "transaction":
            self.company.go()
        self.cluster.take_over()
        if act in ("idle", "prepared"):
            self.company.go()
        self.cluster.rejoin(lost)


@pytest.fixture(scope="module")
def play(template):
    with contextlib.ExitStack() as stack:
        finished = Play(template, stack)
        finished.perform()
        yield finished


@pytest.mark.parametrize("kind", [*KINDS, "pgbench"])
@pytest.mark.parametrize("way", WAYS)
def test_a_client_goes_on_after_every_death_of_its_server(play, way, kind):
    assert play.problems[way, kind] == "", play.proxies[way].log()[-5000:]


@pytest.mark.parametrize("way", WAYS)
def test_every_session_was_moved_at_every_death(play, way):
    counts = play.proxies[way].counts()
    assert counts["sessions_stranded"] == counts["commits_lost"] == 0
    assert counts["sessions_moved"] >= len(ACTS) * len(KINDS)


def test_the_same_clients_are_as_content_with_pgbouncer(play):
    """What it does as well: own authentication and TLS, while its server lives. JDBC names a parameter that it must be told to
    ignore."""
    papers, server = play.papers, play.cluster.primary.server
    users = {"judged": play.secret}
    settings = "ignore_startup_parameters = extra_float_digits\n"
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(PgBouncer(server, users, "scram-sha-256", settings))
        encrypted = stack.enter_context(PgBouncer(server, users, "scram-sha-256", settings + papers.pgbouncer_settings()))
        ports = {"file": plain.port, "file-tls": encrypted.port}
        company = Company(stack, "pgbouncer", {way: environment_of(way, port, papers) for way, port in ports.items()},
                          papers)
        for act in ACTS:
            company.await_act(act)
            company.go()
        company.await_busy(server, 1)
        company.end(server)
        assert set(company.problems.values()) == {""}


@pytest.mark.parametrize("way", ["relay", "relay-tls"])
def test_where_a_password_was_relayed_the_session_ends_and_says_why(play, way):
    """The next server asks for it, and the proxy has none."""
    proxy, environment = play.proxies[way], environment_of(way, play.proxies[way].port, play.papers)
    with contextlib.closing(proxy.connect(user="judged", password=PASSWORD, sslmode=environment["PGSSLMODE"],
                                          sslrootcert=environment["PGSSLROOTCERT"],
                                          channel_binding="disable")) as client:
        client.pgconn.send_query(b"SELECT pg_sleep(3600)")  # libpq looks away from what comes while it asks for nothing
        client.pgconn.flush()
        lost = play.cluster.kill_primary()
        play.cluster.take_over()
        error = client.pgconn.get_result().error_message.decode()
        play.cluster.rejoin(lost)
    assert "could not move the session" in error and "use auth = file" in error


def test_reads_at_replicas_are_encrypted_as_well(play):
    """verify-full holds for every server of a session: that of its writes and that of its reads."""
    first, *others = play.cluster.backends
    more = [word for address in others for word in ("--backend", address)]
    with Proxy(first, *more, "--mode", "split", *options_of("file-tls", play.papers)) as proxy:
        proxy.await_log(" primary_found ")
        with proxy.connect(user="judged", password=PASSWORD, sslmode="verify-full",
                           sslrootcert=play.papers.authority.certificate) as client:
            encrypted = "SELECT ssl, pg_is_in_recovery() FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert client.execute(encrypted).fetchone() == (True, False)  # a server's own: at the primary
            await_condition(lambda: client.execute("SELECT count(*) FROM entry").fetchone()[0] >= 0
                            and proxy.counts()["replica_reads"] > 0, "a read at a replica")
            at_replicas = [node.value("SELECT count(*) FILTER (WHERE ssl) * 1000 + count(*) FROM pg_stat_ssl JOIN"
                                      " pg_stat_activity USING (pid) WHERE usename = 'judged'")
                           for node in play.cluster.replicas]
            assert sorted(at_replicas) == [0, 1001]
