"""Do replayed users log in as they should: with which name, database and password, found where libpq finds them?"""

import os

import psycopg
import pytest

from postgres_server import Server
from replaying import Pair, recorded, replay, replay_whole
from understudy_process import run_understudy
from waiting import free_port

METHODS = ("scram-sha-256", "md5", "password")
PASSWORDS = {"scram-sha-256": "s'cr am\\", "md5": "m:d5", "password": "päss", "bench": "for all"}


@pytest.fixture(scope="module")
def guarded(template):
    """A trusting production, and a target with a user and a password for each method."""
    hba = "local all all trust\nhost all postgres all trust\nhost all bench all scram-sha-256\n"
    hba += "".join(f'host all "{method}" all {method}\n' for method in METHODS)
    with Server(template, name="prod") as production, Server(template, hba=hba, name="target") as target:
        for server in (production.start(), target.start()):
            server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
            for user, password in PASSWORDS.items():
                method = "md5" if user == "md5" else "scram-sha-256"
                quoted = password.replace("'", "''")
                server.execute(f"SET password_encryption = '{method}';"
                               f"CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD '{quoted}'")
        target.execute("CREATE DATABASE elsewhere")
        yield Pair(production, target)


@pytest.fixture(scope="module")
def users(guarded):
    """A recording in which each user makes a table of its own."""
    import pathlib
    from processes import make_directory, remove_directory
    directory = pathlib.Path(make_directory("users"))
    with recorded(guarded.production, directory) as proxy:
        for user in METHODS:
            with proxy.connect(user=user) as connection:
                connection.execute(f'CREATE TABLE "{user}" AS SELECT current_database()')
    yield directory
    remove_directory(directory)


@pytest.fixture(autouse=True)
def no_tables(guarded):
    drop = "".join(f'DROP TABLE IF EXISTS "{user}";' for user in METHODS)
    guarded.target.execute(drop)
    with guarded.target.connect(dbname="elsewhere") as connection:
        connection.execute(drop)


