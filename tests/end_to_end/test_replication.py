"""Do physical and logical replication, with their COPY in both directions, pass through?"""

import signal
import subprocess

import pytest

from postgres_server import BIN
from processes import as_server_user, make_directory, remove_directory, until_parent_ends
from waiting import await_condition


def receiver(proxy, program, *arguments):
    command = [str(BIN / program), "-h", "127.0.0.1", "-p", str(proxy.port), "-U", "postgres", *map(str, arguments)]
    return subprocess.Popen(until_parent_ends(command, "KILL"), env=proxy.environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stop(process):
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=60)


def test_a_receiver_of_wal_gets_the_servers_wal(server, make_proxy, scratch):
    proxy = make_proxy(server.tcp)
    process = receiver(proxy, "pg_receivewal", "-D", scratch, "--no-sync", "--slot=physical", "--create-slot")
    assert process.wait(60) == 0, process.stderr.read()
    process = receiver(proxy, "pg_receivewal", "-D", scratch, "--no-sync", "--slot=physical", "--status-interval=1")
    # It begins with the segment that the server is at when it asks.
    await_condition(lambda: server.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'physical'"),
                    "the receiver to begin")
    server.execute("CREATE TABLE written AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n")
    wal = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    server.execute("SELECT pg_switch_wal()")
    received = scratch / wal
    await_condition(received.exists, f"{wal} to be received whole")
    stop(process)
    from pathlib import Path
    assert received.read_bytes() == Path(server.data, "pg_wal", wal).read_bytes()


def test_a_receiver_of_logical_changes_gets_them_and_its_feedback_arrives(server, make_proxy, scratch):
    proxy = make_proxy(server.tcp)
    out = scratch / "changes"
    process = receiver(proxy, "pg_recvlogical", "-d", "postgres", "--slot=logical", "--create-slot", "-P",
                       "test_decoding")
    assert process.wait(60) == 0, process.stderr.read()
    process = receiver(proxy, "pg_recvlogical", "-d", "postgres", "--slot=logical", "--start", "-f", out,
                       "--fsync-interval=1", "--status-interval=1")
    server.execute("CREATE TABLE followed (n int PRIMARY KEY, t text)")
    server.execute("INSERT INTO followed SELECT n, 'row ' || n FROM generate_series(1, 1000) n")
    server.execute("UPDATE followed SET t = 'changed' WHERE n = 1000")
    await_condition(lambda: out.exists() and b"t[text]:'changed'" in out.read_bytes(), "the changes to arrive")
    # What the receiver confirms moves the slot on: the stream's other direction.
    last = server.value("SELECT pg_current_wal_lsn()::text")
    await_condition(lambda: server.value("SELECT confirmed_flush_lsn >= pg_lsn '0/1' AND confirmed_flush_lsn >="
                                         f" (SELECT restart_lsn) AND confirmed_flush_lsn >= '{last}'::pg_lsn - 1000"
                                         " FROM pg_replication_slots WHERE slot_name = 'logical'"),
                    "the feedback to arrive")
    stop(process)
    assert out.read_bytes().count(b"table public.followed: INSERT") == 1000


@pytest.fixture
def backup_directory():
    """A directory of the server's user."""
    directory = make_directory("backup")
    yield f"{directory}/data"
    remove_directory(directory)


def test_a_standby_is_made_and_fed_through_the_proxy(server, make_server, make_proxy, backup_directory):
    proxy = make_proxy(server.tcp)
    as_server_user([BIN / "pg_basebackup", "-D", backup_directory, "-c", "fast", "-X", "stream", "-R", "--no-sync"],
                   env=proxy.environment, timeout=300)
    standby = make_server(template=backup_directory, name="standby", settings="max_connections = 300\n")
    server.execute("CREATE TABLE streamed AS SELECT n FROM generate_series(1, 1000) n")
    written = server.value("SELECT pg_current_wal_insert_lsn()::text")
    await_condition(lambda: standby.value(f"SELECT pg_last_wal_replay_lsn() >= '{written}'"), "the standby to follow")
    assert standby.value("SELECT count(*) FROM streamed") == 1000
    # Its feedback, the stream's other direction, arrives at the primary.
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_replication"
                                         f" WHERE replay_lsn >= '{written}'"), "the standby's feedback")


def test_a_subscription_follows_through_the_proxy(server, make_server, make_proxy):
    proxy = make_proxy(server.tcp)
    subscriber = make_server(name="subscriber")
    for one in (server, subscriber):
        one.execute("CREATE TABLE published (n int PRIMARY KEY, t text)")
    server.execute("INSERT INTO published VALUES (1, 'copied')")
    server.execute("CREATE PUBLICATION news FOR TABLE published")
    subscriber.execute(f"CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 port={proxy.port} user=postgres"
                       " dbname=postgres' PUBLICATION news")
    await_condition(lambda: subscriber.value("SELECT count(*) FROM published"), "the first copy")
    server.execute("INSERT INTO published VALUES (2, 'streamed')")
    await_condition(lambda: subscriber.value("SELECT count(*) FROM published") == 2, "the stream")
    subscriber.execute("DROP SUBSCRIPTION news")
    assert server.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'news'") == 0


def test_a_base_backup_streams(server, make_proxy, scratch):
    proxy = make_proxy(server.tcp)
    result = subprocess.run([str(BIN / "pg_basebackup"), "-D", str(scratch / "backup"), "-c", "fast", "-X", "stream",
                             "--no-sync"], env=proxy.environment, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    checked = subprocess.run([str(BIN / "pg_verifybackup"), str(scratch / "backup")], capture_output=True, text=True,
                             timeout=300)
    assert checked.returncode == 0, checked.stderr
