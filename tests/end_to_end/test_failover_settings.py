"""Does a session find the settings again that its procedures and DO blocks have made, wherever its server is lost?"""

import pytest

from raw_session import RawSession, error_fields, query

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--commit-guard", "on", "--failover-timeout", "60s"]
WHO = "SELECT inet_server_port()"
SETUP = """
    CREATE ROLE clerk; CREATE ROLE teller LOGIN;
    CREATE PROCEDURE enter(who text) LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM set_config('app.who', who, false);
      EXECUTE 'SET app.quoted TO ''it''''s \\ ü''';
      SET LOCAL lock_timeout = '11s';
      SET timezone = 'Asia/Kathmandu';
      RESET work_mem;
    END $$;
    CREATE PROCEDURE raise_log() LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN SET log_min_duration_statement = '1h'; END $$;"""
STATE = ("SELECT current_user, " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in (
    "app.who", "app.quoted", "timezone", "lock_timeout", "work_mem", "search_path", "statement_timeout",
    "default_transaction_isolation", "application_name")))

SCRIPTS = {
    "called": ["SET work_mem = '5MB'", "SET statement_timeout = '77s'", "CALL enter('me')"],
    "done": ["DO $$BEGIN PERFORM set_config('search_path', '\"Odd\", public', false); SET app.who = 'done'; END$$",
             "SET application_name = 'afterwards'"],
    "in a transaction": ["BEGIN", "SET LOCAL timezone = 'UTC'", "CALL enter('it')",
                         "DO 'BEGIN SET statement_timeout = 88000; END'", "COMMIT"],
    "rolled back": ["SET app.who = 'kept'", "BEGIN", "DO 'BEGIN SET app.who = ''gone''; SET work_mem = 99; END'",
                    "ROLLBACK"],
    "failed": ["SET work_mem = '6MB'", "DO 'BEGIN SET work_mem = 99; PERFORM 1 / 0; END'"],
    "set again": ["CALL enter('me')", "SET timezone = 'Europe/Berlin'", "RESET app.who"],
    "role": ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
             "DO 'BEGIN SET log_statement = ''ddl''; SET ROLE clerk; END'"],
    "role left": ["SET ROLE clerk", "DO 'BEGIN RESET ROLE; SET default_transaction_isolation = ''read committed''; END'"],
    "discarded": ["CALL enter('me')", "DISCARD ALL"]}


def test_a_session_keeps_what_code_has_set(cluster, cluster_proxy):
    sessions = {}
    for name, script in SCRIPTS.items():
        client = sessions[name] = cluster_proxy.connect()
        for statement in script:
            if name == "failed" and "1 / 0" in statement:
                with pytest.raises(Exception, match="division by zero"):
                    client.execute(statement)
            else:
                client.execute(statement)
    before = {name: client.execute(STATE).fetchone() for name, client in sessions.items()}
    assert before["called"][1:6] == ("me", "it's \\ ü", "Asia/Kathmandu", "0", "4MB")
    assert before["role"][0] == "clerk"

    cluster.kill_primary()
    cluster.take_over()

    for name, client in sessions.items():
        assert client.execute(STATE).fetchone() == before[name], name
        assert client.execute(WHO).fetchone() == (cluster.primary.server.port,), name
        client.close()


@pytest.mark.parametrize("journal, survives", [("64KiB", False), ("1MiB", True)])
def test_a_transaction_is_replayed_up_to_the_size_that_is_configured(cluster, make_proxy, journal, survives):
    proxy = make_proxy(cluster.primary.address, "--backend", cluster.replicas[0].address, *OPTIONS,
                       "--transaction-journal", journal)
    proxy.await_log(" primary_found ")
    with RawSession(proxy.port) as client:
        client.ask("BEGIN")
        client.ask(f"SELECT length('{'x' * 100_000}')")
        cluster.kill_primary()
        cluster.take_over()
        client.send(query("SELECT 1"))
        errors = error_fields(client.until_ready())
        assert [error["C"] for error in errors] == ([] if survives else ["40001"])
        client.ask("ROLLBACK")
        client.ask(WHO)


def test_a_setting_that_its_user_may_not_make_ends_the_session_and_is_named(cluster, cluster_proxy):
    with cluster_proxy.connect(user="teller") as client:
        client.execute("CALL raise_log()")
        cluster.kill_primary()
        cluster.take_over()
        with pytest.raises(Exception, match='could not be moved(.|\n)*log_min_duration_statement'):
            client.execute("SELECT 1")
