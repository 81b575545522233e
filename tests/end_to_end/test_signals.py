"""Does SIGTERM drain, a second one end, and SIGHUP reread the configuration?"""

import signal

import psycopg
import pytest

from waiting import await_condition


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
        configuration.write_text("[understudy]\nmax_client_conn = 5\n")
        proxy.signal(signal.SIGHUP)
        proxy.await_log(r" reloaded ")
        with proxy.connect() as second:
            assert second.execute("SELECT 1").fetchone() == (1,)


def test_an_idle_client_is_closed_after_its_time_out(server, make_proxy):
    proxy = make_proxy(server.tcp, "--client-idle-timeout", "200ms")
    with proxy.connect() as connection:
        await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type ="
                                             " 'client backend'") == 1, "the idle session to end")
        with pytest.raises(psycopg.OperationalError, match="client_idle_timeout"):
            connection.execute("SELECT 1")


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


def test_an_address_in_use_is_said_with_status_1(server):
    from understudy_process import run_understudy
    result = run_understudy("proxy", "--backend", server.tcp, "--listen", server.tcp)
    assert result.returncode == 1
    assert server.tcp in result.stderr and "in use" in result.stderr
