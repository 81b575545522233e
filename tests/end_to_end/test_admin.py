"""The admin port and `understudy ctl`: what they tell, what they change, and what nobody else can make them do."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import threading
import time

import psycopg
import pytest

from admin_port import MARKED, Admin
from cluster import Cluster
from postgres_server import BIN
from raw_session import RawSession, error_fields, query, startup
from understudy_process import run_understudy
from waiting import await_condition, free_port, scaled

TOKEN = "a-token-that-is-never-logged"
READS = ["backends", "pools", "sessions", "failovers"]


@pytest.fixture
def make_admin(make_proxy):
    """make_admin(backend, *arguments): the admin port of a new proxy."""
    def make(backend, *arguments, **options):
        listen = [] if "--admin-listen" in arguments else ["--admin-listen", f":{free_port()}"]
        return Admin(make_proxy(backend, *listen, *arguments, **options))
    return make


def in_background(function):
    thread = threading.Thread(target=function, daemon=True)  # a test that fails does not wait for it
    thread.start()
    return thread


def answer_of(connection):
    """All that comes until the connection ends, which may be a reset."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            data += piece
    return data


# ---- What it tells

def test_without_the_key_there_is_no_admin_port(server, make_proxy):
    assert "admin" not in make_proxy(server.tcp).log()


def test_every_endpoint_of_a_proxy_with_one_backend(server, make_admin):
    admin = make_admin(server.tcp, "--auth", "trust")
    with admin.proxy.connect(application_name="shop") as client, admin.proxy.connect(autocommit=False) as other:
        client.execute("SELECT 1")
        other.execute("SELECT 1")
        assert admin.get("/healthz")[0::2] == (200, "ok\n")
        assert admin.get("/readyz")[0::2] == (200, "ready\n")
        [backend] = admin.read("backends")["backends"]
        assert (backend["backend"], backend["up"], backend["primary"]) == (server.tcp, True, True)
        pools = admin.read("pools")
        assert (pools["servers"], pools["idle"], pools["waiting"], pools["paused"]) == (2, 0, 0, False)
        assert {(pool["user"], pool["database"]) for pool in pools["pools"]} == {("postgres", "postgres")}
        one, two = admin.read("sessions")["sessions"]
        assert (one["user"], one["database"], one["application_name"]) == ("postgres", "postgres", "shop")
        assert (one["state"], one["in_transaction"], one["backend"]) == ("READY", False, server.tcp)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["since"])
        assert one["peer"].startswith("127.0.0.1:")
        assert (two["state"], two["in_transaction"]) == ("READY", True)
        client.execute("SET application_name = 'changed'")
        assert admin.read("sessions")["sessions"][0]["application_name"] == "changed"
        assert admin.read("failovers") == {"failovers": [], "restarts": []}
        status, headers, _ = admin.get("/metrics")
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        metrics = admin.metrics()
        assert metrics["understudy_sessions_open"] == "2"
        assert metrics["understudy_sessions_opened_total"] == "2"
        assert metrics["understudy_sessions_busy"] == "1"
        assert metrics["understudy_pool_servers"] == "2"
        assert metrics[f'understudy_backend_up{{backend="{server.tcp}"}}'] == "1"
        assert int(metrics["process_resident_memory_bytes"]) > 1_000_000
        assert float(metrics["process_cpu_seconds_total"]) > 0
        assert abs(float(metrics["process_start_time_seconds"]) - time.time()) < 120


