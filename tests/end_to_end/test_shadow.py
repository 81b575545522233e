"""Mode shadow: are reads compared with another server's, differences found and told, and clients left alone?"""

import re
import signal
import threading

import psycopg
import pytest

from understudy_process import run_understudy
from waiting import await_condition, scaled

TABLE = "CREATE TABLE thing AS SELECT n, 'thing ' || n AS name FROM generate_series(1, 100) AS g (n)"


@pytest.fixture
def make_shadow_proxy(make_server, make_proxy):
    """make_shadow_proxy(): a proxy, its primary and its shadow, which hold the same."""
    def make(*arguments, **options):
        primary, shadow = make_server(), make_server()
        for one in (primary, shadow):
            one.execute(TABLE)
        proxy = make_proxy(primary.tcp, "--auth", "trust", "--health-user", "postgres", "--mode", "shadow",
                           "--shadow-backend", shadow.tcp, *arguments, **options)
        proxy.await_log(r" primary_found .*")
        return proxy, primary, shadow
    return make


def await_shadow(proxy, client):
    """Until the session's reads are compared."""
    def compared():
        before = proxy.counts()["shadow_compared"]
        client.execute("SELECT 1 AS waiting").fetchall()
        return proxy.counts()["shadow_compared"] > before
    await_condition(compared, "a read to be compared")


def differences(proxy):
    counts = proxy.counts()
    assert counts["shadow_compared"] == counts["shadow_equal"] + counts["shadow_different"]
    return counts["shadow_different"]


def test_equal_answers_are_equal(make_shadow_proxy):
    proxy, _, shadow = make_shadow_proxy()
    with proxy.connect() as client:
        client.execute("SET timezone = 'Asia/Tokyo'; SET my.a = 'b'")
        client.execute("SET timezone = 'Asia/Kathmandu'")
        await_shadow(proxy, client)
        for n in range(20):
            client.execute("SELECT name FROM thing WHERE n < %s", [n], prepare=True).fetchall()
            client.execute("SELECT '2026-01-01 00:00+00'::timestamptz::text").fetchall()
            client.execute("TABLE thing").fetchall()
            client.execute("INSERT INTO thing VALUES (0, 'not seen by the shadow'); DELETE FROM thing WHERE n = 0")
            with pytest.raises(psycopg.errors.DivisionByZero):
                client.execute("SELECT 1 / 0")
        with client.transaction():
            client.execute("SELECT count(*) FROM thing")
        await_condition(lambda: (now := proxy.counts())["shadow_compared"] + now["shadow_shed"] > 80, "comparisons")
        assert differences(proxy) == 0
    assert shadow.value("SELECT count(*) FROM thing") == 100


@pytest.mark.parametrize("statement, told", [
    ("SELECT name FROM thing WHERE name <> 'a secret' AND n <> 4711",
     ('primary="100 rows" shadow="100 rows"', "SELECT name FROM thing WHERE name < > ? AND n < > ?")),
    ("SELECT n FROM thing WHERE n = 3", ('primary="1 row" shadow="0 rows"', "SELECT n FROM thing WHERE n = ?")),
    ("SELECT only_there FROM thing", ('primary="error 42703" shadow="100 rows"', "SELECT only_there FROM thing"))])
def test_a_difference_is_counted_and_told_without_secrets(make_shadow_proxy, statement, told):
    proxy, _, shadow = make_shadow_proxy()
    shadow.execute("UPDATE thing SET n = 1003, name = 'changed' WHERE n = 3; ALTER TABLE thing ADD only_there int")
    with proxy.connect() as client:
        await_shadow(proxy, client)
        try:
            client.execute(statement).fetchall()
        except psycopg.Error:
            pass
        await_condition(lambda: differences(proxy) == 1, "the difference")
    line = re.search(r" shadow_differs .*", proxy.log()).group(0)
    assert all(text in line for text in told), line
    assert "secret" not in line and "4711" not in line


