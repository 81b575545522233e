"""While the disk is full, refuses, stalls, or its directory is deleted, does any client notice? And is what is missing in
the recording known to the byte, in the recording, the log and the metrics?"""

import errno
import json
import shutil
import struct

import pytest

import transcripts
from admin_port import Admin
from failing_disk import Disk
from replaying import Speaker, query
from understudy_process import run_understudy
from waiting import await_condition, free_port

SESSIONS = 4
# About 2 KB that compress by half only, always as long.
SQL = "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 64)"
TERMINATE_BYTES = 5


class Client(Speaker):
    """Counts what it said and was told, and takes no error for an answer."""

    def __init__(self, port):
        self.sent = self.received = 0
        super().__init__(port)

    def read_message(self):
        message = super().read_message()
        if message:
            self.received += 5 + len(message[1])
            assert message[0] != "E", message
        return message

    def say(self, sql):
        self.send(query(sql))
        self.sent += len(query(sql))

    def ask(self, sql):
        self.say(sql)
        self.read_until("Z")

    def close(self):
        super().close()
        self.sent += TERMINATE_BYTES


class Recorded:
    """A proxy that records onto `disk`, its clients, and what its metrics say."""

    def __init__(self, proxy, recording):
        self.proxy, self.recording = proxy, recording
        self._admin = Admin(proxy)
        self.clients = [Client(proxy.port) for _ in range(SESSIONS)]

    def work_until(self, condition, what):
        """All clients ask, in turn, until it holds."""
        def step():
            for _ in range(10):
                for client in self.clients:
                    client.ask(SQL)
            return condition()
        await_condition(step, lambda: f"{what}; the proxy logged\n{self.proxy.log()}", longest_pause_s=0.002)

    def logged(self, words):
        return lambda: words in self.proxy.log()

    def metric(self, name):
        return int(self._admin.metrics()[f"understudy_recording_{name}"])

    def end(self):
        """Ends clients and proxy; the sums that verify gives."""
        for client in self.clients:
            client.ask("SELECT 'the last words'")
            client.close()
        self.counts = {name: self.metric(name) for name in ("events_lost_total", "bytes_lost_total", "sessions_shed_total",
                                                             "events_shed_total", "disk_errors_total")}
        self.status = self.proxy.stop()
        return json.loads(run_understudy("verify", self.recording, "--json").stdout)

    def assert_every_byte_is_accounted_for(self, clients=None):
        """What is on record and what gaps say is missing is what was said, session by session, side by side."""
        sessions = transcripts.read_sessions(self.recording, torn=True)
        holes = 0
        for number, client in enumerate(clients or self.clients, start=1):
            events = sessions[(1, number)]
            gaps = [gap_of(event) for event in events if event.kind == transcripts.GAP]
            holes += len(gaps)
            said = len(transcripts.stream(events, transcripts.CLIENT)) + sum(gap["client"] for gap in gaps)
            told = len(transcripts.stream(events, transcripts.SERVER)) + sum(gap["server"] for gap in gaps)
            assert (said, told) == (client.sent, client.received), f"session 1.{number}: {gaps}"
            assert all(0 < gap["from"] <= gap["to"] for gap in gaps)
        return holes


    def assert_says_whether_it_is_whole(self, whole):
        """Exit status, log and verify agree."""
        assert self.status == (0 if whole else 1), self.proxy.log()
        assert " recording_ended " in self.proxy.log() and f" whole={'yes' if whole else 'no'} " in self.proxy.log()
        assert (" recorded " if whole else " recorded_in_part ") in self.proxy.log()
        if not whole:
            assert run_understudy("verify", self.recording).returncode == 1


def gap_of(event):
    reason, begin, end = struct.unpack_from("<Bqq", event.data)
    varints = transcripts.Varints(event.data[17:])
    return {"reason": reason, "from": begin, "to": end, "client": varints.next(), "server": varints.next(),
            "events": varints.next()}


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.remove()


@pytest.fixture
def record(server, make_proxy, disk, monkeypatch):
    def begin(segment_size="1MiB"):
        for name, value in disk.environment.items():
            monkeypatch.setenv(name, value)
        recording = disk.path / "recording"
        proxy = make_proxy(server.tcp, "--record-segment-size", segment_size, "--record-buffer", "4MiB", "--admin-listen",
                           f"127.0.0.1:{free_port()}", record=recording)
        return Recorded(proxy, recording)
    return begin


def assert_told(recorded, report, reason):
    """The loss is in the file with its reason and times, and as large as the metrics say."""
    losses = [loss for segment in report["segments"] for loss in segment["losses"]]
    assert losses and all(loss["reason"] == "disk error" for loss in losses), losses
    assert any(reason in loss["detail"] for loss in losses), losses
    assert all(loss["from"] <= loss["to"] and loss["sessions"] <= SESSIONS for loss in losses)
    summary = report["summary"]
    assert summary["loss_events"] == recorded.counts["events_lost_total"] > 0
    assert summary["loss_bytes"] == recorded.counts["bytes_lost_total"] > 0
    assert recorded.counts["disk_errors_total"] > 0
    assert recorded.counts["sessions_shed_total"] == 0
    recorded.assert_says_whether_it_is_whole(False)


