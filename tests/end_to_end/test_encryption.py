"""Encrypted recordings: does every command read them with the key, and nobody anything without? Is whatever was changed,
moved, swapped or taken out named, by file, and is there no key or passphrase in anything that is written or printed?"""

import json
import pathlib
import re
import secrets
import shutil
import subprocess

import pytest

from postgres_server import Server
from replaying import raw_contents
from understudy_process import Proxy, run_understudy
from waiting import await_condition, free_port, scaled

KEY = secrets.token_hex(32)
PASSPHRASE = "correct horse " + secrets.token_hex(8)
WORD = "sesame_" + secrets.token_hex(4)
READERS = (("show",), ("show", "--stats"), ("show", "--session", "1.1"), ("export", "--format", "jsonl"),
           ("export", "--format", "sql"))


def key_file(directory, contents=KEY, name="recording.key"):
    path = pathlib.Path(directory) / name
    path.write_text(f"# made for a test\n{contents}\n", encoding="ascii")
    path.chmod(0o600)
    return path


def say(proxy, statements):
    with proxy.connect(application_name=WORD) as client:
        client.execute(f"CREATE TABLE IF NOT EXISTS {WORD} (word text)")
        for _ in range(statements):
            client.execute(f"SELECT '{WORD}', string_agg(md5(random()::text), '') FROM generate_series(1, 20000)")
        client.execute(f"INSERT INTO {WORD} VALUES ('{WORD}')")


@pytest.fixture(scope="module")
def recorded(template, tmp_path_factory):
    """(recording of several segments, its key file, what was printed meanwhile)"""
    directory = tmp_path_factory.mktemp("encrypted")
    with Server(template) as server:
        server.start()
        with Proxy(server.tcp, "--record-segment-size", "1MiB", "--record-key-file", key_file(directory),
                   record=directory / "recording") as proxy:
            say(proxy, scaled(20, least=16))
            assert proxy.stop() == 0
            log = proxy.log()
    assert len(list((directory / "recording").glob("*.transcript"))) >= 4
    return directory / "recording", directory / "recording.key", log


@pytest.fixture
def copied(recorded, scratch):
    subprocess.run(["cp", "-a", str(recorded[0]), str(scratch / "copy")], check=True)
    return scratch / "copy"


def segment(recording, number):
    return recording / f"000001-{number:06}.transcript"


def test_nothing_that_was_said_and_no_key_is_in_any_file_or_log(recorded):
    recording, key, log = recorded
    said = [run_understudy(name, recording, *options, "--key-file", key) for name, *options in READERS]
    refused = [run_understudy(name, recording, *options) for name, *options in READERS]
    for one in said:
        assert one.returncode == 0 and WORD in one.stdout + run_understudy("show", recording, "--key-file", key).stdout, one
    files = b"".join(path.read_bytes() for path in sorted(recording.iterdir()))
    assert raw_contents(recording) == b"", "zstd finds nothing to decompress"
    for plain in (WORD, "postgres", "generate_series", "127.0.0.1", "SELECT"):
        assert plain.encode() not in files
    for text in (files.decode("latin-1"), log, *(one.stdout + one.stderr for one in (*said, *refused))):
        assert KEY not in text and KEY.upper() not in text
    assert bytes.fromhex(KEY) not in files
    for one in refused:
        assert one.returncode == 1 and WORD not in one.stdout, one
        assert re.search(r"000001-000001\.transcript: is encrypted with the key named \w{16}: give --key-file FILE, or set "
                         r"UNDERSTUDY_KEY_FILE \(at byte \d+\)", one.stderr), one.stderr


def test_the_environment_may_name_the_key(recorded, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(recorded[1]))
    assert WORD in run_understudy("show", recorded[0]).stdout
    assert run_understudy("verify", recorded[0]).returncode == 0


def test_a_wrong_key_is_an_error_that_names_both(recorded, scratch):
    wrong = key_file(scratch, secrets.token_hex(32))
    for name, *options in (*READERS, ("verify",)):
        result = run_understudy(name, recorded[0], *options, "--key-file", wrong)
        assert result.returncode == (2 if name == "verify" else 1), result
        assert re.search(r"wrong key: it was encrypted with the key named \w{16}, and given was \w{16} \(at byte \d+\)",
                         result.stderr), result.stderr
        assert WORD not in result.stdout
        assert "not closed" not in result.stdout + result.stderr and result.stderr.count("wrong key") == 1
    broken = key_file(scratch, KEY[1:], "broken.key")
    result = run_understudy("show", recorded[0], "--key-file", broken)
    assert result.returncode == 1 and "broken.key: line 2: expected a key of 64 hexadecimal digits" in result.stderr
    assert KEY[1:] not in result.stderr


def test_a_key_file_may_hold_keys_of_other_recordings_too(recorded, scratch):
    keys = key_file(scratch, f"{secrets.token_hex(32)}\n{KEY}")
    assert WORD in run_understudy("show", recorded[0], "--key-file", keys).stdout