def test_rows_in_another_order_are_the_same(make_shadow_proxy):
    proxy, _, shadow = make_shadow_proxy()
    shadow.execute("CREATE TABLE other AS SELECT * FROM thing ORDER BY n DESC; DROP TABLE thing;"
                   " ALTER TABLE other RENAME TO thing")
    with proxy.connect() as client:
        await_shadow(proxy, client)
        before = proxy.counts()["shadow_equal"]
        client.execute("SELECT * FROM thing").fetchall()
        await_condition(lambda: proxy.counts()["shadow_equal"] > before, "the comparison")
        assert differences(proxy) == 0


def test_nobody_waits_for_a_shadow_that_is_silent_dead_or_full(make_shadow_proxy):
    proxy, _, shadow = make_shadow_proxy()
    with proxy.connect() as client:
        await_shadow(proxy, client)
        for pid in [row[0] for row in shadow.connect().execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name <> '' OR client_port > 0").fetchall()]:
            try:
                __import__("os").kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                pass
        before = proxy.counts()["shadow_shed"]
        for _ in range(500):
            assert len(client.execute("TABLE thing").fetchall()) == 100
        assert proxy.counts()["shadow_shed"] > before + 300
        shadow.stop(signal.SIGQUIT)
        for _ in range(50):
            assert len(client.execute("TABLE thing").fetchall()) == 100
        counts = proxy.counts()
        assert counts["shadow_shed"] > before + 450
        assert counts["shadow_different"] == 0
        shadow.start()
        await_shadow(proxy, client)


def test_many_clients_and_large_answers(make_shadow_proxy):
    proxy, _, _ = make_shadow_proxy()
    failures = []

    def read():
        try:
            with proxy.connect() as client:
                await_shadow(proxy, client)
                for n in range(scaled(60, 5)):
                    size = 1 << (n % 20)
                    assert len(client.execute(f"SELECT repeat('x', {size})").fetchone()[0]) == size
                    assert len(client.execute("SELECT * FROM generate_series(1, 3000)").fetchall()) == 3000
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert failures == []
    counts = proxy.counts()
    assert counts["shadow_different"] == 0 and counts["shadow_compared"] > 0


def test_the_shadow_is_a_session_of_its_own_in_the_recording(make_shadow_proxy, make_server, scratch):
    proxy, _, shadow = make_shadow_proxy(record=scratch / "record")
    with proxy.connect() as client:
        await_shadow(proxy, client)
        before = proxy.counts()["shadow_compared"]
        client.execute("SELECT name FROM thing WHERE n = 42").fetchall()
        await_condition(lambda: proxy.counts()["shadow_compared"] > before, "the shadow's answer")
    assert proxy.stop() == 0
    listed = run_understudy("show", scratch / "record").stdout
    number = re.search(r"^\s*(\S+) .*shadow of 1\b", listed, re.MULTILINE).group(1)
    shown = run_understudy("show", scratch / "record", "--session", number).stdout
    assert shadow.tcp in shown and "SELECT name FROM thing" in shown and "thing 42" in shown
    assert run_understudy("verify", scratch / "record").returncode == 0
    # A replay plays the client, and nobody's shadow.
    target = make_server()
    target.execute(TABLE)
    done = run_understudy("replay", scratch / "record", "--to", f"postgresql://postgres@{target.tcp}/postgres",
                          "--record", scratch / "again")
    assert done.returncode == 0, done.stderr
    assert "1 of 1" in done.stdout or "sessions" in done.stdout
    assert run_understudy("diff", scratch / "record", scratch / "again").returncode == 0


@pytest.mark.parametrize("arguments", [["--mode", "shadow"], ["--shadow-backend", "127.0.0.1:1"],
                                       ["--mode", "split"]])
def test_what_does_not_fit_is_refused_at_the_start(server, arguments):
    done = run_understudy("proxy", "--backend", server.tcp, *arguments)
    assert done.returncode != 0
    assert re.search(r"mode = \w+ needs", done.stderr), done.stderr
