"""Is what a capture shows what a proxy would have recorded? On the loopback interface, beside a proxy and tcpdump; with
sessions that were open before, packets that are missing, secrets, encryption and other people's traffic."""

import gzip
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import threading

import psycopg
import pytest

from capturing import AS_ROOT, Capture, Tcpdump, pcap_records, record_files
from certificates import Authority
from postgres_server import BIN
from raw_session import TERMINATE, RawSession, startup
from replaying import raw_contents, replay
from transcripts import CANCELLED, CLIENT, GAP, OPENED, SERVER, process_id, read_sessions, said, stream
from understudy_process import binary, run_understudy
from waiting import await_condition, scaled


def pgbench(environment, *arguments):
    subprocess.run([str(BIN / "pgbench"), *arguments], env=environment, check=True, capture_output=True,
                   stdin=subprocess.DEVNULL, timeout=120)


def psql(environment, script):
    subprocess.run([str(BIN / "psql"), "-X", "-q"], input=script, env=environment, text=True, capture_output=True,
                   timeout=60, check=True)


def cancel_once_it_sleeps(server, connection):
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
                    "the query to sleep")
    connection.cancel()


SCRIPT = """
CREATE TABLE captured (n int PRIMARY KEY, t text);
COPY captured FROM STDIN;
1	one
2	two
\\.
BEGIN; INSERT INTO captured SELECT n, repeat('x', 500) FROM generate_series(3, 3000) n; SAVEPOINT s;
INSERT INTO captured VALUES (1, 'again');
ROLLBACK TO s; COMMIT;
COPY captured TO STDOUT;
SELECT * FROM captured ORDER BY n;
SELECT 1/0;
"""


def by_process(recording):
    """Sessions by the process that served them."""
    return {process_id(events): events for events in read_sessions(recording).values()}


def only(sessions, processes):
    return {process: events for process, events in sessions.items() if process in processes}


def assert_same_sessions(one, other):
    assert one.keys() == other.keys() and None not in one
    for process, events in one.items():
        assert said(events) == said(other[process])
        # The start-up packet, behind numbers, times and addresses, which differ.
        parameters = [events[0].data[events[0].data.index(b"\x04user"):] for events in (events, other[process])]
        assert events[0].kind == OPENED and parameters[0] == parameters[1]