def environment(**variables):
    """Without a trace of the tester's own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "PGPASSFILE": "/dev/null", **variables}


def owners(server, database="postgres"):
    with server.connect(dbname=database) as connection:
        return dict(connection.execute("SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall())


def pgpass(scratch, guarded, users=METHODS, host="127.0.0.1", database="*"):
    lines = [":".join([host, str(guarded.target.port), database, user, PASSWORDS[user].replace("\\", "\\\\").replace(":", "\\:")])
             for user in users]
    path = scratch / "pgpass"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def test_every_user_with_its_own_password_from_pgpass(guarded, users, scratch):
    replay_whole(users, guarded.uri, env=environment(PGPASSFILE=pgpass(scratch, guarded)))
    assert owners(guarded.target) == {user: user for user in METHODS}


def test_a_pgpass_file_named_in_the_target_string(guarded, users, scratch):
    uri = f"{guarded.uri}?passfile={pgpass(scratch, guarded, database='postgres')}"
    replay_whole(users, uri, env=environment())
    assert owners(guarded.target) == {user: user for user in METHODS}


def test_the_password_of_the_target_string_serves_its_own_user_and_whoever_has_no_other(guarded, users, scratch):
    conninfo = f"host=127.0.0.1 port={guarded.target.port} dbname=postgres user=md5 password=m:d5"
    summary = replay(users, conninfo, "--speed", "max", status=3,
                     env=environment(PGPASSFILE=pgpass(scratch, guarded, ["password"])))
    assert owners(guarded.target) == {"md5": "md5", "password": "password"}
    assert summary["sessions_failed"] == 1
    assert summary["login_errors"] == {
        '28P01 password authentication failed for user "scram-sha-256"': 1}


@pytest.mark.parametrize("way", ("uri", "PGPASSWORD", "service"))
def test_all_as_one_user_with_one_password(guarded, users, scratch, way):
    target, variables = guarded.uri.replace("postgres@", "bench@"), {}
    if way == "uri":
        target = target.replace("bench@", "bench:for%20all@")
    elif way == "PGPASSWORD":
        variables = {"PGPASSWORD": PASSWORDS["bench"]}
    else:
        (scratch / "services").write_text(f"[stage]\nhost=127.0.0.1\nport={guarded.target.port}\nuser=bench\n"
                                          f"dbname=postgres\npassword={PASSWORDS['bench']}\n")
        target, variables = "service=stage", {"PGSERVICEFILE": str(scratch / "services")}
    replay_whole(users, target, "--user-map", "*=bench", env=environment(**variables))
    assert owners(guarded.target) == {user: "bench" for user in METHODS}


def test_users_and_databases_mapped_one_by_one(guarded, users, scratch):
    replay_whole(users, guarded.uri, "--user-map", "md5=bench", "--user-map", "*=postgres",
                 "--database-map", "postgres=elsewhere",
                 env=environment(PGPASSFILE=pgpass(scratch, guarded, PASSWORDS)))
    assert owners(guarded.target) == {}
    assert owners(guarded.target, "elsewhere") == {user: "bench" if user == "md5" else "postgres" for user in METHODS}


def test_a_map_that_fits_nobody_is_warned_of(guarded, users):
    result = run_understudy("replay", users, "--to", guarded.uri, "--speed", "max", "--user-map", "md6=bench",
                            "--user-map", "md5=postgres", "--user-map", "*=postgres", "--database-map", "shop=postgres",
                            env=environment())
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if "warning" in line] == [
        "understudy replay: warning: --user-map: no session that was replayed has the name md6",
        "understudy replay: warning: --database-map: no session that was replayed has the name shop"]


def test_the_target_from_the_environment_alone(guarded, users, scratch):
    variables = environment(PGHOST="127.0.0.1", PGPORT=str(guarded.target.port), PGUSER="postgres", PGDATABASE="postgres",
                            PGPASSFILE=pgpass(scratch, guarded))
    replay_whole(users, "", env=variables)
    assert owners(guarded.target) == {user: user for user in METHODS}


def test_a_target_behind_a_unix_socket(guarded, users):
    replay_whole(users, f"host={guarded.target.directory} port={guarded.target.port} user=postgres dbname=postgres",
                 env=environment())
    assert owners(guarded.target) == {user: user for user in METHODS}


def test_a_target_with_an_ipv6_address(guarded, users, scratch):
    replay_whole(users, f"postgresql://postgres@[::1]:{guarded.target.port}/postgres",
                 env=environment(PGPASSFILE=pgpass(scratch, guarded, host="\\:\\:1")))
    assert owners(guarded.target) == {user: user for user in METHODS}


def test_where_nobody_can_log_in_it_says_so(guarded, users):
    summary = replay(users, guarded.uri, status=1, env=environment())
    assert summary["sessions_failed"] == len(METHODS)
    assert sum(summary["login_errors"].values()) == len(METHODS)
    result = run_understudy("replay", users, "--to", guarded.uri, env=environment())
    assert "no session could log in; see --user-map, --database-map, PGPASSWORD and pgpass" in result.stderr
    assert result.stdout.startswith("Nothing was replayed of ")
    assert result.stdout.count("the server asks for a password") == len(METHODS)


def test_a_role_that_is_given_a_password_on_record_is_named_as_the_cause(guarded, scratch):
    """Its next login fails: it is the x that stands there which the target was told."""
    with recorded(guarded.production, scratch / "recording") as proxy:
        with proxy.connect() as connection:
            connection.execute("ALTER ROLE bench PASSWORD 'another'")
        with proxy.connect(user="bench") as connection:
            connection.execute("SELECT 1")
    for order in ("session", "causal"):
        guarded.target.execute(f"ALTER ROLE bench PASSWORD '{PASSWORDS['bench']}'")
        result = run_understudy("replay", scratch / "recording", "--to", guarded.uri, "--order", order,
                                env=environment(PGPASSWORD=PASSWORDS["bench"]))
        assert result.returncode == 3 and "login failed 1 times: 28P01" in result.stdout, result
        assert "warning: passwords in SQL are not in the recording: 1 piece (session 1.1)" in result.stderr
    guarded.target.execute(f"ALTER ROLE bench PASSWORD '{PASSWORDS['bench']}'")


@pytest.mark.parametrize("target, words", (
    ("postgresql://postgres@127.0.0.1:{nobody}/postgres", "Connection refused"),
    ("postgresql://postgres@127.0.0.1:{port}/no_such", 'database "no_such" does not exist'),
    ("postgresql://bench:wrong@127.0.0.1:{port}/postgres", 'password authentication failed for user "bench"'),
    ("postgresql://bench@127.0.0.1:{port}/postgres", "Its password is that of --to, of PGPASSWORD, or of a pgpass file"),
    ("host=/nowhere user=postgres", "No such file or directory"),
    ("postgresql://[broken", "cannot connect to the target"),
    ("port=none", "cannot connect to the target")))
def test_a_target_that_cannot_be_reached_is_an_error_in_libpqs_words(guarded, users, target, words):
    target = target.format(nobody=free_port(), port=guarded.target.port)
    result = run_understudy("replay", users, "--to", target, env=environment())
    assert result.returncode == 1
    assert words in result.stderr and result.stdout == ""


def test_a_login_that_was_refused_when_it_was_recorded_is_refused_again_and_no_failure(guarded, scratch):
    with recorded(guarded.production, scratch / "recording") as proxy:
        import psycopg
        with pytest.raises(psycopg.OperationalError, match="no_such"):
            proxy.connect(dbname="no_such")
        with proxy.connect() as connection:
            connection.execute("SELECT 1")
    summary = replay(scratch / "recording", guarded.uri, "--speed", "max", "--record", scratch / "replay",
                     env=environment())
    assert (summary["sessions"], summary["sessions_not_admitted"], summary["sessions_failed"]) == (2, 1, 0)
    assert run_understudy("diff", scratch / "recording", scratch / "replay").returncode == 0


def test_a_password_that_production_refused_is_no_difference(guarded, scratch):
    """The server that asks for passwords is production here: the replay has none to give, and needs none."""
    with recorded(guarded.target, scratch / "recording") as proxy:
        with proxy.connect(user="bench", password=PASSWORDS["bench"]) as connection:
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            proxy.connect(user="bench", password="mistyped")
    uri = f"postgresql://postgres@{guarded.production.tcp}/postgres"
    replay(scratch / "recording", uri, "--speed", "max", "--record", scratch / "replayed", env=environment())
    for a, b in (("recording", "replayed"), ("replayed", "recording")):
        result = run_understudy("diff", scratch / a, scratch / b)
        assert result.returncode == 0 and result.stdout.startswith("Same: "), result.stdout + result.stderr
        assert "logins refused in production" in result.stdout and "are not repeated" in result.stdout
