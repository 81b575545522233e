"""Does the proxy go by Patroni, and stay upright when Patroni, or whatever answers in its place, does not?"""

import contextlib
import http.server
import json
import re
import socket
import ssl
import threading
import urllib.request

import pytest

from certificates import Authority
from ledger import Ledger
from patroni_cluster import PatroniCluster
from understudy_process import run_understudy
from waiting import await_condition, free_port

GUARDED = ["--auth", "trust", "--commit-guard", "on", "--failover-timeout", "60s"]


# ---- A cluster of its own

def test_under_load_a_switchover_and_the_loss_of_the_primary_are_no_errors(make_proxy):
    """Members come and go meanwhile, and nobody told the proxy where PostgreSQL is."""
    with PatroniCluster() as cluster:
        first, standby = cluster.leader, cluster.sync_standby()
        proxy = make_proxy(None, "--patroni", cluster.endpoints, *GUARDED)
        assert first.address in proxy.await_log(" primary_found .*").group(0)
        with Ledger(proxy.connect, first.connect(), clients=6) as ledger:
            await_condition(lambda: ledger.acknowledged() > 20, "some commits")
            cluster.switchover(standby)
            second = cluster.await_leader(first)
            proxy.await_log(f" primary_found backend={second.address}")
            cluster.await_whole()

            before = ledger.acknowledged()
            await_condition(lambda: ledger.acknowledged() > before + 20, "commits at the second leader")
            second.kill()
            third = cluster.await_leader(second)
            proxy.await_log(f" primary_found backend={third.address}")
            before = ledger.acknowledged()
            await_condition(lambda: ledger.acknowledged() > before + 20, "commits at the third leader")
            # Its lock and its membership expire; when it comes back it is a replica.
            proxy.await_log(f" backend_removed backend={second.address}")
            second.start()
            await_condition(lambda: re.search(f" backend_added .*{second.address}[^$]* backend_up .*{second.address} "
                                              "role=replica", proxy.log(), re.DOTALL), lambda: proxy.log())
        report = ledger.check(cluster.leader.connect())
        assert report.is_clean, report.problems()
        assert report.acknowledged > 60


def test_patroni_that_wants_certificates_is_shown_one(make_proxy, scratch):
    authority = Authority(scratch)
    ours = authority.issue("proxy")
    with PatroniCluster(members=2, authority=authority) as cluster:
        first, standby = cluster.leader, cluster.sync_standby()
        proxy = make_proxy(None, "--patroni", cluster.endpoints, "--patroni-tls-ca-file", authority.certificate,
                           "--patroni-tls-cert-file", ours.certificate, "--patroni-tls-key-file", ours.key, *GUARDED)
        proxy.await_log(f" primary_found backend={first.address}")
        with proxy.connect() as client:
            cluster.switchover(standby)
            cluster.await_leader(first)
            proxy.await_log(f" primary_found backend={standby.address}")
            assert client.execute("SELECT inet_server_port()").fetchone() == (standby.port,)


# ---- What answers in Patroni's place

class Stand:
    """An HTTP server in Patroni's place: `answers` by path; bytes are sent as they are."""

    def __init__(self, answers, tls=None):
        stand = self
        self.answers = answers
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                stand.asked.append(self.path)
                answer = stand.answers.get(self.path, [])
                if isinstance(answer, bytes):
                    return self.wfile.write(answer)
                self.send_response(200)
                self.end_headers()
                return self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # the proxy had heard enough
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def member(server, name="one", role="leader"):
    return {"name": name, "role": role, "state": "running", "host": "127.0.0.1", "port": server.port, "timeline": 1}


def works(proxy):
    with proxy.connect() as client:
        return client.execute("SELECT 1").fetchone() == (1,)


