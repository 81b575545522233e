"""Does `verify` say what is whole and what is lost, and does every command name file and offset of what it cannot read?"""

import json
import os
import re
import subprocess

import pytest

from harmed_recordings import of_a_newer_version
from postgres_server import BIN, Server
from understudy_process import Proxy, binary, run_understudy
from waiting import await_condition, scaled

COMMANDS = (("verify",), ("show",), ("show", "--stats"), ("export", "--format", "jsonl"), ("export", "--format", "sql"))
# Which go no further than to open it. (Nobody is asked at that address.)
READERS = (*COMMANDS, ("replay", "--to", "postgresql://postgres@127.0.0.1:1/postgres"), ("diff",))


@pytest.fixture(scope="module")
def recorded(template, tmp_path_factory):
    """A recording of several segments."""
    recording = tmp_path_factory.mktemp("recorded") / "recording"
    with Server(template) as server:
        server.start()
        with Proxy(server.tcp, "--record-segment-size", "1MiB", record=recording) as proxy:
            with proxy.connect() as client:
                # Text that does not compress, so that there are segments.
                for _ in range(scaled(20, least=16)):
                    client.execute("SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20000)")
            assert proxy.stop() == 0
    assert len(list(recording.glob("*.transcript"))) >= 3
    return recording


@pytest.fixture
def copied(recorded, scratch):
    """Of which a test may harm its own copy."""
    subprocess.run(["cp", "-a", str(recorded), str(scratch / "copy")], check=True)
    return scratch / "copy"


def run(command, recording):
    name, *options = command
    if name == "diff":
        options = [recording]
    return run_understudy(name, recording, *options)


def refused(command, recording, *expected):
    result = run(command, recording)
    assert result.returncode == (2 if command[0] in ("verify", "diff") else 1), result.stdout + result.stderr
    for words in expected:
        assert re.search(words, result.stderr), result.stderr
    assert "Sanitizer" not in result.stderr


def test_a_closed_pipe_does_not_change_what_the_exit_code_says(copied):
    def status():
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as nobody:
            return subprocess.run([binary(), "verify", copied], stdout=nobody, stderr=subprocess.DEVNULL, timeout=120,
                                  check=False).returncode

    assert status() == 0
    segment = sorted(copied.glob("*.transcript"))[1]
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    assert status() == 1
    segment.write_bytes(b"foreign")
    assert status() == 2


def test_a_whole_recording_gives_0_and_counts_what_is_in_it(recorded):
    result = run_understudy("verify", recorded)
    assert (result.returncode, result.stderr) == (0, "")
    assert "lost   nothing" in result.stdout
    report = json.loads(run_understudy("verify", recorded, "--json").stdout)
    assert report["summary"]["whole"] is True
    assert report["summary"]["sessions"] == 1
    assert report["summary"]["size_bytes"] == sum(path.stat().st_size for path in recorded.glob("*.transcript"))
    assert [segment["verdict"] for segment in report["segments"]] == ["whole"] * len(report["segments"])


def test_each_segment_is_a_recording_by_itself(recorded):
    for segment in recorded.glob("*.transcript"):
        assert run_understudy("verify", segment).returncode == 0
        assert "postgres" in run_understudy("show", segment).stdout


@pytest.mark.parametrize("command", READERS)
def test_what_cannot_be_read_is_named_with_file_and_offset(recorded, scratch, command):
    whole = (recorded / "000001-000001.transcript").read_bytes()
    foreign = scratch / "foreign.bin"
    foreign.write_bytes(b"PK\x03\x04" + bytes(1000))
    refused(command, foreign, r"foreign\.bin: not an understudy transcript \(at byte 0\)")
    newer = scratch / "newer.transcript"
    newer.write_bytes(of_a_newer_version(whole))
    refused(command, newer, r"newer\.transcript: written in transcript format 2\.1.*\(at byte 38\)")
    empty = scratch / "empty.transcript"
    empty.write_bytes(b"")
    refused(command, empty, r"empty\.transcript: is empty.*\(at byte 0\)")
    refused(command, scratch / "missing", "missing: no such file or directory")
    (scratch / "directory").mkdir()
    refused(command, scratch / "directory", "directory: holds no recording")


