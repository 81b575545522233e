"""Is a replication session, which cannot move, told so when its server is lost?"""

import subprocess

import pytest

from postgres_server import BIN
from processes import until_parent_ends
from raw_session import RawSession, error_fields, query
from waiting import await_condition

OPTIONS = ["--auth", "trust", "--health-user", "postgres", "--failover-timeout", "60s"]
SETUP = "CREATE TABLE entry (n int)"
LOSSES = {"killed": lambda cluster: cluster.kill_primary(), "silent": lambda cluster: cluster.freeze(cluster.primary)}


def is_told_why(error):
    return error["S"] == "FATAL" and error["C"] == "57P01" and "replication stream" in error["D"]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_session_that_asks_nothing_is_told(cluster, cluster_proxy, loss):
    with RawSession(cluster_proxy.port, replication="true") as session:
        session.ask("IDENTIFY_SYSTEM")
        LOSSES[loss](cluster)
        cluster.take_over()
        assert is_told_why(error_fields(session.until(b"E"))[0])
    assert cluster_proxy.counts()["sessions_stranded"] == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_stream_is_told(cluster, cluster_proxy, scratch, loss):
    command = [str(BIN / "pg_receivewal"), "-h", "127.0.0.1", "-p", str(cluster_proxy.port), "-U", "postgres",
               "-D", str(scratch), "--no-sync", "--no-loop", "--status-interval=1"]
    receiver = subprocess.Popen(until_parent_ends(command, "KILL"), env=cluster_proxy.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Its sender is there before it has answered the request to begin, of which libpq would tell the last error only.
    await_condition(lambda: any(scratch.iterdir()), "the stream to arrive")
    LOSSES[loss](cluster)
    cluster.take_over()
    said = receiver.communicate(timeout=60)[1]
    assert receiver.returncode != 0
    assert "its server was lost, and the session cannot be moved" in said and "replication stream" in said


def test_the_next_one_goes_to_the_new_primary(cluster, cluster_proxy):
    with RawSession(cluster_proxy.port, replication="true") as session:
        session.ask("IDENTIFY_SYSTEM")
        cluster.kill_primary()
        cluster.take_over()
        session.until(b"E")
    with RawSession(cluster_proxy.port, replication="true") as session:
        session.send(query("IDENTIFY_SYSTEM"))
        row = next(payload for kind, payload in session.until_ready() if kind == b"D")
    timeline = cluster.primary.value("SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
    assert str(timeline).encode() in row
