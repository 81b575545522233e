"""Does SIGTERM drain, a second one end, and SIGHUP reread the configuration?"""

import contextlib
import signal
import socket
import struct
import threading

import psycopg
import pytest

from fake_backend import LOGGED_IN, FakeBackend, read_message
from raw_session import RawSession, error_fields, kinds, message, query, startup
from waiting import await_condition


def sleeping(server):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'")


def test_sigterm_lets_transactions_end_and_idle_sessions_go(server, make_proxy):
    proxy = make_proxy(server.tcp)
    idle, busy = proxy.connect(), proxy.connect(autocommit=False)
    busy.execute("CREATE TEMPORARY TABLE kept (n int)")
    idle.execute("SELECT 1")
    proxy.signal(signal.SIGTERM)
    proxy.await_log("draining sessions=2")
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE pid ="
                                         f" {idle.info.backend_pid}") == 0, "the idle session to end")
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        proxy.connect()
    assert proxy.process.poll() is None
    busy.execute("INSERT INTO kept VALUES (1)")
    assert busy.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    busy.commit()
    assert proxy.wait() == 0


def test_a_drain_ends_replication_streams_and_does_so_last(server, make_proxy):
    """They are never idle; a COMMIT may be waiting for what a standby says in one."""
    proxy = make_proxy(server.tcp, "--workers", "2")
    # No stream begins where the server has written to, as long as that is not flushed.
    position = server.value("SELECT pg_current_wal_flush_lsn()::text")
    with proxy.connect(autocommit=False) as busy, RawSession(proxy.port, login=False) as stream:
        busy.execute("CREATE TABLE draining (n int)")
        stream.send(startup(user="postgres", replication="true"))
        stream.until_ready()
        stream.send(query(f"START_REPLICATION PHYSICAL {position}"))
        assert stream.next()[0] == b"W"
        proxy.signal(signal.SIGTERM)
        proxy.await_log("draining sessions=2")
        busy.execute("INSERT INTO draining SELECT generate_series(1, 1000)")
        server.execute("CREATE TABLE meanwhile (n int)")
        written = server.value("SELECT pg_current_wal_lsn() - '0/0'")
        for kind, payload in iter(stream.next, None):
            assert kind == b"d", payload
            # WAL data: where it begins, where the server's WAL ends, when, and the WAL itself.
            if payload[:1] == b"w" and struct.unpack("!q", payload[1:9])[0] + len(payload) - 25 >= written:
                break
        busy.commit()
        messages = stream.to_end()
        assert [error["C"] for error in error_fields(messages)] == ["57P01"]
    assert proxy.wait() == 0


def test_a_drain_ends_no_replication_stream_within_a_message(make_proxy):
    """A server's message may come in pieces, and the proxy not be given the processor between them."""
    whole = message(b"d", b"w" + bytes(100_000))
    cuts = [70_000, 3, len(whole)]
    go_on = threading.Event()

    def play(connection):
        connection.sendall(LOGGED_IN)
        cut = cuts[int(read_message(connection)[1][:1])]
        connection.sendall(message(b"W", b"\0\0\0") + whole[:cut])
        go_on.wait()
        connection.sendall(whole[cut:])
        connection.recv(1)

    with FakeBackend(play) as backend, contextlib.ExitStack() as stack:
        proxy = make_proxy(backend.address, "--workers", "1")
        streams = [stack.enter_context(RawSession(proxy.port, login=False)) for _ in cuts]
        for number, stream in enumerate(streams):
            stream.send(startup(user="postgres", replication="true"))
            stream.until_ready()
            stream.send(query(f"{number}"))
            assert stream.next()[0] == b"W"
            assert stream.is_inside_message or stream.socket.recv(1, socket.MSG_PEEK) == b"d"
        in_payload, in_header, between = streams
        proxy.signal(signal.SIGTERM)
        # All were looked at when this one ends.
        assert kinds(between.to_end()) == "dE"
        go_on.set()
        for stream in (in_payload, in_header):
            messages = stream.to_end()
            assert kinds(messages) == "dE" and len(messages[0][1]) == 100_001
            assert error_fields(messages)[0]["C"] == "57P01"
        assert proxy.wait() == 0


def test_a_drain_ends_what_goes_on_after_its_time_out(server, make_proxy):
    proxy = make_proxy(server.tcp, "--drain-timeout", "300ms")
    with RawSession(proxy.port) as in_transaction, RawSession(proxy.port) as busy:
        in_transaction.ask("BEGIN")
        busy.send(query("SELECT pg_sleep(600)"))
        proxy.signal(signal.SIGINT)  # a Ctrl-C drains, too
        assert proxy.wait() == 0
        for session in (in_transaction, busy):
            [error] = error_fields(session.to_end())
            assert error["C"] == "57P01" and "drain_timeout" in error["M"]
    await_condition(lambda: not sleeping(server), "what it ran to be cancelled")


def test_a_second_sigterm_cancels_what_servers_still_run(server, make_proxy):
    proxy = make_proxy(server.tcp)
    with RawSession(proxy.port) as busy, RawSession(proxy.port) as other:
        for session in (busy, other):
            session.send(query("SELECT pg_sleep(600)"))
        await_condition(lambda: sleeping(server) == 2, "both to run")
        proxy.signal(signal.SIGTERM)
        proxy.await_log("draining sessions=2")
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        for session in (busy, other):
            [error] = error_fields(session.to_end())
            assert error["C"] == "57P01" and "administrator command" in error["M"]
    await_condition(lambda: not sleeping(server), "what they ran to be cancelled")


