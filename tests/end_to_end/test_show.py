"""Does `show` tell what real clients said, and nothing it must not?"""

import json
import re
import subprocess

import psycopg
import pytest

from postgres_server import BIN, Server
from understudy_process import Proxy, binary, run_understudy
from waiting import scaled

PASSWORD = "correct horse battery"
METHODS = ("password", "md5", "scram-sha-256")


@pytest.fixture(scope="module")
def recorded(template, tmp_path_factory):
    """What psql, psycopg, pgbench and a client of bare hands said, and the key the last was given."""
    recording = tmp_path_factory.mktemp("recorded") / "recording"
    hba = "local all postgres trust\nhost all postgres all trust\n"
    hba += "".join(f'host all "{method}" all {method}\n' for method in METHODS)
    with Server(template, hba=hba) as server:
        server.start()
        for method in METHODS:
            encryption = "md5" if method == "md5" else "scram-sha-256"
            server.execute(f"SET password_encryption = '{encryption}'; "
                           f"CREATE ROLE \"{method}\" LOGIN PASSWORD '{PASSWORD}'")
        subprocess.run([str(BIN / "pgbench"), "-i", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres",
                        "postgres"], check=True, capture_output=True, timeout=120)
        with Proxy(server.tcp, record=recording) as proxy:
            say_in_psql(proxy)
            say_in_psycopg(proxy)
            for method in METHODS:
                with proxy.connect(user=method, password=PASSWORD) as client:
                    client.execute("SELECT 'as ' || current_user")
                with pytest.raises(psycopg.OperationalError):
                    proxy.connect(user=method, password="wrong " + PASSWORD)
            subprocess.run([str(BIN / "pgbench"), "-n", "-c", "4", "-t", str(scaled(500)), "-M", "prepared"],
                           env={**proxy.environment, "PGAPPNAME": "the bench"}, check=True, capture_output=True,
                           timeout=300)
            key = log_in_by_hand(proxy)
            assert proxy.stop() == 0
    return recording, key


def say_in_psql(proxy):
    script = """
        CREATE TABLE t (id int PRIMARY KEY, name text, raw bytea);
        INSERT INTO t VALUES (1, E'red \\x1b[31m text \\x07', '\\x00ff');
        SELECT * FROM t;
        BEGIN; INSERT INTO t VALUES (1, 'again', NULL); ROLLBACK;
        COPY t FROM STDIN;
2\tcopied\t\\N
\\.
        LISTEN news; NOTIFY news, 'extra';
    """
    subprocess.run([str(BIN / "psql"), "-X"], input=script, text=True, capture_output=True, timeout=120,
                   env={**proxy.environment, "PGAPPNAME": "psql of the test"}, check=True)


def say_in_psycopg(proxy):
    with proxy.connect(application_name="parameters") as client:
        client.execute("SELECT %s::text || %s, %s::bytea", ("it's ", "ü", b"\x00\x01"))
        client.execute("SELECT %b + 1", (41,), binary=True)
        client.execute("SELECT NULL, repeat('x', 5000)", binary=False)


def log_in_by_hand(proxy):
    """A session of bare hands, that keeps its cancel key."""
    with proxy.raw() as connection:
        parameters = b"user\0postgres\0database\0postgres\0\0"
        connection.sendall((8 + len(parameters)).to_bytes(4, "big") + b"\0\3\0\0" + parameters)
        received = b""
        while not received.endswith(b"Z\0\0\0\5I"):
            received += connection.recv(65536)
        connection.sendall(b"X\0\0\0\4")
    at = received.index(b"K\0\0\0\x0c")
    return received[at + 9:at + 13]


def sessions(recording, *filters):
    result = run_understudy("show", recording, "--json", *filters)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["sessions"]


def session_of(recording, application):
    return sessions(recording, "--application", application)[0]["session"]


def test_the_list_tells_who_was_there(recorded):
    recording, _ = recorded
    marks = run_understudy("show", recording, "--marks")
    assert (marks.returncode, marks.stdout) == (0, "") and "there is no mark in it" in marks.stderr
    listed = run_understudy("show", recording)
    assert listed.returncode == 0 and listed.stderr == ""
    assert re.search(r"1\.1 +\d{4}-\S+Z .* postgres +postgres +psql of the test +127\.0\.0\.1:\d+ .* the client left",
                     listed.stdout)
    everyone = sessions(recording)
    assert len(everyone) == len(listed.stdout.splitlines()) - 1
    assert [one["opened_at"] for one in everyone] == sorted(one["opened_at"] for one in everyone)
    assert sum(one["errors"] for one in everyone if one["application"] == "psql of the test") == 1
    # A refused login is a session too; who hung up first is chance.
    refused = [one for one in everyone if one["errors"] == 1 and one["application"] != "psql of the test"]
    assert len(refused) == len(METHODS)