def test_a_disk_that_fills_up_costs_what_the_recording_says_and_nothing_else(record, disk):
    limited = disk.limit(3)
    recorded = record()
    if not limited:
        recorded.work_until(lambda: recorded.metric("segments_total") > 2, "some segments")
        disk.fill_up()
    recorded.work_until(recorded.logged("not recording: "), "the disk to be full")
    recorded.work_until(lambda: recorded.metric("disk_failing") == 1, "the metrics to say so")
    recorded.work_until(lambda: recorded.metric("events_lost_total") > 0, "more than the buffer holds")
    if limited:
        disk.limit(200)
    disk.mend()
    recorded.work_until(recorded.logged("recording again, after "), "the recorder to go on")
    recorded.work_until(lambda: recorded.metric("disk_failing") == 0, "the metrics to say so")
    report = recorded.end()
    assert_told(recorded, report, "No space left on device")
    assert recorded.assert_every_byte_is_accounted_for() >= SESSIONS
    assert report["chain"]["whole"], report["chain"]
    assert "No space left on device" in recorded.proxy.log()


def test_a_read_only_disk_likewise(record, disk):
    recorded = record()
    recorded.work_until(lambda: recorded.metric("chunks_total") > 1, "something to be recorded")
    disk.fail(errno.EROFS)
    recorded.work_until(lambda: recorded.metric("events_lost_total") > 0, "more than the buffer holds")
    disk.mend()
    recorded.work_until(recorded.logged("recording again, after "), "the recorder to go on")
    report = recorded.end()
    assert_told(recorded, report, "Read-only file system")
    assert recorded.assert_every_byte_is_accounted_for() >= SESSIONS
    assert report["chain"]["whole"], report["chain"]


def test_a_short_outage_costs_nothing(record, disk):
    recorded = record()
    recorded.work_until(lambda: recorded.metric("chunks_total") > 1, "something to be recorded")
    disk.fail(errno.EIO)
    for client in recorded.clients:
        client.ask(SQL)
    await_condition(recorded.logged("not recording: "), "the disk to refuse")
    disk.mend()
    await_condition(recorded.logged("recording again, after "), "the recorder to go on")
    report = recorded.end()
    assert (report["summary"]["loss_records"], report["summary"]["gaps"]) == (0, 0)
    assert recorded.assert_every_byte_is_accounted_for() == 0
    assert report["chain"]["whole"], report["chain"]
    recorded.assert_says_whether_it_is_whole(True)


def test_a_deleted_directory_is_noticed_and_what_was_in_it_is_told(record):
    recorded = record("1GiB")  # what was in complete segments the recorder does not look after
    recorded.work_until(lambda: recorded.metric("chunks_total") > 1, "something to be recorded")
    shutil.rmtree(recorded.recording)
    recorded.work_until(recorded.logged("was deleted while it was being written"), "it to be noticed")
    recorded.work_until(lambda: list(recorded.recording.glob("*.transcript")), "another directory")
    report = recorded.end()
    assert_told(recorded, report, "was deleted while it was being written")
    assert recorded.assert_every_byte_is_accounted_for() >= SESSIONS


def test_a_stalled_disk_and_a_client_that_does_not_read_delay_nobody_else(record, disk):
    recorded = record()
    slow = Client(recorded.proxy.port)
    recorded.work_until(lambda: recorded.metric("chunks_total") > 1, "something to be recorded")
    disk.stall()
    slow.say("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    recorded.work_until(lambda: recorded.metric("sessions_shed_total") >= SESSIONS, "the buffer to be full")
    late = Client(recorded.proxy.port)
    late.ask(SQL)
    late.close()
    disk.mend()
    slow.read_until("Z")
    assert slow.received > 20_000_000
    clients = [*recorded.clients, slow]
    recorded.clients.append(slow)
    recorded.work_until(recorded.logged("more sessions shed from the recording"), "it to be logged")
    report = recorded.end()
    summary = report["summary"]
    assert summary["gaps"] >= SESSIONS and summary["gap_bytes"] > 0
    assert recorded.counts["events_lost_total"] == 0
    assert recorded.assert_every_byte_is_accounted_for(clients) >= SESSIONS
    shed = recorded.counts["sessions_shed_total"]
    sessions_with_gaps = sum(any(event.kind == transcripts.GAP for event in events)
                             for events in transcripts.read_sessions(recorded.recording).values())
    assert sessions_with_gaps + summary["loss_sessions"] == shed
    shown = json.loads(run_understudy("show", recorded.recording, "--stats", "--json").stdout)["missing"]["overload"]
    assert (shown["gap_sessions"], shown["gap_bytes"]) == (sessions_with_gaps, summary["gap_bytes"])
    recorded.assert_says_whether_it_is_whole(False)
