"""Installs what the comparison needs and this machine does not have, without starting any service."""

import os
import pathlib
import subprocess
import sys

# Debian's way to say that a package's service is not to be started: invoke-rc.d asks this program.
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def install_missing(programs):
    """`programs`: Debian's packages, and the program each is wanted for."""
    missing = [package for package, program in programs.items() if not os.access(program, os.X_OK)]
    if not missing:
        return
    print(f"benchmarks: with apt-get, from Debian: {' '.join(missing)}", file=sys.stderr)
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    script = " ".join(command)
    if not POLICY.exists():
        script = f"trap 'rm -f {POLICY}' EXIT; printf '#!/bin/sh\\nexit 101\\n' >{POLICY}; chmod 755 {POLICY}; {script}"
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    done = subprocess.run([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", f"apt-get update; {script}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"benchmarks: installing {' '.join(missing)} failed:\n{done.stdout}{done.stderr}")
