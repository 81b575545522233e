"""Does the proxy let in whom the database knows (auth = query), with the passwords it knows them by, wherever it is?"""

import concurrent.futures
import contextlib
import os
import re
import shutil
import subprocess
import urllib.request

import psycopg
import pytest

from cluster import Cluster
from postgres_server import Server
from processes import SERVER_USER, end_process, give_to_server, until_parent_ends
from waiting import await_condition, free_port

ROLES = """
CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'the asker''s own';
CREATE ROLE ada LOGIN PASSWORD 'secret of ada';
SET password_encryption = md5;
CREATE ROLE mad LOGIN PASSWORD 'md5 of mad';
RESET password_encryption;
CREATE ROLE nopass LOGIN;
CREATE ROLE late LOGIN PASSWORD 'too late' VALID UNTIL '2001-01-01';
CREATE ROLE "Quo""ted'; DROP ROLE ada; --" LOGIN PASSWORD 'quoted';
"""
# The server asks for everybody's password, so that what the proxy knows is good at the server as well.
HBA = "local all all trust\nhost all postgres all trust\nhost replication all all trust\nhost all all all scram-sha-256\n"
QUOTED = "Quo\"ted'; DROP ROLE ada; --"


@pytest.fixture(scope="module")
def production(template):
    with Server(template, hba=HBA, settings="max_connections = 50\n") as running:
        running.start().execute(ROLES)
        yield running


@pytest.fixture
def ask(scratch):
    """The arguments of a proxy that asks the database. The asker's password is where libpq would look for it."""
    passwords = scratch / "pgpass"
    passwords.write_text("*:*:postgres:asker:the asker's own\n")
    passwords.chmod(0o600)
    before = os.environ.get("PGPASSFILE")
    os.environ["PGPASSFILE"] = str(passwords)
    yield ["--auth", "query", "--auth-user", "asker"]
    os.environ.pop("PGPASSFILE")
    if before is not None:
        os.environ["PGPASSFILE"] = before


def who(proxy, user, password):
    with proxy.connect(user=user, password=password, dbname="postgres") as client:
        return client.execute("SELECT current_user").fetchone()[0]


def refusal(proxy, user, password, **options):
    with pytest.raises(psycopg.OperationalError) as refused:
        proxy.connect(user=user, password=password, **options)
    return str(refused.value)