@pytest.mark.parametrize("share", (0.01, 0.3, 0.7, 0.999))
def test_a_truncated_segment_is_read_up_to_the_cut_which_is_named(copied, share):
    segment = copied / "000001-000002.transcript"
    whole = segment.read_bytes()
    cut = int(len(whole) * share)
    segment.write_bytes(whole[:cut])
    result = run_understudy("verify", copied)
    assert result.returncode == 1, result.stdout + result.stderr
    found = re.search(r"the last (\d+) bytes?, from offset (\d+) on", result.stdout)
    assert found, result.stdout
    assert int(found.group(1)) + int(found.group(2)) == cut
    others = len(list(copied.glob("*.transcript"))) - 1
    assert f"{others} whole, 1 unclean" in result.stdout
    for command in COMMANDS[1:]:
        shown = run(command, copied)
        assert shown.returncode == 3, shown.stderr
        assert f"000001-000002.transcript, offset {found.group(2)}: file ends inside" in shown.stderr


def test_a_flipped_bit_costs_its_chunk_and_is_named(copied):
    segment = copied / "000001-000002.transcript"
    contents = bytearray(segment.read_bytes())
    at = len(contents) // 2
    contents[at] ^= 0x10
    segment.write_bytes(contents)
    result = run_understudy("verify", copied)
    assert result.returncode == 1
    damaged = re.search(r"damaged at offset (\d+): .*; (\d+) bytes? lost", result.stdout)
    assert damaged and int(damaged.group(1)) <= at < int(damaged.group(1)) + int(damaged.group(2)), result.stdout
    assert "1 damaged" in result.stdout


def test_one_unusable_segment_does_not_keep_the_others_from_being_checked(copied):
    (copied / "000001-000002.transcript").write_bytes(b"something else entirely, longer than a header is")
    result = run_understudy("verify", copied)
    assert result.returncode == 2
    assert "000001-000002.transcript: not an understudy transcript (at byte 0)" in result.stderr
    assert result.stdout.count("  whole  ") >= 2  # the others
    verdicts = [one["verdict"] for one in json.loads(run_understudy("verify", copied, "--json").stdout)["segments"]]
    assert verdicts.count("unusable") == 1 and verdicts.count("whole") == len(verdicts) - 1


def test_after_a_kill_the_unfinished_tail_is_told_in_plain_words(make_server, make_proxy, scratch):
    server = make_server()
    recording = scratch / "recording"
    proxy = make_proxy(server.tcp, record=recording)
    load = subprocess.Popen([str(BIN / "psql"), "-X"], env=proxy.environment, stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        load.stdin.write(b"SELECT 'sealed before the kill';\n")
        load.stdin.flush()
        await_condition(lambda: any(path.stat().st_size > 400 for path in recording.glob("*.transcript")),
                        "a chunk to be sealed")
        proxy.kill()
    finally:
        load.stdin.close()
        load.wait(60)
    result = run_understudy("verify", recording)
    assert result.returncode == 1
    assert "000001-000001.transcript    unclean" in result.stdout
    assert "not closed: its writer was killed, lost power, or is still writing" in result.stdout
    assert "sealed before the kill" in run_understudy("show", recording, "--session", "1.1").stdout
    assert "unclean segments          1" in run_understudy("show", recording, "--stats").stdout


def test_a_recording_that_is_still_written_can_be_looked_at(make_server, make_proxy, scratch):
    server = make_server()
    recording = scratch / "recording"
    proxy = make_proxy(server.tcp, record=recording)
    with proxy.connect() as client:
        client.execute("SELECT 'while it is written'")
        await_condition(lambda: "while it is written" in run_understudy("export", recording, "--format", "jsonl").stdout,
                        "the statement to be sealed")
        assert run_understudy("verify", recording).returncode == 1
        assert "its end is not on record" in run_understudy("show", recording).stdout
    assert proxy.stop() == 0
    assert run_understudy("verify", recording).returncode == 0


def test_a_run_taken_out_and_newest_ones_deleted_are_found_out(make_server, make_proxy, scratch):
    server = make_server()
    recording = scratch / "recording"
    for run in range(3):
        proxy = make_proxy(server.tcp, record=recording)
        with proxy.connect() as client:
            client.execute(f"SELECT 'run {run + 1}'")
        assert proxy.stop() == 0
    whole = run_understudy("verify", recording)
    assert whole.returncode == 0, whole.stdout
    [kept] = re.findall("chain ends at ([0-9a-f]{64})$", whole.stdout, re.MULTILINE)
    assert run_understudy("verify", recording, "--expect", kept).returncode == 0
    newest, = recording.glob("000003-*.transcript")
    newest.rename(scratch / "aside")
    assert run_understudy("verify", recording).returncode == 0  # nothing in the files tells
    assert run_understudy("verify", recording, "--expect", kept).returncode == 1
    (scratch / "aside").rename(newest)
    for path in recording.glob("000002-*.transcript"):
        path.unlink()
    result = run_understudy("verify", recording)
    assert result.returncode == 1 and "follows run 2, of which nothing is here" in " ".join(result.stdout.split()), result.stdout
