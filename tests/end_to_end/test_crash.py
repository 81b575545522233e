"""After a SIGKILL of the proxy under load: is all but the unsealed tail whole, and can it be replayed?"""

import json
import random
import re
import subprocess

import pytest

from postgres_server import BIN
from processes import until_parent_ends
from understudy_process import run_understudy
from waiting import await_condition, scaled

MOMENTS = scaled(20, least=4)


@pytest.fixture(scope="module")
def servers(template):
    """One to record from, one to replay on, with the same data."""
    from postgres_server import Server
    with Server(template, name="recorded") as recorded:
        recorded.start()
        subprocess.run([str(BIN / "pgbench"), "-i", "-q", "-h", "127.0.0.1", "-p", str(recorded.port), "-U", "postgres",
                        "postgres"], check=True, capture_output=True, timeout=120)
        recorded.stop()
        with Server(recorded.data, name="target") as target:
            yield recorded.start(), target.start()


def recorded_bytes(recording):
    return sum(path.stat().st_size for path in recording.glob("*.transcript"))


def assert_only_the_tail_is_torn(report):
    """At most two segments were open, in a rotation; each is whole but for what was being written."""
    assert report["chain"]["whole"], report["chain"]["problems"]
    verdicts = [segment["verdict"] for segment in report["segments"]]
    assert set(verdicts) <= {"whole", "unclean"} and 1 <= verdicts.count("unclean") <= 2, verdicts
    assert "unclean" not in verdicts[:-2], verdicts
    for segment in report["segments"]:
        assert all(damage["what"].startswith("file ends inside") for damage in segment["damage"]), segment


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_kill_under_load_loses_only_the_unsealed_tail(servers, make_proxy, scratch, moment):
    production, target = servers
    recording = scratch / "recording"
    # Small segments, so that some kills fall on a rotation.
    proxy = make_proxy(production.tcp, "--record-segment-size", "1MiB", record=recording)
    source = random.Random(f"test_a_kill_under_load {moment}")
    load = subprocess.Popen(until_parent_ends([str(BIN / "pgbench"), "-n", "-c", "8", "-T", "60", "-M",
                                               source.choice(["simple", "extended", "prepared"])], "KILL"),
                            env=proxy.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    # The moment: somewhere after so many bytes are on disk; mostly early, and now and then after a rotation.
    least = 1 + int(1_600_000 * source.random() ** 3)
    await_condition(lambda: recorded_bytes(recording) >= least, f"{least} bytes to be recorded")
    proxy.kill()
    load.wait(60)

    verified = run_understudy("verify", recording, "--json")
    assert verified.returncode == 1, verified.stdout + verified.stderr  # unclean, and readable
    assert "Sanitizer" not in verified.stderr
    assert_only_the_tail_is_torn(json.loads(verified.stdout))
    shown = run_understudy("show", recording)
    assert len(re.findall(r"postgres", shown.stdout)) >= 8, shown.stdout + shown.stderr
    replayed = run_understudy("replay", recording, "--to", f"postgresql://postgres@{target.tcp}/postgres",
                              "--order", source.choice(["session", "causal"]), "--speed", "max")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    # The next start goes on in the same directory, beside what the killed one left.
    again = make_proxy(production.tcp, record=recording)
    with again.connect() as client:
        client.execute("SELECT 'after the crash'")
    assert again.stop() == 0
    assert run_understudy("verify", recording).returncode == 1