def pgbouncer(stack, server, scratch, **settings):
    """Debian's, asking the same; what connect() of a proxy is, for it."""
    port = free_port()
    (scratch / "bouncer.txt").write_text('"asker" "the asker\'s own"\n')
    lines = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_file": scratch / "bouncer.txt",
             "auth_type": "scram-sha-256", "auth_user": "asker", **settings}
    (scratch / "bouncer.ini").write_text("".join(
        [f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n", *(f"{k} = {v}\n" for k, v in lines.items())]))
    for path in (scratch, scratch / "bouncer.txt", scratch / "bouncer.ini"):
        give_to_server(path)
    command = [shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), str(scratch / "bouncer.ini")]
    process = subprocess.Popen(until_parent_ends(command, "KILL", SERVER_USER), stdin=subprocess.DEVNULL, cwd="/",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(end_process, process)

    def connect(**options):
        return psycopg.connect(**{"host": "127.0.0.1", "port": port, "dbname": "postgres", "autocommit": True,
                                  "sslmode": "disable", **options})

    def answers():
        with contextlib.suppress(psycopg.OperationalError), connect(user="asker", password="the asker's own"):
            return True
        return process.poll() is not None
    await_condition(answers, "pgbouncer to start")
    return connect


# ---- Who is let in

def test_users_are_those_of_the_database_and_no_password_of_theirs_is_in_a_file(production, make_proxy, ask):
    proxy = make_proxy(production.tcp, *ask)
    assert who(proxy, "ada", "secret of ada") == "ada"
    assert who(proxy, QUOTED, "quoted") == QUOTED
    for user, password in [("ada", "guessed"), ("nobody", "x"), ("nopass", "x"), ("late", "too late"),
                           ("pg_monitor", "x"), ("ada\xff", "x")]:
        assert "password authentication failed" in refusal(proxy, user, password), user
    assert production.value("SELECT count(*) FROM pg_roles WHERE rolname = 'ada'") == 1
    assert "secret" not in proxy.log() and "SCRAM-SHA-256$" not in proxy.log() and "own" not in proxy.log()


def test_md5_secrets_serve_where_md5_is_asked_for(production, make_proxy, ask):
    proxy = make_proxy(production.tcp, *ask, "--auth-type", "md5")
    # md5 proves that the client knows the password, and does not tell it: the server, too, must take an md5 hash.
    assert "password authentication failed" in refusal(proxy, "mad", "guessed")
    with pytest.raises(psycopg.OperationalError) as refused:
        who(proxy, "mad", "md5 of mad")
    assert "none is given" in str(refused.value)
    assert who(proxy, "ada", "secret of ada") == "ada"  # SCRAM, since that is what there is


def test_the_file_goes_before_the_database(production, make_proxy, ask, scratch):
    (scratch / "users.txt").write_text('"ada" "another"\n"asker" "the asker\'s own"\n')
    proxy = make_proxy(production.tcp, *ask, "--auth-file", scratch / "users.txt", "--auth-type", "plain")
    assert "password authentication failed for user" in refusal(proxy, "ada", "secret of ada")
    assert who(proxy, "asker", "the asker's own") == "asker"
    assert who(proxy, QUOTED, "quoted") == QUOTED


def test_what_was_found_is_believed_for_a_while_and_not_after_a_failed_login(production, make_proxy, ask):
    admin = f"127.0.0.1:{free_port()}"
    proxy = make_proxy(production.tcp, *ask, "--admin-listen", admin, "--auth-query-cache", "1h", "--auth-type", "plain")

    def queries():
        with urllib.request.urlopen(f"http://{admin}/metrics") as page:
            return int(re.search(r"understudy_auth_queries_total (\d+)", page.read().decode()).group(1))
    production.execute("CREATE ROLE changing LOGIN PASSWORD 'first'")
    with contextlib.ExitStack() as stack:
        stack.callback(production.execute, "DROP ROLE changing")
        for _ in range(5):
            assert who(proxy, "changing", "first") == "changing"
        assert queries() == 1
        production.execute("ALTER ROLE changing PASSWORD 'second'")
        assert "password authentication failed" in refusal(proxy, "changing", "second")
        assert who(proxy, "changing", "second") == "changing"
        assert queries() == 2
        for _ in range(3):
            assert "password authentication failed" in refusal(proxy, "nobody", "x")
        assert queries() == 5  # who is not there is not remembered


def test_many_logins_at_once_share_what_is_asked(production, make_proxy, ask):
    proxy = make_proxy(production.tcp, *ask, "--default-pool-size", "5")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        names = list(pool.map(lambda n: who(proxy, *[("ada", "secret of ada"), (QUOTED, "quoted")][n % 2]), range(60)))
    assert names == ["ada", QUOTED] * 30


@pytest.mark.parametrize("query, reason", [
    ("SELECT $1", "no row of a name and a secret"),
    ("SELECT rolname, rolpassword FROM pg_authid WHERE rolname >= $1", "more than one row"),
    ("SELECT 'ada', rolpassword FROM pg_authid WHERE rolname = 'ada' AND $1 <> ''", "another user"),
    ("SELECT nonsense", "does not exist"),
    ("SELECT $1, pg_sleep(60)::text", "no answer to a query within"),
    ("SELECT $1, repeat('x', 2000000)", "impossible length"),
], ids=["columns", "rows", "user", "error", "slow", "huge"])
def test_a_query_that_cannot_be_right_lets_nobody_in_and_the_log_says_why(production, make_proxy, ask, query, reason):
    proxy = make_proxy(production.tcp, *ask, "--auth-query", query)
    assert "could not look up" in refusal(proxy, "asker", "x", connect_timeout=20)
    assert reason in proxy.await_log(" auth_query_failed .*").group(0)


def test_an_asker_whom_the_server_refuses_is_told_in_the_log(production, make_proxy, ask, scratch):
    (scratch / "pgpass").write_text("*:*:postgres:asker:wrong\n")
    proxy = make_proxy(production.tcp, *ask)
    assert "could not look up" in refusal(proxy, "ada", "secret of ada")
    assert "password authentication failed" in proxy.await_log(" auth_query_failed .*").group(0)
    proxy = make_proxy(f"127.0.0.1:{free_port()}", *ask)
    assert "could not look up" in refusal(proxy, "ada", "secret of ada")


# ---- Side by side with pgbouncer

def test_the_same_users_are_let_in_as_by_pgbouncer(production, make_proxy, ask, scratch):
    query = "SELECT usename, passwd FROM pg_shadow WHERE usename = $1"
    proxy = make_proxy(production.tcp, *ask, "--auth-query", query)
    with contextlib.ExitStack() as stack:
        theirs = pgbouncer(stack, production, scratch, auth_query=query)

        def outcome(connect, user, password):
            try:
                with connect(user=user, password=password) as client:
                    return client.execute("SELECT current_user").fetchone()[0]
            except psycopg.OperationalError:
                return "refused"
        for user, password in [("ada", "secret of ada"), ("ada", "guessed"), ("nobody", "x"), ("nopass", "x"),
                               (QUOTED, "quoted"), ("asker", "the asker's own"), ("asker", "x")]:
            assert outcome(proxy.connect, user, password) == outcome(theirs, user, password), user


# ---- When the primary is another, or none

def test_users_are_looked_up_wherever_the_primary_is(template, make_proxy, ask):
    with Cluster(template, replicas=1, synchronous=False) as pair:
        pair.primary.execute(ROLES)
        for node in pair.nodes:
            (node.data / "pg_hba.conf").write_text(HBA)
            node.execute("SELECT pg_reload_conf()")
        pair.await_streaming(pair.replicas[0])
        first, second = pair.nodes
        proxy = make_proxy(first.address, "--backend", second.address, *ask, "--auth-query-cache", "0",
                           "--failover-timeout", "20s")
        proxy.await_log(" primary_found ")
        with proxy.connect(user="ada", password="secret of ada") as client:
            assert client.execute("SELECT inet_server_port()").fetchone() == (first.server.port,)
            pair.kill_primary()
            proxy.await_log(" primary_lost ")
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                # Both wait; that there is no such user is told when somebody can tell.
                right = pool.submit(who, proxy, "ada", "secret of ada")
                wrong = pool.submit(refusal, proxy, "nobody", "x")
                pair.take_over()
                assert right.result(30) == "ada"
                assert "password authentication failed" in wrong.result(30)
            # SCRAM keys of the first login open the second server, too.
            assert client.execute("SELECT inet_server_port()").fetchone() == (second.server.port,)


def test_without_a_primary_a_login_waits_no_longer_than_it_may(template, make_proxy, ask):
    port = free_port()
    proxy = make_proxy(f"127.0.0.1:{port}", "--backend", f"127.0.0.1:{free_port()}", *ask, "--failover-timeout", "300ms")
    told = refusal(proxy, "ada", "secret of ada")
    assert "no primary server within failover_timeout" in told and f"127.0.0.1:{port} down" in told


# ---- At the start

@pytest.mark.parametrize("arguments, status, complaint", [
    (["--auth", "query"], 2, "auth = query needs auth_user"),
    (["--auth", "query", "--auth-user", "asker", "--auth-file", "{file}"], 1, "must log in at the server"),
], ids=["nobody", "hash"])
def test_what_is_missing_is_told_at_the_start(production, scratch, arguments, status, complaint):
    from understudy_process import run_understudy
    (scratch / "users.txt").write_text('"asker" "md50123456789abcdef0123456789abcdef"\n')
    words = [word.format(file=scratch / "users.txt") for word in arguments]
    result = run_understudy("proxy", "--backend", production.tcp, "--listen", f"127.0.0.1:{free_port()}", *words)
    assert result.returncode == status and complaint in result.stderr