def test_a_proxy_and_a_capture_of_the_same_traffic_are_equal_byte_by_byte(make_server, make_proxy, scratch):
    server = make_server()
    with Capture(server.port, scratch / "captured") as capture, \
            Tcpdump(server.port, scratch / "dump.pcap") as tcpdump:
        proxy = make_proxy(server.tcp, record=scratch / "recorded")
        pgbench(proxy.environment, "-i", "-q", "-s", "1")
        for protocol in ("simple", "extended", "prepared"):
            pgbench(proxy.environment, "-n", "-c", "8", "-t", str(scaled(60, least=10)), "-M", protocol)
        psql(proxy.environment, SCRIPT)
        with proxy.connect() as connection, connection.pipeline():
            for n in range(50):
                connection.execute("SELECT %s::int, repeat('y', 1000)", [n])
        with proxy.connect() as connection:
            stopper = threading.Thread(target=cancel_once_it_sleeps, args=(server, connection))
            stopper.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(60)")
            stopper.join()
        assert proxy.stop() == 0
        server.execute("SELECT 'the last of it'")  # behind which tcpdump may miss some
        tcpdump.stop(seen=b"the last of it")
        summary = capture.stop()
    recorded, captured = by_process(scratch / "recorded"), by_process(scratch / "captured")
    assert len(captured) == summary["sessions"]["whole"] >= 25
    assert summary["packets"]["dropped_by_kernel"] == summary["sessions"]["lost_bytes"] == 0
    assert summary["cancels"] == 1
    assert sum(event.kind == CANCELLED for events in captured.values() for event in events) == 1
    assert run_understudy("verify", scratch / "captured").returncode == 0
    # In a pipeline and around a cancel the two sides cross on their way between proxy and server: there each side by
    # itself; else every message in its order.
    crossing = {process for process, events in recorded.items()
                if b"repeat('y'" in stream(events, CLIENT) or b"pg_sleep" in stream(events, CLIENT)}
    for kind in (CLIENT, SERVER):
        for process in crossing:
            assert stream(recorded[process], kind) == stream(captured[process], kind)
    in_order = recorded.keys() - crossing
    assert_same_sessions(only(recorded, in_order), only(captured, in_order))
    # tcpdump's file says the same, whichever way it comes.
    dump = scratch / "dump.pcap"
    record_files(scratch / "from-file", dump)
    assert_same_sessions(only(by_process(scratch / "from-file"), recorded), only(captured, recorded))
    (scratch / "dump.pcap.gz").write_bytes(gzip.compress(dump.read_bytes()))
    record_files(scratch / "from-gzip", scratch / "dump.pcap.gz")
    subprocess.run(["zstd", "-q", str(dump)], check=True)
    with open(scratch / "dump.pcap.zst", "rb") as piped:
        result = subprocess.run([binary(), "record", "--output", str(scratch / "from-pipe"), "--pcap", "-"],
                                stdin=piped, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("from-gzip", "from-pipe"):
        assert read_sessions(scratch / name) == read_sessions(scratch / "from-file")


@pytest.fixture(scope="module")
def dumped(template, tmp_path_factory):
    """Some sessions as a pcap file, one of them with some thousand rows, and its end."""
    from postgres_server import Server
    directory = tmp_path_factory.mktemp("dumped")
    with Server(template) as server:
        server.start()
        with Tcpdump(server.port, directory / "dump.pcap") as tcpdump:
            for session in range(3):
                with server.connect(sslmode="disable") as connection:
                    connection.execute(f"CREATE TABLE dumped{session} (n int)")
                    for n in range(40):
                        connection.execute(f"INSERT INTO dumped{session} VALUES ({n})", prepare=False)
                    connection.execute("SELECT repeat('z', 100) FROM generate_series(1, 3000)")
                    for n in range(40, 50):
                        connection.execute(f"INSERT INTO dumped{session} VALUES ({n})", prepare=False)
            server.execute("SELECT 'and no more'")
            tcpdump.stop(seen=b"and no more")
    return directory / "dump.pcap"


def test_packets_that_are_missing_are_gaps_behind_which_nothing_is_replayed(dumped, pair, scratch):
    header, records = pcap_records(dumped.read_bytes())
    # In each session one request disappears, and in the second all of the large result.
    missing = [b"INSERT INTO dumped0 VALUES (20)", b"zzzzzzzzzz", b"INSERT INTO dumped2 VALUES (45)"]
    ports = {}
    for number, name in enumerate((b"CREATE TABLE dumped0", b"CREATE TABLE dumped1", b"CREATE TABLE dumped2")):
        ports[number] = next(record[50:52] for record in records if name in record)
    kept = [record for record in records
            if not any(text in record and ports[number] in (record[50:52], record[52:54])
                       for number, text in enumerate(missing))]
    (scratch / "holes.pcap").write_bytes(header + b"".join(kept))
    summary = record_files(scratch / "holes", scratch / "holes.pcap", status=3)
    whole = record_files(scratch / "whole", dumped)
    lost = sum(len(record) - 16 - 66 for record in records) - sum(len(record) - 16 - 66 for record in kept)
    assert whole["sessions"]["partial"] == 0 and summary["sessions"]["partial"] == 3
    assert summary["sessions"]["lost_bytes"] == lost > 0
    cut, complete = by_process(scratch / "holes"), by_process(scratch / "whole")
    for process, events in cut.items():
        before = [event for event in said(events)]
        gaps = [n for n, (kind, _) in enumerate(before) if kind == GAP]
        if not gaps:
            assert said(events) == said(complete[process])
            continue
        everything = said(complete[process])
        assert before[:gaps[0] - 1] == everything[:gaps[0] - 1]
        # Behind the gap it goes on, at a request, with what was there.
        rest = before[gaps[-1] + 1:]
        assert rest and rest == everything[-len(rest):] and rest[0][0] == CLIENT
    # And is shown again as messages.
    (session,) = [number for number, events in read_sessions(scratch / "holes").items()
                  if b"CREATE TABLE dumped0" in stream(events, CLIENT)]
    shown = run_understudy("show", scratch / "holes", "--session", "%d.%d" % session, "--full").stdout
    assert "VALUES (19)" in shown and "VALUES (20)" not in shown and "VALUES (39)" in shown, shown
    assert "capture loss" in run_understudy("show", scratch / "holes", "--stats").stdout
    # A replay plays each up to its hole, and says so.
    replayed = replay(scratch / "holes", pair.uri, "--speed", "max", "--order", "session", status=3)
    assert replayed["sessions_cut_at_gap"] == 3 and replayed["in_part"]
    assert replayed["requests_left_out"] > 0 and replayed["bytes_left_out"] > 0
    assert [pair.target.value(f"SELECT count(*) FROM dumped{n}") for n in range(3)] == [20, 40, 45]


def test_a_session_that_was_open_before_is_joined_and_replayed_as_who_one_says(make_server, pair, scratch):
    server = make_server()
    server.execute("CREATE TABLE joined (n int)")
    pair.target.execute("CREATE DATABASE shop")
    with pair.target.connect(dbname="shop") as shop:
        shop.execute("CREATE TABLE joined (n int)")
    with server.connect(sslmode="disable") as before:
        before.execute("INSERT INTO joined VALUES (1)")
        with Capture(server.port, scratch / "captured") as capture:
            for n in range(2, 12):
                before.execute(f"INSERT INTO joined VALUES ({n})", prepare=False)
            before.close()
            summary = capture.stop()
    assert summary["sessions"]["joined"] == 1 and summary["sessions"]["whole"] == 0
    (events,) = read_sessions(scratch / "captured").values()
    assert b"joined" in events[0].data and [event.kind for event in events[:2]] == [OPENED, CLIENT]
    (listed,) = json.loads(run_understudy("show", scratch / "captured", "--json").stdout)["sessions"]
    assert listed["continuing"] is True
    replay(scratch / "captured", f"postgresql://postgres@{pair.target.tcp}/shop", "--speed", "max", "--user-map", "*=postgres")
    # From the first request behind the first answer that was seen.
    with pair.target.connect(dbname="shop") as shop:
        assert shop.execute("SELECT array_agg(n ORDER BY n) FROM joined").fetchone()[0] == list(range(3, 12))


PASSWORD = "never to be SEEN"


def test_no_secret_of_a_login_is_captured(make_server, scratch):
    server = make_server(hba="local all all trust\nhost all postgres all trust\n"
                             "host all scram all scram-sha-256\nhost all md5 all md5\nhost all clear all password\n")
    for name in ("scram", "md5", "clear"):
        encryption = "md5" if name == "md5" else "scram-sha-256"
        server.execute(f"SET password_encryption = '{encryption}'; CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    with Capture(server.port, scratch / "captured") as capture, Tcpdump(server.port, scratch / "dump.pcap") as tcpdump:
        for name in ("scram", "md5", "clear"):
            with server.connect(user=name, password=PASSWORD, sslmode="disable") as connection:
                connection.execute(f"SELECT 'I am {name}'")
        tcpdump.stop(seen=b"I am clear")
        assert capture.stop()["sessions"]["whole"] == 3
    on_the_wire, on_record = (scratch / "dump.pcap").read_bytes(), raw_contents(scratch / "captured")
    for secret in (PASSWORD.encode(), b",p=", b"c=biws", b",s=", b"v="):
        assert secret in on_the_wire
        assert secret not in on_record
    md5 = re.search(rb"md5[0-9a-f]{32}", on_the_wire).group()
    assert md5 not in on_record
    for key in re.findall(rb"K\0\0\0\x0c(.{8})", on_the_wire, re.DOTALL):
        assert b"K\0\0\0\x0c" + key[:4] + b"\0\0\0\0" in on_record and key not in on_record


def test_what_is_encrypted_or_not_postgresql_is_counted(make_server, scratch):
    authority = Authority(str(scratch))
    certificate = authority.issue("localhost")
    server = make_server(settings=f"ssl = on\nssl_cert_file = '{certificate.certificate}'\nssl_key_file = '{certificate.key}'\n")
    with Capture(server.port, scratch / "captured") as capture:
        with server.connect(sslmode="require") as connection:
            connection.execute("SELECT 'sealed'")
        with socket.create_connection(("127.0.0.1", server.port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            while stranger.recv(4096):
                pass
        with server.connect(sslmode="disable") as connection:
            connection.execute("SELECT 'open'")
        summary = capture.stop(status=3)
    assert summary["unreadable"]["TLS, no key"]["connections"] == 1
    assert summary["not_postgresql"]["HTTP"]["connections"] == 1
    assert summary["sessions"]["whole"] == 1
    assert b"SELECT 'open'" in raw_contents(scratch / "captured")
    verified = run_understudy("verify", scratch / "captured")
    assert "TLS, no key" in verified.stdout and verified.returncode == 1


class SealedSession(RawSession):
    """One over TLS, whose secrets are logged."""

    def __init__(self, port, key_log, version):
        super().__init__(port, login=False)
        self.send(struct.pack("!ii", 8, 80877103))
        assert self.socket.recv(1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.keylog_filename = str(key_log)
        self.socket = context.wrap_socket(self.socket)
        self.send(startup(user="postgres", database="postgres"))
        self.greeting = self.until_ready()


def test_with_a_key_log_what_is_encrypted_is_read(make_server, scratch):
    authority = Authority(str(scratch))
    certificate = authority.issue("localhost")
    server = make_server(settings="ssl = on\nssl_min_protocol_version = 'TLSv1.2'\n"
                         f"ssl_cert_file = '{certificate.certificate}'\nssl_key_file = '{certificate.key}'\n")
    (scratch / "keys").touch()
    versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    with Capture(server.port, scratch / "captured", "--tls-keys", scratch / "keys") as capture, \
            Tcpdump(server.port, scratch / "dump.pcap") as tcpdump:
        for version in versions:
            with SealedSession(server.port, scratch / "keys", version) as session:
                assert session.ask(f"SELECT 'sealed by {version.name}'") == f"sealed by {version.name}"
                session.ask("SELECT string_agg('z', '') FROM generate_series(1, 300000)")
                session.send(TERMINATE)
                session.to_end()
        with RawSession(server.port) as last:
            last.ask("SELECT 'and no more'")
        tcpdump.stop(seen=b"and no more")
        summary = capture.stop()
    assert summary["sessions"]["whole"] == 3 and summary["unreadable"] == {}
    sessions = read_sessions(scratch / "captured")
    for version in versions:
        (events,) = [events for events in sessions.values() if version.name.encode() in stream(events, CLIENT)]
        assert stream(events, CLIENT).endswith(TERMINATE) and stream(events, SERVER).count(b"z") >= 300_000
    assert b"sealed by" not in (scratch / "dump.pcap").read_bytes()
    # The same from the file, with its keys and without.
    record_files(scratch / "from-file", scratch / "dump.pcap", "--tls-keys", scratch / "keys")
    for version in versions:
        assert version.name.encode() in raw_contents(scratch / "from-file")
    without = record_files(scratch / "without", scratch / "dump.pcap", status=3)
    assert without["unreadable"]["TLS, no key"]["connections"] == 2
    secrets = (scratch / "keys").read_text().split()
    for secret in secrets:
        assert len(secret) < 64 or secret.encode() not in raw_contents(scratch / "captured")


def test_a_capture_gives_up_its_privileges_and_tells_what_the_kernel_dropped(make_server, scratch):
    server = make_server()
    with Capture(server.port, scratch / "captured", "--report-interval", "100ms") as capture:
        status = pathlib.Path(f"/proc/{capture.pid}/status").read_text()
        assert 0 not in [int(user) for user in re.search(r"Uid:(.*)", status).group(1).split()]
        assert set(re.findall(r"Cap(?:Prm|Eff|Inh):\s+(\w+)", status)) == {"0" * 16}
        assert re.search(r"NoNewPrivs:\s+1", status)
        with server.connect(sslmode="disable") as connection:
            connection.execute("SELECT 1")
        await_condition(lambda: re.search(r" capturing packets=[1-9]\d* .*dropped_by_kernel=\d+", capture.log()),
                        lambda: f"counts in the log: {capture.log()}")
        capture.stop()


def test_what_the_kernel_drops_is_counted_logged_and_in_the_recording(make_server, scratch):
    server = make_server()
    with Capture(server.port, scratch / "captured", "--ring", "1MiB", "--report-interval", "100ms") as capture, \
            server.connect(sslmode="disable") as connection:
        connection.execute("SELECT 'before'")
        capture.signal("STOP")
        connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        capture.signal("CONT")
        await_condition(lambda: re.search(r"dropped_by_kernel=[1-9]", capture.log()),
                        lambda: f"drops in the log: {capture.log()}")
        for n in range(20):
            connection.execute(f"SELECT 'after {n}'", prepare=False)
        connection.close()
        summary = capture.stop(status=3)
    assert summary["packets"]["dropped_by_kernel"] > 0
    assert summary["sessions"]["partial"] == 1 and summary["sessions"]["lost_bytes"] > 1_000_000
    contents = raw_contents(scratch / "captured")
    assert b"'before'" in contents and b"'after 19'" in contents
    verified = run_understudy("verify", scratch / "captured")
    assert "packets dropped by the kernel" in verified.stdout, verified.stdout


def test_a_directory_that_is_not_the_users_is_refused(scratch):
    os.chmod(scratch, 0o755)
    (scratch / "mine").mkdir(mode=0o700)
    result = subprocess.run([*AS_ROOT, binary(), "record", "--interface", "lo", "--output", str(scratch / "mine"),
                             "--user", "nobody"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "mine: Permission denied for the user nobody" in result.stderr, result.stderr
    assert "--user" in result.stderr, result.stderr
    assert list((scratch / "mine").iterdir()) == []


@pytest.mark.parametrize("arguments, words", (
    ((), "expected one of --pcap FILE... and --interface NAME"),
    (("--pcap", "x.pcap", "--interface", "lo", "--output", "y"), "expected one of"),
    (("--pcap", "x.pcap"), "expected --output DIR"),
    (("--pcap", "--output", "y"), "--pcap: expected the names"),
    (("--interface", "lo", "--output", "y", "--ring", "7"), "--ring 7: expected a size"),
    (("--pcap", "x.pcap", "--output", "y", "--user", "z"), "--user is for --interface"),
    (("--pcap", "x.pcap", "--output", "y", "--overlap", "both"), "--overlap both: expected first or last"),
    (("--pcap", "x.pcap", "--output", "y", "--port", "0"), "--port 0"),
    (("--pcap", "x.pcap", "--output", "y", "--port", "70000"), "--port 70000: expected a number"),
    (("--interface", "lo", "--output", "y", "--user", ""), "--user: expected a name"),
))
def test_bad_usage_is_told_and_answered_with_2(arguments, words, scratch):
    result = run_understudy("record", *arguments, cwd=scratch)
    assert result.returncode == 2 and words in result.stderr, result.stderr
    assert list(scratch.iterdir()) == []


def test_what_cannot_be_read_is_named_and_what_can_is_recorded(dumped, scratch):
    assert "missing.pcap" in run_understudy("record", "--pcap", scratch / "missing.pcap", "--output",
                                            scratch / "none").stderr
    (scratch / "text.pcap").write_text("this is none\n")
    result = run_understudy("record", "--pcap", scratch / "text.pcap", "--output", scratch / "none")
    assert result.returncode == 1 and "is no capture file" in result.stdout, result.stdout
    assert "written                   nothing" in result.stdout
    assert not (scratch / "none").exists(), "nothing is left behind"
    (scratch / "mine").mkdir()
    (scratch / "mine/file").write_text("kept\n")
    result = run_understudy("record", "--pcap", scratch / "text.pcap", "--output", scratch / "mine")
    assert result.returncode == 1 and not list((scratch / "mine").glob("*.transcript"))
    assert (scratch / "mine/file").exists()
    result = run_understudy("record", "--pcap", scratch / "text.pcap", "--output", scratch / "not/there/yet")
    assert result.returncode == 1 and not (scratch / "not").exists()
    cut = dumped.read_bytes()[:-7]
    (scratch / "cut.pcap").write_bytes(cut)
    summary = record_files(scratch / "cut", scratch / "cut.pcap", status=3)
    (unread,) = summary["files_not_read"]
    assert unread["offset"] + unread["bytes_left"] == len(cut) and "ends inside a record" in unread["error"]
    assert summary["sessions"]["whole"] == 4
    gone = run_understudy("record", "--interface", "no-such-interface", "--output", scratch / "gone")
    assert gone.returncode == 1 and "cannot capture on no-such-interface" in gone.stderr


def test_what_was_not_meant_is_told(dumped, scratch):
    def recorded(*arguments, status=0):
        result = run_understudy("record", "--pcap", *arguments, "--output", scratch / "recording")
        assert result.returncode == status, result.stdout + result.stderr
        return " ".join((result.stdout + result.stderr).split())

    _, records = pcap_records(dumped.read_bytes())
    told = recorded(dumped, "--port", "1")
    assert f"of other ports {len(records)} packets, not looked at; the ports seen most:" in told, told
    ports = re.search("ports seen most: ([0-9, ]+[0-9])", told).group(1).split(", ")
    counts = json.loads(run_understudy("record", "--pcap", dumped, "--output", scratch / "json", "--port", "1",
                                       "--json").stdout)["packets"]
    assert [str(port) for port in counts["busiest_other_ports"]] == ports
    # What is read once more is there twice.
    assert "beside what was there, up to run 1" in recorded(dumped)
    segment = next((scratch / "recording").glob("*.transcript"))
    assert "is a recording of understudy's, not a capture" in recorded(segment, status=1)
    (scratch / "keys").write_text("what is no key log\n")
    assert "has no line \"LABEL CLIENT_RANDOM SECRET\"" in recorded(dumped, "--tls-keys", scratch / "keys")


def test_rotated_files_are_read_in_the_order_of_their_packets(dumped, scratch):
    header, records = pcap_records(dumped.read_bytes())
    names = []
    for number in range(12):
        names.append(scratch / f"rotated.pcap{number}")
        part = records[len(records) * number // 12:len(records) * (number + 1) // 12]
        names[-1].write_bytes(header + b"".join(part))
    record_files(scratch / "rotated", *sorted(names, key=str))  # 0, 1, 10, 11, 2, ...
    record_files(scratch / "whole", dumped)
    assert read_sessions(scratch / "rotated") == read_sessions(scratch / "whole")


def test_a_signal_ends_a_capture_whose_clients_go_on(make_server, scratch):
    server = make_server()
    with Capture(server.port, scratch / "captured") as capture, RawSession(server.port) as session:
        assert session.ask("SELECT 42") == "42"
        summary = capture.stop()
    assert summary["sessions"]["whole"] == summary["sessions"]["unfinished"] == 1
    assert run_understudy("verify", scratch / "captured").returncode == 0
    assert "still open" in run_understudy("show", scratch / "captured").stdout
