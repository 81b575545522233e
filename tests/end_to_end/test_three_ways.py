"""The quickstart's traffic, captured three ways at once: by the proxy, from the packets between it and the server, and from the
server's log. Do all three say the same?"""

import csv
import json
import pathlib
import re
import sys

import pytest

from capturing import Capture
from postgres_server import BIN, Server
from processes import make_directory, remove_directory
from server_logs import asked_in_recording, log_file, logging
from transcripts import CLIENT, SERVER, process_id, read_sessions, stream
from understudy_process import Proxy, run_understudy
from waiting import await_condition, scaled

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "samples/tour"))
import traffic  # noqa: E402  pylint: disable=wrong-import-position,wrong-import-order

CLIENTS = "tour"


def begin(server, environment):
    """The starting data, made beside the proxy; how long the logs are then."""
    beside = {**environment, "PGPORT": str(server.port), "PGAPPNAME": "beginning"}
    traffic.run([BIN / "pgbench", "-i", "-q"], beside)
    traffic.run([BIN / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", traffic.HERE / "starting_data.sql"], beside)
    await_condition(lambda: len(disconnected(server, "beginning")) == 2, "the beginning in the log")
    return {dialect: log_file(server, dialect).stat().st_size for dialect in ("stderr", "csv", "json")}


def disconnected(server, application):
    with open(log_file(server, "csv"), encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file)
                if len(row) > 22 and row[22] == application and row[13].startswith("disconnection: ")]


def play(environment):
    for seed, protocol in enumerate(("simple", "extended", "prepared")):
        traffic.run([BIN / "pgbench", "-n", "-M", protocol, "-c", 8, "-j", 2, "-t", scaled(250, least=25),
                     f"--random-seed={seed}"], environment)
    for client in (traffic.psql_script, traffic.psql_cancelled, traffic.psycopg_pipeline, traffic.node_postgres):
        client(environment)
    if scaled(10) == 10:
        traffic.psql_big_result(environment)


def by_process(recording):
    return {process_id(events): events for events in read_sessions(recording).values()}


def as_text(value):
    """A log has every parameter as text; of those that are sent in binary, these clients send whole numbers only."""
    number = re.fullmatch(r"\\x((?:[0-9a-f]{4}){1,2}|[0-9a-f]{16})", value or "")
    return str(int.from_bytes(bytes.fromhex(number[1]), "big", signed=True)) if number else value


def normalised(sessions):
    """Without what the server never ran: it skipped it, behind an error in a pipeline."""
    return sorted([[(kind, sql, tuple(map(as_text, values))) for kind, sql, values in asked if sql != "SELECT 'skipped'"]
                   for asked in sessions], key=repr)


@pytest.mark.parametrize("dialect", ["stderr", "csv", "json"], scope="module")
def test_the_log_says_what_the_proxy_heard(three_ways, dialect):
    assert normalised(three_ways[dialect]) == normalised(three_ways["proxy"])


def test_the_packets_say_what_the_proxy_heard(three_ways):
    assert three_ways["packets"] == three_ways["proxy"]


def test_the_packets_are_what_the_proxy_relayed_byte_by_byte(three_ways):
    recorded, captured = by_process(three_ways["recorded"]), by_process(three_ways["captured"])
    assert len(recorded) > 3 * 8 and captured.keys() > recorded.keys()  # there, the watcher's own too
    for process, events in recorded.items():
        for side in (CLIENT, SERVER):
            assert stream(events, side) == stream(captured[process], side)


@pytest.fixture(scope="module")
def three_ways(template):
    """What was asked, by way; and where the two recordings of bytes are."""
    scratch = pathlib.Path(make_directory("three"))
    patch = pytest.MonkeyPatch()
    patch.setenv("PGAPPNAME", CLIENTS)
    try:
        with Server(template, settings=logging()) as server:
            server.start()
            with Proxy(server.tcp, record=scratch / "recorded") as proxy:
                environment = traffic.environment_for("127.0.0.1", proxy.port, server)
                environment["DIRECT"] += " application_name=watcher"
                before = begin(server, environment)
                with Capture(server.port, scratch / "captured") as capture:
                    play(environment)
                    assert proxy.stop() == 0
                    sessions = len(read_sessions(scratch / "recorded"))
                    await_condition(lambda: len(disconnected(server, CLIENTS)) == sessions, "all sessions in the log")
                    summary = capture.stop()
            assert summary["packets"]["dropped_by_kernel"] == summary["sessions"]["lost_bytes"] == 0
            ways = {"recorded": scratch / "recorded", "captured": scratch / "captured",
                    "proxy": asked_in_recording(scratch / "recorded")[CLIENTS],
                    "packets": asked_in_recording(scratch / "captured")[CLIENTS]}
            for dialect, length in before.items():
                log = scratch / f"part.{dialect}"
                await_condition(lambda: log_file(server, dialect).read_bytes().count(b"disconnection: ") >= sessions + 2,  # pylint: disable=cell-var-from-loop
                                "the end in every log")
                log.write_bytes(log_file(server, dialect).read_bytes()[length:])
                result = run_understudy("import", log, "--output", scratch / dialect, "--json")
                assert result.returncode == 0, result.stdout + result.stderr
                assert json.loads(result.stdout)["files"][0]["format"] == dialect
                ways[dialect] = asked_in_recording(scratch / dialect)[CLIENTS]
            yield ways
    finally:
        patch.undo()
        remove_directory(scratch)
