"""Records real clients through the proxy, replays the recording on two other servers, and compares the replies:
on a server with the same starting data nothing may differ; where a row and an index were changed, exactly that
must be shown. Started by samples/quickstart."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/lib"))

import traffic  # noqa: E402
from postgres_server import BIN, Server  # noqa: E402
from processes import make_directory, remove_directory  # noqa: E402
from understudy_process import Proxy, binary  # noqa: E402

SETTINGS = "max_connections = 50\nshared_buffers = 256MB\n"


def say(text=""):
    print(text, flush=True)


@contextlib.contextmanager
def step(text):
    say(f"\n== {text}")
    begun = time.monotonic()
    yield
    say(f"   ({time.monotonic() - begun:.1f} s)")


def understudy(*arguments, expected):
    """Runs a command as one would type it, shows what it prints, and insists on its exit status."""
    command = ["understudy", *map(str, arguments)]
    say("$ " + " ".join(command))
    result = subprocess.run([binary(), *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=600)
    say(result.stdout.rstrip())
    if result.returncode != expected:
        raise SystemExit(f"quickstart: expected exit status {expected}, got {result.returncode}")
    return result.stdout


def starting_data(server):
    environment = traffic.environment_for("127.0.0.1", server.port, server)
    traffic.run([BIN / "pgbench", "-i", "-q", "-s", "10"], environment)
    traffic.run([BIN / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", HERE / "starting_data.sql"], environment)


def record(production, recording):
    with Proxy(production.tcp, record=recording) as proxy:
        environment = traffic.environment_for("127.0.0.1", proxy.port, production)
        for what, client in traffic.STEPS:
            say(f"   {what}")
            client(environment)
        if proxy.stop() != 0:
            raise SystemExit(f"quickstart: the proxy failed:\n{proxy.log()}")
        say(proxy.log().rstrip())


def replay(recording, server, into):
    understudy("replay", recording, "--to", f"postgresql://postgres@127.0.0.1:{server.port}/postgres",
               "--order", "causal", "--speed", "max", "--record", into, expected=0)


# What was recorded of the changed row, and the plan that used the missing index: the statements, as diff names them,
# with what it is to find of each on the two servers.
CHANGES = {
    "COPY (SELECT * FROM product ORDER BY id) TO STDOUT;": ("8.75", "99.99"),
    "SELECT id, name, price FROM product WHERE id = $1;": ("8.75", "99.99"),
    "SELECT name, price FROM product WHERE id = $1": ("8.75", "99.99"),
    "EXPLAIN (COSTS OFF) SELECT id FROM product WHERE name = $1;": ("Index Scan using product_name", "Seq Scan"),
}


def check_differences(report):
    """Exactly the changed row and the missing index: each named, and nothing else."""
    found = {one["statement"]: one for one in report["differences"]}
    if len(report["differences"]) != len(CHANGES) or set(found) != set(CHANGES):
        raise SystemExit(f"quickstart: expected differences in {', '.join(CHANGES)} only, got {', '.join(found) or 'none'}")
    for statement, (a, b) in CHANGES.items():
        rows = found[statement]["rows"]
        examples = rows["examples"]
        if found[statement]["class"] != "rows" or rows["only_a"] or rows["only_b"]:
            raise SystemExit(f"quickstart: of {statement} other than changed rows are different")
        if not any(a in str(one.get("a")) and b in str(one.get("b")) for one in examples):
            raise SystemExit(f"quickstart: the diff does not show {a!r} and {b!r} in the rows of {statement}")


def tour(stack):
    directory = pathlib.Path(make_directory("tour"))
    stack.callback(remove_directory, directory)
    recording, same, changed = directory / "production", directory / "same", directory / "changed"

    with step("Three servers with the same starting data"):
        production = stack.enter_context(Server(settings=SETTINGS, name="prod"))
        starting_data(production.start())
        production.stop()
        rehearsal = stack.enter_context(Server(production.data, name="same"))
        other = stack.enter_context(Server(production.data, name="other"))
        for server in (production, rehearsal, other):
            server.start()
        other.execute("UPDATE product SET price = 99.99 WHERE id = 7; DROP INDEX product_name")
        say("   on the third, the price of product 7 is another and an index is missing")

    with step("Real clients through the proxy, recorded"):
        record(production, recording)
    with step("What was recorded"):
        understudy("verify", recording, expected=0)
        understudy("show", recording, "--stats", expected=0)
    with step("Replayed on the second server, with the same data: nothing may differ"):
        replay(recording, rehearsal, same)
        understudy("diff", recording, same, expected=0)
    with step("Replayed on the third server: a row and an index are different"):
        replay(recording, other, changed)
        understudy("diff", recording, changed, "--json", directory / "differences.json", expected=1)
        check_differences(json.loads((directory / "differences.json").read_text()))


def main():
    begun = time.monotonic()
    os.environ.pop("PGOPTIONS", None)
    with contextlib.ExitStack() as stack:
        tour(stack)
    say(f"\nAll as promised, in {time.monotonic() - begun:.0f} s: the same data gave the same replies, and of the"
        " other server exactly its changes were found. Servers and recordings are removed again.")


if __name__ == "__main__":
    main()
