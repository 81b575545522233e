"""Does the admin port tell the truth of a backend that is the only one?"""

import signal

import psycopg
import pytest

from admin_port import Admin
from waiting import await_condition, free_port

PASSWORDS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def make_admin(make_proxy, server, *arguments):
    return Admin(make_proxy(server.tcp, "--admin-listen", f":{free_port()}", *arguments))


def await_readiness(admin, status):
    await_condition(lambda: admin.get("/readyz")[0] == status, f"/readyz to answer {status}")


def told(admin):
    """Up and role, as JSON and metrics have it; and whether `ctl status` is content."""
    [backend] = admin.read("backends")["backends"]
    metrics = admin.metrics()
    name = f'backend="{backend["backend"]}"'
    assert metrics[f"understudy_backend_up{{{name}}}"] == str(int(backend["up"]))
    assert metrics[f'understudy_backend_role{{{name},role="{backend["role"]}"}}'] == "1"
    return backend["up"], backend["role"], admin.ctl("status").returncode


def test_one_that_is_gone_is_not_ready_until_it_is_back(make_server, make_proxy):
    server = make_server()
    admin = make_admin(make_proxy, server)
    admin.proxy.await_log(" backend_up ")
    await_condition(lambda: told(admin) == (True, "primary", 0), "the backend to be seen")
    assert admin.get("/readyz")[0] == 200
    server.stop(signal.SIGQUIT)
    await_readiness(admin, 503)
    assert f"{server.tcp} down" in admin.get("/readyz")[2]
    up, role, status = told(admin)
    assert (up, role) == (False, "unknown") and status != 0
    server.start()
    await_readiness(admin, 200)
    assert told(admin) == (True, "primary", 0)
    admin.proxy.connect().close()


@pytest.mark.parametrize("hba, health_user", [(None, "nobody"), (PASSWORDS, "postgres")])
def test_one_that_turns_the_health_check_away_is_there(make_server, make_proxy, hba, health_user):
    server = make_server(hba=hba)
    admin = make_admin(make_proxy, server, "--health-user", health_user)
    admin.proxy.await_log(" health_check_turned_away ")
    assert told(admin) == (True, "unknown", 0)
    assert admin.get("/readyz")[0] == 200
    server.stop(signal.SIGQUIT)
    with pytest.raises(psycopg.OperationalError):
        admin.proxy.connect()  # a session that fails is a reason to look
    await_readiness(admin, 503)