def test_filters_narrow_the_list(recorded):
    recording, _ = recorded
    everyone = sessions(recording)
    bench = sessions(recording, "--application", "the*")
    assert len(bench) >= 4 and {one["application"] for one in bench} == {"the bench"}
    assert sum(one["requests"] for one in bench) >= 4 * 7 * scaled(500)
    assert {one["user"] for one in sessions(recording, "--user", "md5")} == {"md5"}
    assert sessions(recording, "--database", "nowhere") == []
    assert len(sessions(recording, "--client", "127.0.0.1")) == len(everyone)
    assert sessions(recording, "--client", everyone[1]["peer"])[0]["session"] == everyone[1]["session"]
    assert len(sessions(recording, "--limit", "3")) == 3
    first, last = everyone[0], everyone[-1]
    before = sessions(recording, "--until", last["opened_at"])
    assert first in before and last not in before
    after = sessions(recording, "--from", last["opened_at"])
    assert last in after and first not in after
    assert sessions(recording, "--from", "1h") == []


def test_a_sessions_messages_are_readable(recorded):
    recording, _ = recorded
    psql = run_understudy("show", recording, "--session", session_of(recording, "psql*")).stdout
    for expected in (r"client  Query  CREATE TABLE t",
                     r"server  DataRow  '1', 'red \\x1b\[31m text \\x07', '\\\\x00ff'",
                     r"server  ErrorResponse  ERROR 23505: duplicate key .*\(detail: Key \(id\)=\(1\) already exists\.\)",
                     r"client  CopyData  '2\\tcopied\\t",
                     r"server  NotificationResponse  news: extra",
                     r"--      redacted  the cancel key of the server, never recorded",
                     r"--      closed  the client left"):
        assert re.search(expected, psql), f"{expected}\n{psql}"
    python = run_understudy("show", recording, "--session", session_of(recording, "parameters"), "--full").stdout
    assert re.search(r"Bind  .*: 'it\\'s ', 'ü', \\x0001", python), python
    assert re.search(r"DataRow  \\x0000002a", python), python  # asked for in the binary format
    assert "x" * 5000 in python
    abridged = run_understudy("show", recording, "--session", session_of(recording, "parameters")).stdout
    assert max(map(len, abridged.splitlines())) <= 240


def test_a_sessions_messages_as_json_are_the_same(recorded):
    recording, _ = recorded
    session = session_of(recording, "parameters")
    document = json.loads(run_understudy("show", recording, "--session", session, "--json").stdout)
    lines = run_understudy("show", recording, "--session", session).stdout.splitlines()
    assert len(document["items"]) == len(lines)
    bound = next(item for item in document["items"] if item["type"] == "Bind")
    assert bound["parameters"][:2] == ["it's ", "ü"]
    assert bound["parameters"][2] == {"hex": "0001", "format": "binary"}


def test_statistics_add_up(recorded):
    recording, _ = recorded
    text = run_understudy("show", recording, "--stats")
    assert text.returncode == 0 and "left out by the recorder  nothing" in text.stdout
    statistics = json.loads(run_understudy("show", recording, "--stats", "--json").stdout)
    everyone = sessions(recording)
    assert statistics["sessions"] == statistics["sessions_closed"] == len(everyone)
    for total, each in (("requests", "requests"), ("errors", "errors"), ("client_bytes", "client_bytes"),
                        ("server_bytes", "server_bytes"), ("client_messages", "client_messages"),
                        ("server_messages", "server_messages")):
        assert statistics[total] == sum(one[each] for one in everyone), total
    assert statistics["file_bytes"] == sum(path.stat().st_size for path in recording.glob("*.transcript"))
    assert statistics["compression_ratio"] > 2


def test_no_secret_is_in_any_output(recorded):
    recording, key = recorded
    outputs = [run_understudy("show", recording), run_understudy("show", recording, "--json"),
               run_understudy("export", recording, "--format", "jsonl"),
               run_understudy("export", recording, "--format", "sql")]
    for one in sessions(recording):
        if one["application"] == "the bench":
            continue
        outputs += [run_understudy("show", recording, "--session", one["session"], "--full", *json_too)
                    for json_too in ([], ["--json"])]
    text = "".join(output.stdout + output.stderr for output in outputs)
    assert "never recorded" in text and "AuthenticationResponse" not in text
    for secret in (PASSWORD, key.hex(), key.decode("latin-1"), "SCRAM-SHA-256$", "c=biws", "r="):
        assert secret not in text, secret
    # An md5 answer, however it was salted.
    assert not re.search(r"\bmd5[0-9a-f]{32}\b", text)


def test_no_control_character_of_the_recording_reaches_the_terminal(recorded):
    recording, _ = recorded
    for options in ((), ("--session", session_of(recording, "psql*"), "--full"),
                    ("--session", session_of(recording, "psql*"), "--json")):
        shown = subprocess.run([binary(), "show", str(recording), *options], capture_output=True, timeout=120).stdout
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", shown)


@pytest.mark.parametrize("command", (("show", "--json"), ("show", "--session", "bench", "--full"),
                                     ("export", "--format", "jsonl"), ("export", "--format", "sql")))
def test_a_reader_that_leaves_ends_it_quietly(recorded, command):
    recording, _ = recorded
    name, *options = command
    options = [session_of(recording, "the bench") if option == "bench" else option for option in options]
    with subprocess.Popen([binary(), name, str(recording), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_a_full_disk_is_said(recorded):
    recording, _ = recorded
    with open("/dev/full", "wb") as full:
        result = subprocess.run([binary(), "show", str(recording), "--stats"], stdout=full, stderr=subprocess.PIPE,
                                timeout=120)
    assert result.returncode == 1
    assert b"cannot be written: No space left on device" in result.stderr
