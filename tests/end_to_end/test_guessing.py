"""Are those who guess passwords and tokens slowed down, and nobody else? And is what a proxy keeps bounded?"""

import concurrent.futures
import contextlib
import re
import socket

import psycopg
import pytest

from admin_port import Admin
from postgres_server import Server
from raw_session import startup
from waiting import await_condition, free_port

HBA = "local all all trust\nhost all postgres all trust\nhost all all all scram-sha-256\n"
SLOW = ["--auth-failures-allowed", "3", "--auth-failure-window", "10min", "--auth-failure-delay", "1s"]
TOKEN = "a-token-that-is-never-logged"


@pytest.fixture(scope="module")
def production(template):
    with Server(template, hba=HBA) as running:
        running.start().execute("CREATE ROLE ada LOGIN PASSWORD 'right'; CREATE ROLE bob LOGIN PASSWORD 'right'")
        yield running


@pytest.fixture(params=["relay", "file"])
def proxy(production, make_proxy, scratch, request):
    """Whoever judges: the server or the proxy."""
    (scratch / "users.txt").write_text('"ada" "right"\n"bob" "right"\n')
    own = ["--auth", "file", "--auth-file", scratch / "users.txt"] if request.param == "file" else []
    return make_proxy(production.tcp, *own, *SLOW, "--admin-listen", f":{free_port()}")


def guess(proxy, user="ada", password="wrong"):
    with pytest.raises(psycopg.OperationalError) as refused:
        proxy.connect(user=user, password=password)
    return str(refused.value)


def delayed(proxy):
    return int(Admin(proxy).metrics()["understudy_logins_delayed_total"])


def test_whoever_guesses_waits_with_the_right_password_too(proxy):
    for _ in range(4):
        assert "password authentication failed" in guess(proxy)
    assert delayed(proxy) == 0
    assert "password authentication failed" in guess(proxy)
    with proxy.connect(user="ada", password="right") as client:
        assert client.execute("SELECT current_user").fetchone() == ("ada",)
    assert delayed(proxy) == 2
    assert len(re.findall(" logins_slowed_down .*user=ada", proxy.log())) == 1
    # Nobody else is.
    with proxy.connect(user="bob", password="right"):
        assert delayed(proxy) == 2


def test_who_comes_from_elsewhere_is_not_delayed(proxy):
    for _ in range(5):
        guess(proxy)
    before = delayed(proxy)
    with socket.create_connection(("127.0.0.1", proxy.port), 30, ("127.0.0.2", 0)) as elsewhere:
        elsewhere.sendall(startup(user="ada", database="postgres"))
        assert elsewhere.recv(1) == b"R"
    assert delayed(proxy) == before


def test_guessing_many_times_at_once_is_no_faster(proxy):
    for _ in range(5):
        guess(proxy)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: guess(proxy), range(20)))
    # Two seconds' worth stand in line, at a distance of one; the others are turned away.
    turned_away = [answer for answer in answers if "too many failed logins" in answer]
    assert len(turned_away) >= 16
    assert int(Admin(proxy).metrics()["understudy_logins_turned_away_total"]) == len(turned_away)


def test_a_delayed_client_that_leaves_or_a_proxy_that_ends_is_no_trouble(proxy):
    for _ in range(5):
        guess(proxy)
    with proxy.raw() as leaving:
        leaving.sendall(startup(user="ada", database="postgres"))
        await_condition(lambda: delayed(proxy) >= 2, "it to wait")
    with proxy.raw() as waiting:
        waiting.sendall(startup(user="ada", database="postgres"))
        await_condition(lambda: delayed(proxy) >= 3, "it to wait")
        proxy.signal(15)
        assert b"C57P01" in waiting.recv(1000)
    assert proxy.wait() == 0


def tell(admin, token):
    return admin.request("POST", "/api/v1/resume", {"X-Understudy": "1", "Authorization": f"Bearer {token}"})


def guess_tokens(production, make_proxy, delay):
    """Five wrong ones; the next counts after `delay`."""
    admin = Admin(make_proxy(production.tcp, *SLOW, "--auth-failure-delay", delay, "--admin-listen", f":{free_port()}",
                             "--admin-token", TOKEN))
    for _ in range(5):
        assert tell(admin, "wrong")[0] == 401
    return admin


def test_after_wrong_tokens_the_right_one_does_not_count_either(production, make_proxy):
    admin = guess_tokens(production, make_proxy, "10min")
    status, headers, body = tell(admin, TOKEN)
    assert status == 429 and int(headers["Retry-After"]) >= 1 and "too many wrong tokens" in body
    # Without a token nothing is guessed, and reading needs none here.
    assert admin.request("POST", "/api/v1/resume", {"X-Understudy": "1"})[0] == 401
    assert admin.get("/metrics")[0] == 200
    assert "too many wrong tokens" in admin.ctl("resume", "--token", TOKEN).stderr


def test_wrong_tokens_only_slow_down_the_right_one(production, make_proxy):
    admin = guess_tokens(production, make_proxy, "1s")
    await_condition(lambda: tell(admin, TOKEN)[0] == 200, "the right token to count")
    assert int(admin.metrics()["understudy_admin_tokens_refused_total"]) == 5
    assert len(re.findall(" admin_tokens_slowed_down ", admin.proxy.log())) == 1
    # Database clients of the same address do not notice.
    with admin.proxy.connect():
        assert delayed(admin.proxy) == 0


# ---- Pools

def names_of(server):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada'")


@pytest.mark.parametrize("limit", ["--default-pool-size", "--max-db-connections", "--max-user-connections"])
def test_clients_of_many_names_do_not_keep_more_servers_than_allowed(production, make_proxy, scratch, limit):
    (scratch / "users.txt").write_text('"ada" "right"\n')
    proxy = make_proxy(production.tcp, "--auth", "file", "--auth-file", scratch / "users.txt", limit, "3")
    with contextlib.ExitStack() as stack:
        for number in range(10):
            with proxy.connect(user="ada", password="right", application_name=f"name {number}") as client:
                assert client.execute("SHOW application_name").fetchone() == (f"name {number}",)
            await_condition(lambda: names_of(production) <= 3, "no more servers than allowed")
        held = [stack.enter_context(proxy.connect(user="ada", password="right", application_name=f"held {number}"))
                for number in range(3)]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(proxy.connect, user="ada", password="right", application_name="late")
            held[1].close()
            with waiting.result(60) as late:
                assert late.execute("SHOW application_name").fetchone() == ("late",)
        await_condition(lambda: names_of(production) <= 3, "no more servers than allowed")