def test_sessions_are_named_where_logins_are_relayed_too(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect(application_name="relayed"):
        [session] = admin.read("sessions")["sessions"]
        assert (session["user"], session["application_name"], session["state"]) == ("postgres", "relayed", "READY")
    with admin.proxy.raw():
        await_condition(lambda: [one["state"] for one in admin.read("sessions")["sessions"]] == ["STARTUP"],
                        "a session that has said nothing")


def test_a_request_is_measured_from_its_first_byte_to_its_last_answer(server, make_admin):
    admin = make_admin(server.tcp)
    count, total = "understudy_request_seconds_count", "understudy_request_seconds_sum"
    with RawSession(admin.proxy.port) as client:
        before = admin.metrics()
        client.send(query("SELECT pg_sleep(0.3)"))
        client.until_ready()
        after = admin.metrics()
        assert int(after[count]) - int(before[count]) == 1
        assert 0.3 <= float(after[total]) - float(before[total]) < 5
        assert int(after['understudy_request_seconds_bucket{le="0.25"}']) == int(
            before['understudy_request_seconds_bucket{le="0.25"}'])
        whole = query("SELECT 1")
        client.send(whole[:3])  # not even a header
        time.sleep(0.3)
        client.send(whole[3:])
        client.until_ready()
        client.send(query("BEGIN") + query("SELECT 1") + query("COMMIT"))  # one burst, answered together
        for _ in range(3):
            client.until_ready()
        late = admin.metrics()
        assert 2 <= int(late[count]) - int(after[count]) <= 4  # bursts may be cut anywhere
        assert 0.3 <= float(late[total]) - float(after[total]) < 5


def test_no_ready_proxy_without_a_primary(make_admin):
    one, two = free_port(), free_port()
    admin = make_admin(f"127.0.0.1:{one}", "--backend", f"127.0.0.1:{two}", "--auth", "trust")
    await_condition(lambda: "down" in admin.get("/readyz")[2], "the backends to be found down")
    status, _, reason = admin.get("/readyz")
    assert status == 503
    assert reason.startswith("no primary: ") and f"127.0.0.1:{two}" in reason
    assert admin.get("/healthz")[0] == 200
    told = admin.ctl("status")
    assert told.returncode == 1
    assert "no primary" in told.stdout and f"127.0.0.1:{one}  down" in told.stdout


def test_a_draining_proxy_is_not_ready(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect(autocommit=False) as client:
        client.execute("SELECT 1")
        admin.proxy.signal(15)
        await_condition(lambda: admin.get("/readyz")[0::2] == (503, "draining\n"), "readyz to say so")
        assert admin.get("/healthz")[0] == 200
        assert admin.metrics()["understudy_draining"] == "1"
        client.commit()
    assert admin.proxy.wait() == 0


def test_many_sessions_on_several_workers_are_all_listed(server, make_admin):
    admin = make_admin(server.tcp, "--workers", "3")
    with contextlib.ExitStack() as stack:
        for number in range(60):
            stack.enter_context(admin.proxy.connect(application_name=f"client {number}"))
        sessions = admin.read("sessions")["sessions"]
        assert {session["application_name"] for session in sessions} == {f"client {n}" for n in range(60)}
        assert len({session["worker"] for session in sessions}) == 3


def test_names_that_are_not_utf8_are_told_as_json(server, make_admin):
    admin = make_admin(server.tcp)
    with RawSession(admin.proxy.port, login=False) as client:
        packet = startup(user="postgres", application_name="x")
        client.send(packet.replace(b"application_name\0x", b"application_name\0\xff"))
        client.until_ready()
        [session] = admin.read("sessions")["sessions"]
        assert session["number"] == 1


# ---- A primary and a replica

@pytest.fixture(scope="module")
def cluster(template):
    with Cluster(template, replicas=1, synchronous=False) as servers:
        yield servers


def test_a_failover_is_told(cluster, make_admin):
    cluster.restore()
    first, second = cluster.primary, cluster.replicas[0]
    admin = make_admin(first.address, "--backend", second.address, "--auth", "trust", "--health-user", "postgres")
    await_condition(lambda: admin.get("/readyz")[0] == 200, "a primary")
    await_condition(lambda: [one["role"] for one in admin.read("backends")["backends"]] == ["primary", "replica"],
                    "both backends")
    series = f'understudy_backend_role{{backend="{second.address}",role="replica"}}'
    assert admin.metrics()[series] == "1"
    with admin.proxy.connect() as client, admin.proxy.connect() as other:
        client.execute("SELECT 1")
        other.execute("SELECT 1")
        cluster.kill_primary()
        await_condition(lambda: admin.get("/readyz")[0] == 503, "no primary")
        cluster.take_over(second)
        port = client.execute("SELECT inet_server_port()").fetchone()
        assert port == other.execute("SELECT inet_server_port()").fetchone() == (second.server.port,)
        [event] = admin.read("failovers")["failovers"]
        assert (event["from"], event["to"]) == (first.address, second.address)
        assert event["timeline"] == 2
        assert event["sessions_moved"] == 2
        assert event["without_primary_seconds"] > 0
        metrics = admin.metrics()
        assert metrics["understudy_failovers_total"] == "1" and metrics["understudy_restarts_total"] == "0"
        assert metrics["understudy_sessions_moved_total"] == "2"
        assert metrics[f'understudy_backend_timeline{{backend="{second.address}"}}'] == "2"
        assert metrics[f'understudy_backend_up{{backend="{first.address}"}}'] == "0"
        assert {one["backend"] for one in admin.read("sessions")["sessions"]} == {second.address}
        told = admin.ctl("status").stdout
        assert f"{first.address} -> {second.address}" in told and "2 sessions moved" in told


def test_a_restart_of_the_primary_is_no_failover(cluster, make_admin):
    cluster.restore()
    primary = cluster.primary
    admin = make_admin(primary.address, "--backend", cluster.replicas[0].address, "--auth", "trust", "--health-user",
                       "postgres")
    await_condition(lambda: admin.get("/readyz")[0] == 200, "a primary")
    primary.server.stop()
    await_condition(lambda: admin.get("/readyz")[0] == 503, "no primary")
    primary.server.start()
    await_condition(lambda: admin.get("/readyz")[0] == 200, "the primary again")
    told = admin.read("failovers")
    assert told["failovers"] == []
    assert [(one["from"], one["to"]) for one in told["restarts"]] == [(primary.address, primary.address)]
    metrics = admin.metrics()
    assert (metrics["understudy_failovers_total"], metrics["understudy_restarts_total"]) == ("0", "1")
    status = admin.ctl("status").stdout
    assert f"failovers: none\nrestarts: 1\n  {told['restarts'][0]['time']}  {primary.address}" in status


def test_a_planned_switchover_behind_a_pause_is_seen_by_nobody(cluster, make_admin):
    cluster.restore()
    old, new = cluster.primary, cluster.replicas[0]
    admin = make_admin(old.address, "--backend", new.address, "--auth", "trust", "--health-user", "postgres")
    await_condition(lambda: admin.get("/readyz")[0] == 200, "a primary")
    with admin.proxy.connect() as client:
        client.execute("SELECT 1")
        assert admin.post("pause") == (200, {"paused": True, "quiet": True, "busy": 0})
        answered = []
        waiting = in_background(lambda: answered.append(client.execute("SELECT inet_server_port()").fetchone()[0]))
        try:
            cluster.switchover(new)
            assert answered == []
        finally:
            assert admin.post("resume")[0] == 200
        waiting.join()
        assert answered == [new.server.port]


# ---- Pause and resume

def test_a_paused_session_waits_and_goes_on(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect() as client:
        client.execute("SELECT 1")
        assert admin.post("pause") == (200, {"paused": True, "quiet": True, "busy": 0})
        answered = threading.Event()
        asking = in_background(lambda: (client.execute("SELECT 1"), answered.set()))
        assert not answered.wait(0.7)
        assert server.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                            " AND application_name <> 'understudy health check'") == 1  # who asks this
        assert admin.post("resume") == (200, {"paused": False, "quiet": False, "busy": 0})
        asking.join()
        assert answered.is_set()


def test_an_open_session_that_asks_while_paused_is_counted_as_waiting(server, make_admin):
    admin = make_admin(server.tcp)
    with RawSession(admin.proxy.port) as client, RawSession(admin.proxy.port):
        assert admin.post("pause")[0] == 200
        assert admin.metrics()["understudy_clients_waiting"] == "0"
        client.send(query("SELECT 1"))
        await_condition(lambda: admin.metrics()["understudy_clients_waiting"] == "1", "the request to be seen")
        assert admin.read("pools")["waiting"] == 1
        assert sorted(session["waiting"] for session in admin.read("sessions")["sessions"]) == [False, True]
        assert "waiting for a resume" in admin.ctl("status").stdout
        admin.post("resume")
        client.until_ready()
        assert admin.metrics()["understudy_clients_waiting"] == "0"


def test_a_pause_waits_for_transactions_and_they_can_end(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect(autocommit=False) as client:
        client.execute("SELECT 1")
        assert admin.post("pause?timeout=200ms") == (202, {"paused": True, "quiet": False, "busy": 1})
        answers = []
        pausing = in_background(lambda: answers.append(admin.post("pause?timeout=60s")))
        assert client.execute("SELECT 2").fetchone() == (2,)  # goes on while the pause waits for it
        time.sleep(0.3)
        assert answers == []
        client.commit()
        pausing.join()
        assert answers == [(200, {"paused": True, "quiet": True, "busy": 0})]
        assert admin.post("resume")[0] == 200
        client.execute("SELECT 1")


def test_a_running_statement_is_waited_for(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect() as client:
        running = in_background(lambda: client.execute("SELECT pg_sleep(1)"))
        await_condition(lambda: admin.metrics()["understudy_sessions_busy"] == "1", "the statement to run")
        assert admin.post("pause")[0] == 200
        assert not server.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                                " AND state = 'active'")
        running.join()
        admin.post("resume")


def test_a_resume_ends_whoever_waits_for_a_pause(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect(autocommit=False) as client:
        client.execute("SELECT 1")
        answers = []
        pausing = [in_background(lambda: answers.append(admin.post("pause?timeout=5min")[0])) for _ in range(2)]
        await_condition(lambda: admin.metrics()["understudy_paused"] == "1", "the pause")
        time.sleep(0.3)
        for _ in range(20):  # more than there are threads: they do not wait
            assert admin.post("pause?timeout=5min")[0] == 202
        assert admin.post("resume")[0] == 200
        for thread in pausing:
            thread.join(30)
        assert answers == [409, 409]


@pytest.mark.parametrize("auth", ["relay", "trust"])
def test_new_clients_wait_before_they_get_a_server(server, make_admin, auth):
    admin = make_admin(server.tcp, "--auth", auth)
    admin.post("pause")
    came = []
    arriving = [in_background(lambda: came.append(admin.proxy.connect())) for _ in range(5)]
    await_condition(lambda: admin.read("pools")["waiting"] == 5, "five clients to wait")
    assert admin.metrics()["understudy_clients_waiting"] == "5"
    assert [session["waiting"] for session in admin.read("sessions")["sessions"]] == [True] * 5
    assert [session["backend"] for session in admin.read("sessions")["sessions"]] == [""] * 5
    assert "5 clients waiting" in admin.ctl("status").stdout
    assert came == []
    with admin.proxy.raw() as gone:
        gone.sendall(startup(user="postgres"))
        await_condition(lambda: admin.read("pools")["waiting"] == 6, "another")
    await_condition(lambda: admin.read("pools")["waiting"] == 5, "its leaving to be noticed")
    admin.post("resume")
    for thread in arriving:
        thread.join()
    for client in came:
        assert client.execute("SELECT 1").fetchone() == (1,)
        client.close()
    assert admin.read("pools")["waiting"] == 0


def test_a_new_client_waits_no_longer_than_query_wait_timeout(server, make_admin):
    admin = make_admin(server.tcp, "--query-wait-timeout", "300ms", "--client-login-timeout", "60s")
    admin.post("pause")
    with pytest.raises(psycopg.OperationalError, match="the proxy is paused"):
        admin.proxy.connect()


def test_a_pause_is_not_the_clients_silence(server, make_admin):
    admin = make_admin(server.tcp, "--client-idle-timeout", "700ms", "--client-login-timeout", "700ms")
    with admin.proxy.connect() as client:
        admin.post("pause")
        new = in_background(lambda: admin.proxy.connect().close())
        asking = in_background(lambda: client.execute("SELECT 1"))
        time.sleep(1.5)
        admin.post("resume")
        asking.join()
        new.join()
        assert admin.metrics()["understudy_idle_timeouts_total"] == "0"
        assert admin.metrics()["understudy_login_timeouts_total"] == "0"


def test_a_paused_proxy_can_be_ended(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect() as client, RawSession(admin.proxy.port, login=False) as waiting:
        client.execute("SELECT 1")
        admin.post("pause")
        waiting.send(startup(user="postgres"))
        await_condition(lambda: admin.read("pools")["waiting"] == 1, "a client to wait")
        admin.proxy.signal(15)
        assert admin.proxy.wait() == 0
        assert error_fields([waiting.next()])[0]["C"] == "57P01"


def test_a_proxy_ends_while_somebody_waits_for_a_pause(server, make_admin):
    admin = make_admin(server.tcp)
    with contextlib.closing(admin.proxy.connect(autocommit=False)) as client:
        client.execute("SELECT 1")
        connection = admin.raw(b"POST /api/v1/pause?timeout=5min HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                               b"Content-Length: 0\r\n\r\n")
        await_condition(lambda: admin.metrics()["understudy_paused"] == "1", "the pause")
        admin.proxy.signal(15)
        admin.proxy.await_log("draining")
        admin.proxy.signal(15)
        assert admin.proxy.wait() == 0
        connection.close()


# As TPC-B, but says in pgbench_history which client it is.
TRANSACTION = """
\\set bid random(1, 2)
BEGIN;
UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = :bid;
SELECT bbalance FROM pgbench_branches WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:client_id, :bid, 1, 1, CURRENT_TIMESTAMP);
END;
"""


ALL_ACTIVITY = ("SELECT string_agg(concat_ws(' ', application_name, state, wait_event, left(query, 40)), E'\\n')"
                " FROM pg_stat_activity")


def test_pgbench_notices_pauses_only_by_their_length(server, make_admin, scratch):
    admin = make_admin(server.tcp, "--auth", "trust", "--workers", "2")
    environment = {**admin.proxy.environment, "PGAPPNAME": "pgbench"}
    subprocess.run([BIN / "pgbench", "-i", "-q", "-s", "2"], env=environment, check=True, capture_output=True)
    (scratch / "transaction.sql").write_text(TRANSACTION)
    load = subprocess.Popen([BIN / "pgbench", "-n", "-c", "8", "-j", "2", "-M", "prepared", "-T", str(scaled(8, 3)), "-f",
                             scratch / "transaction.sql"],
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    churn = subprocess.Popen([BIN / "pgbench", "-n", "-C", "-S", "-c", "2", "-T", str(scaled(8, 3))],
                             env={**environment, "PGAPPNAME": "churn"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # A thread of it prepares one client's statements while another has a transaction open: until all have done so,
    # a pause might not end.
    begun = ("SELECT (SELECT count(DISTINCT tid) FROM pgbench_history) = 8"
             " AND (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench') = 8")
    await_condition(lambda: server.value(begun), "every client's first")
    pauses = 0
    while load.poll() is None and churn.poll() is None:
        status, told = admin.post("pause?timeout=20s")
        assert (status, told["quiet"]) == (200, True), f"{server.value(ALL_ACTIVITY)}\n{admin.read('sessions')}"
        active = ("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'"
                  " AND (state <> 'idle' OR xact_start IS NOT NULL)")
        assert server.value(active) == 0
        history = server.value("SELECT count(*) FROM pgbench_history")
        time.sleep(0.1)
        assert server.value("SELECT count(*) FROM pgbench_history") == history
        assert server.value(active) == 0
        assert admin.post("resume")[0] == 200
        pauses += 1
        time.sleep(0.05)
    for process in (load, churn):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        assert "failed transactions: 0 " in output
    assert pauses > 3
    assert float(admin.metrics()["understudy_request_seconds_count"]) > 100


def test_psql_is_held_by_a_pause(server, make_admin):
    admin = make_admin(server.tcp)
    assert admin.ctl("pause").stdout == "paused\n"
    psql = subprocess.Popen(["psql", "-AXtc", "SELECT 1"], env=admin.proxy.environment, stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        psql.wait(0.7)
    assert admin.ctl("resume").stdout == "resumed\n"
    assert psql.communicate(timeout=30)[0] == "1\n"


# ---- Reload

def test_reload_says_what_came_of_it(server, make_admin, scratch):
    path = scratch / "understudy.ini"
    path.write_text("[understudy]\nmax_client_conn = 10\n", encoding="utf-8")
    admin = make_admin(server.tcp, "--config", str(path))
    path.write_text("[understudy]\nmax_client_conn = 1\nworkers = 7\n", encoding="utf-8")
    assert admin.post("reload") == (200, {"reloaded": True, "restart_needed": ["workers"]})
    with admin.proxy.connect():
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            admin.proxy.connect()
    path.write_text("[understudy]\nmax_client_conn = many\n", encoding="utf-8")
    status, told = admin.post("reload")
    assert status == 409 and "understudy.ini:2" in told["error"]
    refused = admin.ctl("reload")
    assert refused.returncode == 1 and "understudy.ini:2" in refused.stderr
    path.write_text("[understudy]\nmax_client_conn = 5\n", encoding="utf-8")
    assert admin.ctl("reload").stdout == "reloaded\n"


def test_without_a_configuration_file_a_reload_rereads_what_the_command_line_names(server, make_admin, scratch):
    (scratch / "users.txt").write_text('"ada" "of ada"\n')
    admin = make_admin(server.tcp, "--auth", "file", "--auth-file", scratch / "users.txt")
    assert admin.post("reload") == (200, {"reloaded": True, "restart_needed": []})
    (scratch / "users.txt").write_text("bob without quotes\n")
    status, told = admin.post("reload")
    assert status == 409 and "users.txt:1" in told["error"]


# ---- Who may

def test_others_than_this_machine_need_a_token(server, scratch):
    refused = run_understudy("proxy", "--backend", server.tcp, "--listen", f":{free_port()}",
                             "--admin-listen", f"0.0.0.0:{free_port()}")
    assert refused.returncode == 1
    assert "admin_token" in refused.stderr and "started" not in refused.stderr


def test_where_others_connect_only_probes_need_no_token(server, make_admin):
    admin = make_admin(server.tcp, "--admin-listen", f"0.0.0.0:{free_port()}", "--admin-token", TOKEN)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert admin.get(path, Host="proxy.internal")[0] == 200
    for name in READS:
        status, headers, _ = admin.get(f"/api/v1/{name}")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert admin.get(f"/api/v1/{name}", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert admin.ctl("status").returncode == 1
    assert admin.ctl("status", "--token", TOKEN).returncode == 0


def test_writes_need_the_token_and_it_is_never_logged(server, make_admin, monkeypatch, scratch):
    path = scratch / "understudy.ini"
    path.write_text(f"[understudy]\nadmin_token = {TOKEN}\nlog_level = debug\n", encoding="utf-8")
    admin = make_admin(server.tcp, "--config", str(path))
    guess = "a-token-that-is-wrong"
    for shown in ("", guess, TOKEN[:-1], TOKEN + "x"):
        assert admin.post("pause", {"Authorization": f"Bearer {shown}"})[0] == 401
    assert admin.metrics()["understudy_paused"] == "0"
    assert admin.post("pause", {"Authorization": f"Bearer {TOKEN}"})[0] == 200
    wrong = admin.ctl("resume", "--token", guess)
    assert wrong.returncode == 1 and "401" in wrong.stderr
    monkeypatch.setenv("UNDERSTUDY_ADMIN_TOKEN", TOKEN)
    assert admin.ctl("resume").returncode == 0
    path.write_text("[understudy]\nadmin_token = another\nlog_level = debug\n", encoding="utf-8")
    assert admin.post("reload", {"Authorization": f"Bearer {TOKEN}"})[1]["restart_needed"] == ["admin_token"]
    admin.proxy.stop()
    assert "admin_refused" in admin.proxy.log()
    assert TOKEN not in admin.proxy.log() and guess not in admin.proxy.log() and "another" not in admin.proxy.log()


def test_the_token_can_be_in_the_environment(server, make_admin, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_ADMIN_TOKEN", TOKEN)
    admin = make_admin(server.tcp)
    assert admin.post("pause")[0] == 401
    assert admin.ctl("pause").returncode == 0
    monkeypatch.setenv("UNDERSTUDY_ADMIN_TOKEN", "two words")
    refused = run_understudy("proxy", "--backend", server.tcp, "--admin-listen", f":{free_port()}")
    assert refused.returncode != 0 and "UNDERSTUDY_ADMIN_TOKEN" in refused.stderr
    assert "two words" not in refused.stderr


def test_a_page_of_another_site_changes_nothing_and_reads_nothing(server, make_admin):
    admin = make_admin(server.tcp)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    crossing = [
        ({**MARKED, "Origin": "https://evil.example"}, 403),
        ({**MARKED, "Origin": "null"}, 403),
        ({**MARKED, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**MARKED, "Sec-Fetch-Site": "same-site"}, 403),
        (form, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({}, 415),
        ({**MARKED, "Host": "evil.example"}, 421),
        ({**MARKED, "Host": f"rebound.example:{admin.port}"}, 421),
    ]
    for headers, expected in crossing:
        for name in ("pause", "resume", "reload", "move"):
            status, told, _ = admin.request("POST", f"/api/v1/{name}", headers, body="a=b")
            assert status == expected, headers
            assert not [header for header in told if header.lower().startswith("access-control")]
    for name in ("pause", "resume", "reload", "move"):
        status, told, _ = admin.request("OPTIONS", f"/api/v1/{name}", {"Origin": "https://evil.example"})
        assert (status, told["Allow"]) == (405, "POST")
    for path in ("/healthz", "/readyz", "/metrics", "/api/v1/sessions"):
        assert admin.get(path, Host="evil.example")[0] == 421
    assert admin.metrics()["understudy_paused"] == "0"
    status, _, _ = admin.request("POST", "/api/v1/pause", {"Content-Type": "application/json"}, body="{}")
    assert status == 200


def test_other_paths_and_methods(server, make_admin):
    admin = make_admin(server.tcp)
    for path in ("/", "/favicon.ico", "/api/v1/", "/api/v1/sessions/1", "/metrics/", "/../metrics"):
        assert admin.get(path)[0] == 404
    for method in ("POST", "PUT", "DELETE", "HEAD", "TRACE", "BREW"):
        status, headers, _ = admin.request(method, "/metrics")
        assert (status, headers["Allow"]) == (405, "GET")
    status, headers, _ = admin.get("/api/v1/pause")
    assert (status, headers["Allow"]) == (405, "POST")
    assert admin.post("pause?timeout=soon")[0] == 400
    assert admin.post("pause?timeout=1h")[0] == 400
    assert admin.post("pause?tiemout=1s") == (400, {"error": 'there is no parameter "tiemout"; known here: timeout'})
    assert admin.metrics()["understudy_paused"] == "0"


# ---- Hostile HTTP

HOSTILE = {
    "nothing at all": b"\r\n\r\n",
    "garbage": bytes(range(256)) * 20,
    "a PostgreSQL start-up packet": startup(user="postgres"),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "an endless method": b"G" * 100_000,
    "an endless path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an endless header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "too many headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "long headers": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                     + b"".join(b"X%d: %s\r\n" % (n, b"a" * 8000) for n in range(50)) + b"\r\n"),
    "folded for ever": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n" + b" a\r\n" * 100_000 + b"\r\n",
    "zero bytes": b"GET /\0healthz HTTP/1.1\r\nHost: localhost\0\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "a length that is none": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                              b"Content-Length: many\r\n\r\n"),
    "a negative length": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                          b"Content-Length: -1\r\n\r\n" + b"x" * 10_000),
    "a body too long": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                        b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000),
    "a lying length": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                       b"Content-Length: 99999999999999\r\n\r\n" + b"x" * 10_000),
    "chunks for ever": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 0x400 + b"\r\n"
                        + b"400\r\n" + b"x" * 0x400 + b"\r\n" + b"ffffffff\r\n" + b"x" * 10_000),
    "a body too short": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                         b"Content-Length: 10\r\n\r\nx"),
    "two lengths": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "chunks of no length": (b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n\r\n"),
}


@pytest.fixture(scope="module")
def attacked(server):
    """One proxy for all of them: what one leaves behind the next would meet."""
    from understudy_process import Proxy
    with Proxy(server.tcp, "--admin-listen", f":{free_port()}") as proxy:
        yield Admin(proxy)
        assert proxy.stop() == 0
        assert "Sanitizer" not in proxy.log() and "runtime error:" not in proxy.log()


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_requests_come_to_nothing(attacked, what):
    with attacked.raw() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(HOSTILE[what])
        answer = answer_of(connection)
    if answer:
        assert re.match(rb"HTTP/1\.[01] (4\d\d|5\d\d) ", answer), answer[:200]
    assert attacked.metrics()["understudy_paused"] == "0"
    assert attacked.get("/healthz")[0] == 200


def test_slow_clients_hold_nothing(attacked):
    """More of them than there are threads and places in the queue; each sends a byte now and then."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
    slow = [attacked.raw() for _ in range(60)]
    begun = time.monotonic()
    stop = threading.Event()

    def trickle():
        at = 0
        while not stop.wait(0.5):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.sendall(head[at:at + 1] or b"x")
            at += 1

    trickling = in_background(trickle)
    try:
        # All are gone in a few rounds of the time a request may take.
        def answered():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return attacked.request("GET", "/healthz", timeout_s=1)[0] == 200
        await_condition(answered, "an answer between slow clients", 60)
        assert time.monotonic() - begun < 30
    finally:
        stop.set()
        trickling.join()
        for connection in slow:
            connection.close()
    assert attacked.get("/healthz")[0] == 200


def test_a_client_that_does_not_read_is_let_go(server, make_admin):
    admin = make_admin(server.tcp)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = socket.socket()
            stack.enter_context(contextlib.closing(connection))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect((admin.host, admin.port))
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert admin.get("/healthz")[0] == 200


def test_the_proxys_clients_do_not_notice_the_attack(attacked):
    with attacked.proxy.connect() as client:
        connections = [attacked.raw(b"GET") for _ in range(100)]
        for _ in range(100):
            client.execute("SELECT 1")
        for connection in connections:
            connection.close()
    await_condition(lambda: attacked.get("/healthz")[0] == 200, "the port to be free again")


# ---- ctl

def test_ctl_tells_a_status(server, make_admin):
    admin = make_admin(server.tcp, "--auth", "trust")
    with admin.proxy.connect() as client:
        client.execute("SELECT 1")
        told = admin.ctl("status")
        assert told.returncode == 0
        assert told.stdout.startswith("ready\n")
        assert f"{server.tcp}  up  primary" in told.stdout
        assert "sessions: 1 (1 READY)" in told.stdout and "failovers: none\nrestarts: none" in told.stdout
        as_json = json.loads(admin.ctl("status", "--json").stdout)
        assert as_json["ready"] is True and as_json["sessions"] == {"total": 1, "by_state": {"READY": 1}}
        assert json.loads(admin.ctl("pause", "--json").stdout) == {"paused": True, "quiet": True, "busy": 0}


@pytest.mark.parametrize("host", ["[::1]", "localhost"])
def test_ctl_finds_the_port_by_other_names(server, make_admin, host):
    port = free_port()
    make_admin(server.tcp, "--admin-listen", f"{host}:{port}")
    assert run_understudy("ctl", "status", "--admin", f"{host}:{port}").returncode == 0


def test_ctl_exit_codes(server, make_admin):
    admin = make_admin(server.tcp)
    with admin.proxy.connect(autocommit=False) as client:
        client.execute("SELECT 1")
        late = admin.ctl("pause", "--timeout", "200ms")
        assert (late.returncode, late.stdout) == (1, "paused, but 1 session is not quiet yet\n")
    assert run_understudy("ctl", "status", "--admin", f"127.0.0.1:{free_port()}").returncode == 3
    assert run_understudy("ctl", "status", "--admin", server.tcp).returncode == 3  # it speaks, but not HTTP
    for bad in (["ctl"], ["ctl", "mov"], ["ctl", "pause", "--promote"], ["ctl", "status", "pause"], ["ctl", "status", "--timeout", "soon"],
                ["ctl", "status", "--admin", "a:b:c"], ["ctl", "status", "--unknown"], ["ctl", "status", "--admin", "/tmp"]):
        refused = run_understudy(*bad)
        assert refused.returncode == 2, bad
        assert "understudy ctl --help" in refused.stderr
    shown = run_understudy("ctl", "--help")
    assert shown.returncode == 0 and "Exit codes:" in shown.stdout