def test_a_second_sigterm_ends_what_is_left(server, make_proxy, scratch):
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    busy = proxy.connect(autocommit=False)
    busy.execute("SELECT 1")
    proxy.signal(signal.SIGTERM)
    proxy.await_log("draining sessions=1")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    with pytest.raises(psycopg.OperationalError):
        busy.execute("SELECT 1")
    # The recording is whole all the same.
    assert " recorded " in proxy.log()


def test_sighup_rereads_the_configuration_and_refuses_a_broken_one(server, make_proxy, scratch):
    configuration = scratch / "understudy.ini"
    configuration.write_text("[understudy]\nmax_client_conn = 1\n")
    proxy = make_proxy(server.tcp, "--config", configuration)
    with proxy.connect():
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            proxy.connect()
        configuration.write_text("[understudy]\nmax_client_conn = many\n")
        proxy.signal(signal.SIGHUP)
        refused = proxy.await_log(r"reload_refused (.*)").group(1)
        assert "understudy.ini:2" in refused
        proxy.reconfigure(configuration, max_client_conn=5)
        with proxy.connect() as second:
            assert second.execute("SELECT 1").fetchone() == (1,)
        # What cannot change while it runs is said, and is not mixed up with what was applied.
        proxy.reconfigure(configuration, max_client_conn=6, workers=3)
        assert proxy.await_log(r"restart_needed keys=(\S+)").group(1) == "workers"


def test_sigusr1_logs_what_was_counted_without_a_change(server, make_proxy, scratch):
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    with proxy.connect() as connection:
        connection.execute("SELECT 1")
        counts = proxy.counts()
        assert (counts["connections"], counts["sessions"], counts["open"]) == (1, 1, 1)
        assert proxy.await_log(r" recording sessions=(\d+)").group(1) == "1"
        assert connection.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)


def test_an_idle_client_is_closed_after_its_time_out(server, make_proxy):
    proxy = make_proxy(server.tcp, "--client-idle-timeout", "200ms")
    with proxy.connect() as connection:
        await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE pid ="
                                             f" {connection.info.backend_pid}") == 0, "the idle session to end")
        with pytest.raises(psycopg.OperationalError, match="client_idle_timeout"):
            connection.execute("SELECT 1")
    assert proxy.counts()["idle_timeouts"] == 1


def test_a_client_that_awaits_a_long_statement_is_not_idle(server, make_proxy, scratch):
    (scratch / "ini").write_text("[understudy]\n")
    proxy = make_proxy(server.tcp, "--config", scratch / "ini")
    with server.connect(autocommit=False) as holder, RawSession(proxy.port) as waiting, RawSession(proxy.port) as idle:
        holder.execute("SELECT pg_advisory_xact_lock(1)")
        waiting.send(query("SELECT pg_advisory_lock(1)"))
        proxy.reconfigure(scratch / "ini", client_idle_timeout="200ms")
        # Silent for less long than the other.
        assert [error["C"] for error in error_fields(idle.to_end())] == ["57P05"]
        holder.rollback()
        assert kinds(waiting.until_ready()) == "TDCZ"
    assert proxy.counts()["idle_timeouts"] == 1


@pytest.mark.parametrize("wrong", [["--listen", "1.2.3.4:port"], ["--backend", "host:port:more"], ["--no-such-option"],
                                   ["--workers", "-1"], ["stray"]])
def test_what_cannot_be_understood_is_said_with_status_2(wrong):
    from understudy_process import run_understudy
    result = run_understudy("proxy", "--backend", "127.0.0.1:5432", *wrong)
    assert result.returncode == 2
    assert "understudy proxy:" in result.stderr and wrong[-1].lstrip("-") in result.stderr


@pytest.mark.parametrize("missing", [["--listen", "nowhere.invalid:6432"], ["--config", "/no/such/file"]])
def test_what_cannot_be_found_is_said_with_status_1(missing):
    from understudy_process import run_understudy
    result = run_understudy("proxy", "--backend", "127.0.0.1:5432", *missing)
    assert result.returncode == 1
    assert missing[-1].removesuffix(":6432") in result.stderr


@pytest.mark.parametrize("line", ["max_client_conn = many", "no_such_key = 1", "stray"])
def test_what_is_wrong_in_the_configuration_is_said_with_its_line_and_status_2(scratch, line):
    from understudy_process import run_understudy
    (scratch / "understudy.ini").write_text(f"[understudy]\n{line}\n")
    result = run_understudy("proxy", "--config", scratch / "understudy.ini")
    assert result.returncode == 2, result.stderr
    assert f"{scratch / 'understudy.ini'}:2: " in result.stderr and "Traceback" not in result.stderr


def test_an_address_in_use_is_said_with_status_1(server):
    from understudy_process import run_understudy
    result = run_understudy("proxy", "--backend", "127.0.0.1:5432", "--listen", server.tcp)
    assert result.returncode == 1
    assert server.tcp in result.stderr and "in use" in result.stderr


@pytest.mark.parametrize("listen", ["127.0.0.1:7777", ":7777", "localhost:7777"])
def test_a_proxy_does_not_stand_before_itself(listen):
    from understudy_process import run_understudy
    result = run_understudy("proxy", "--backend", "127.0.0.1:7777", "--listen", listen)
    assert result.returncode == 1
    assert "is where the proxy itself listens" in result.stderr