NO_ANSWERS = {
    "garbage": b"\0\xff" * 5000,
    "no JSON": b"HTTP/1.0 200 OK\r\n\r\n<html>",
    "no members": b"HTTP/1.0 200 OK\r\n\r\n{}",
    "deep": b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 500_000,
    "endless": b"HTTP/1.0 200 OK\r\n\r\n" + b" " * 3_000_000,
    "endless header": b"HTTP/1.0 200 OK\r\nx: " + b"x" * 3_000_000,
    "trouble": b"HTTP/1.0 503 Service Unavailable\r\n\r\n",
    "nothing": b"",
    "cut off": b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n{",
}


@pytest.mark.parametrize("what", NO_ANSWERS)
def test_whatever_answers_in_patronis_place_the_next_endpoint_is_asked(server, make_proxy, what):
    with Stand({"/cluster": NO_ANSWERS[what]}) as odd, Stand({"/cluster": {"members": [member(server)]}}) as good:
        proxy = make_proxy(None, "--patroni", f"{odd.address},{good.address}", *GUARDED)
        proxy.await_log(f" patroni_failed endpoint=http://{odd.address} error=")
        proxy.await_log(" primary_found ")
        assert works(proxy)


def test_endpoints_that_say_nothing_or_are_not_there_are_passed_over(server, make_proxy):
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
        good = stack.enter_context(Stand({"/cluster": {"members": [member(server)]}}))
        endpoints = f"127.0.0.1:{free_port()},127.0.0.1:{silent.getsockname()[1]},no.such.host.invalid,{good.address}"
        proxy = make_proxy(None, "--patroni", endpoints, "--patroni-timeout", "300ms", *GUARDED)
        proxy.await_log("patroni_failed .*no answer within 300 ms")
        proxy.await_log(" primary_found ")
        assert works(proxy)


def test_a_leader_in_recovery_is_not_written_to(template, make_proxy):
    """Whatever Patroni says: the server knows better."""
    from cluster import Cluster
    with Cluster(template, replicas=1, synchronous=False) as pair:
        primary, replica = pair.primary.server, pair.replicas[0].server
        with Stand({"/cluster": {"members": [member(replica), member(primary, "two", "replica")]}}) as patroni:
            proxy = make_proxy(None, "--patroni", patroni.address, "--auth", "trust", "--failover-timeout", "500ms")
            proxy.await_log(f" backend_up backend={replica.tcp} role=replica")
            proxy.await_log(f" backend_up backend={primary.tcp} role=primary")
            with pytest.raises(Exception, match="no primary server"):
                proxy.connect()
            patroni.answers["/cluster"] = {"members": [member(replica, role="replica"), member(primary, "two")]}
            proxy.await_log(f" primary_found backend={primary.tcp}")
            assert works(proxy)


def test_while_patroni_is_silent_sessions_go_on_and_the_servers_are_judged_by_their_own_word(server, make_proxy):
    admin = f"127.0.0.1:{free_port()}"
    cluster = {"members": [member(server)]}
    with Stand({"/cluster": cluster}) as patroni:
        proxy = make_proxy(None, "--patroni", patroni.address, "--patroni-interval", "100ms", "--admin-listen", admin,
                           *GUARDED)
        proxy.await_log(" primary_found ")
        with proxy.connect() as client:
            patroni.answers["/cluster"] = NO_ANSWERS["trouble"]
            proxy.await_log(" patroni_silent .*status 503")
            assert client.execute("SELECT 1").fetchone() == (1,)
            assert works(proxy)
            with urllib.request.urlopen(f"http://{admin}/metrics") as page:
                assert "understudy_patroni_up 0\n" in page.read().decode()
            refused = run_understudy("ctl", "move", "--promote", "--admin", admin)
            assert refused.returncode == 1 and "Patroni promotes these servers" in refused.stderr
            patroni.answers["/cluster"] = cluster
            proxy.await_log(" patroni_answers ")
            assert client.execute("SELECT 1").fetchone() == (1,)
        assert "session_moved" not in proxy.log()


def test_https_is_verified(server, make_proxy, scratch):
    authority, stranger = Authority(scratch), Authority(scratch, "stranger")
    issued = authority.issue("patroni")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with Stand({"/cluster": {"members": [member(server)]}}, tls=context) as patroni:
        endpoint = ["--patroni", f"https://{patroni.address}"]
        proxy = make_proxy(None, *endpoint, "--patroni-tls-ca-file", authority.certificate, *GUARDED)
        proxy.await_log(" primary_found ")
        assert works(proxy)
        deceived = make_proxy(None, *endpoint, "--patroni-tls-ca-file", stranger.certificate, *GUARDED)
        deceived.await_log(" patroni_failed .*certificate")
        assert "primary_found" not in deceived.log()


def test_who_shows_no_certificate_that_is_wanted_is_told(server, make_proxy, scratch):
    authority, stranger = Authority(scratch), Authority(scratch, "stranger")
    issued, ours, theirs = (authority.issue("patroni"), authority.issue("proxy"), stranger.issue("other"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.certificate)
    with Stand({"/cluster": {"members": [member(server)]}}, tls=context) as patroni:
        def proxy(*options):
            return make_proxy(None, "--patroni", f"https://{patroni.address}", "--patroni-tls-ca-file",
                              authority.certificate, *options, *GUARDED)

        known = proxy("--patroni-tls-cert-file", ours.certificate, "--patroni-tls-key-file", ours.key)
        known.await_log(" primary_found ")
        assert works(known)
        asked = len(patroni.asked)
        nobody = proxy()
        nobody.await_log(" patroni_failed .*certificate")
        unknown = proxy("--patroni-tls-cert-file", theirs.certificate, "--patroni-tls-key-file", theirs.key)
        unknown.await_log(" patroni_failed .*(certificate|unknown ca)")
        assert asked > 0
        assert "primary_found" not in nobody.log() + unknown.log()


def test_half_of_a_certificate_or_one_for_nobody_is_refused(scratch):
    ours = Authority(scratch).issue("proxy")
    certificate, key = ["--patroni-tls-cert-file", ours.certificate], ["--patroni-tls-key-file", ours.key]
    for endpoint, options, why in [("https://127.0.0.1:1", certificate, "both or not at all"),
                                   ("https://127.0.0.1:1", key, "both or not at all"),
                                   ("127.0.0.1:1", certificate, "both or not at all"),
                                   ("http://127.0.0.1:1", certificate + key, "write https://")]:
        refused = run_understudy("proxy", "--listen", f"127.0.0.1:{free_port()}", "--patroni", endpoint, *options,
                                 "--auth", "trust")
        assert refused.returncode != 0 and why in refused.stderr, refused