def test_verify_without_the_key_checks_all_but_the_contents_and_says_so(recorded, copied):
    result = run_understudy("verify", recorded[0])
    assert result.returncode == 0, result.stdout + result.stderr
    told = " ".join(result.stdout.split())
    assert re.search(r"the contents of \d+ encrypted segments were not looked at", told), told
    assert re.search(r"chain run 1: segments 1 to \d+ follow each other; segment \d+ is the last there was", told), told
    with_key = run_understudy("verify", recorded[0], "--key-file", recorded[1])
    assert with_key.returncode == 0 and "not looked at" not in with_key.stdout
    contents = bytearray(segment(copied, 2).read_bytes())
    contents[len(contents) // 2] ^= 1
    segment(copied, 2).write_bytes(contents)
    assert run_understudy("verify", copied).returncode == 1


@pytest.mark.parametrize("with_key", (True, False))
def test_segments_that_are_missing_swapped_or_replaced_are_named(recorded, copied, with_key):
    keys = ["--key-file", recorded[1]] if with_key else []

    def problems():
        result = run_understudy("verify", copied, "--json", *keys)
        told = json.loads(result.stdout)["chain"]["problems"]
        assert result.returncode == (1 if told else 0), result
        return [f"{pathlib.Path(one['file']).name} {one['what']}" for one in told]

    segment(copied, 2).rename(copied / "aside")
    assert any("000001-000003.transcript segment 2 (000001-000002.transcript) is missing" in one for one in problems())
    shutil.copy(segment(copied, 3), segment(copied, 2))
    assert any("000001-000002.transcript holds what was written as 000001-000003" in one for one in problems())
    shutil.copy(copied / "aside", segment(copied, 3))
    assert {one.split()[0] for one in problems()} >= {"000001-000002.transcript", "000001-000003.transcript"}
    shutil.copy(segment(recorded[0], 3), segment(copied, 3))
    (copied / "aside").rename(segment(copied, 2))
    assert problems() == []
    segment(copied, 1).unlink()
    assert problems() == []
    assert "begins after segment 1" in run_understudy("verify", copied, *keys).stdout


def test_a_chunk_of_another_segment_is_not_decrypted(recorded, copied):
    two, three = segment(copied, 2).read_bytes(), bytearray(segment(copied, 3).read_bytes())
    middle = min(len(two), len(three)) // 2
    three[middle:middle + 1000] = two[middle:middle + 1000]
    segment(copied, 3).write_bytes(three)
    result = run_understudy("export", copied, "--format", "jsonl", "--key-file", recorded[1])
    assert re.search(r"000001-000003\.transcript, offset \d+: chunk", result.stderr), result.stderr


def test_after_a_kill_what_was_sealed_is_read_and_the_next_run_goes_on(make_server, make_proxy, scratch):
    server = make_server()
    key = key_file(scratch)
    arguments = ["--record-segment-size", "1MiB", "--record-key-file", key]
    proxy = make_proxy(server.tcp, *arguments, record=scratch / "recording")
    with proxy.connect() as client:
        client.execute(f"SELECT '{WORD}'")
        await_condition(lambda: WORD in run_understudy("export", scratch / "recording", "--format", "jsonl", "--key-file",
                                                       key).stdout, "it to be sealed")
        proxy.kill()
    again = make_proxy(server.tcp, *arguments, record=scratch / "recording")
    say(again, 1)
    assert again.stop() == 0
    result = run_understudy("verify", scratch / "recording", "--key-file", key)
    assert result.returncode == 1 and "1 whole, 1 unclean" in result.stdout.replace("2 whole", "1 whole"), result.stdout
    assert "still holds what it held when run 2 began" in " ".join(result.stdout.split()), result.stdout


def test_a_passphrase_of_a_file_or_the_environment_and_a_replay_with_keys_of_its_own(pair, make_proxy, scratch, monkeypatch):
    (scratch / "passphrase").write_text(PASSPHRASE + "\n", encoding="ascii")
    proxy = make_proxy(pair.production.tcp, "--record-passphrase-file", scratch / "passphrase", record=scratch / "one")
    say(proxy, 1)
    command_line = pathlib.Path(f"/proc/{proxy.pid}/cmdline").read_bytes()
    assert proxy.stop() == 0
    monkeypatch.setenv("UNDERSTUDY_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("UNDERSTUDY_RECORD_PASSPHRASE", PASSPHRASE)
    replayed = run_understudy("replay", scratch / "one", "--to", pair.uri, "--record", scratch / "two", "--speed", "max")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    compared = run_understudy("diff", scratch / "one", scratch / "two")
    assert compared.returncode in (0, 1), compared.stdout + compared.stderr  # random() differs
    monkeypatch.delenv("UNDERSTUDY_PASSPHRASE")
    for path in (scratch / "one", scratch / "two"):
        refused = run_understudy("show", path)
        assert refused.returncode == 1 and "is encrypted with a passphrase: give --passphrase-file" in refused.stderr
        assert WORD in run_understudy("show", path, "--passphrase-file", scratch / "passphrase").stdout
        files = b"".join(file.read_bytes() for file in path.iterdir())
        assert PASSPHRASE.encode() not in files and WORD.encode() not in files
    for text in (command_line.decode(), proxy.log(), replayed.stdout + replayed.stderr, compared.stdout + compared.stderr):
        assert PASSPHRASE not in text


def test_a_key_that_cannot_be_read_keeps_the_proxy_from_starting_and_nothing_is_recorded_plain(server, scratch):
    for option, wrong in (("--record-key-file", scratch / "absent"), ("--record-key-file", key_file(scratch, "abc"))):
        result = run_understudy("proxy", "--backend", server.tcp, "--listen",
                                f"127.0.0.1:{free_port()}", "--record", scratch / "none",
                                option, wrong, timeout_s=30)
        assert result.returncode in (1, 2) and str(wrong) in result.stderr, result
    assert not (scratch / "none").exists()
