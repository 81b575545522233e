"""Disks that fill up, refuse or stall under a process that a test starts.

A small file system of the kernel's (tmpfs) where the machine lets us mount one; it goes with this process, in whose own
namespace it is. For what no mount can do to a file that is open (read-only, a stall), and where none can be made, a
library between the process and the kernel (failing_disk.c) refuses or waits when told to.
"""

import ctypes
import errno
import functools
import os
import pathlib
import subprocess

from processes import make_directory, remove_directory
from waiting import await_condition

CLONE_NEWNS = 0x20000


class Disk:
    """A directory `path` for a recording. Processes started with `environment` find it as it is told to be."""

    def __init__(self):
        self.directory = pathlib.Path(make_directory("disk"))
        self.path = self.directory / "mounted"
        self.path.mkdir()
        self._order = self.directory / "order"
        self._mounted = False
        self._stalls = 0
        self.environment = {"LD_PRELOAD": _library(), "FAILING_DISK": str(self.path), "FAILING_DISK_ORDER": str(self._order),
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def limit(self, mebibytes):
        """Has room for so much from now on; more is refused with ENOSPC. False where that cannot be done."""
        if not _own_namespace():
            return False
        options = ["-o", f"{'remount,' if self._mounted else ''}size={mebibytes}m"]
        _run("mount", "-t", "tmpfs", *options, "tmpfs", str(self.path))
        self._mounted = True
        return True

    def fail(self, number):
        """Every write, flush and new file is refused with this errno."""
        self._tell(str(number))

    def fill_up(self):
        self.fail(errno.ENOSPC)

    def stall(self):
        """Every write, flush and new file waits."""
        self._stalls += 1
        self._tell(f"stall {self._stalls}")

    def await_stalled(self):
        """Returns when a call waits because of the last stall()."""
        sign = self.directory / f"{self._order.name}.stall {self._stalls}"
        await_condition(sign.exists, "a call to the disk that waits")

    def mend(self):
        self._order.unlink(missing_ok=True)

    def remove(self):
        self.mend()
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)
        remove_directory(self.directory)

    def _tell(self, order):
        aside = self.directory / "order.new"
        aside.write_text(order, encoding="ascii")
        aside.rename(self._order)


def _run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


@functools.cache
def _own_namespace():
    """Mounts of this process are its own from now on, and end with it. False where the machine does not let us."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return False
    try:
        _run("mount", "--make-rprivate", "/")
        with_probe = make_directory("probe")
        _run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", with_probe)
        _run("umount", with_probe)
        remove_directory(with_probe)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@functools.cache
def _library():
    """failing_disk.c, compiled."""
    target = pathlib.Path(make_directory("library")) / "failing_disk.so"
    source = pathlib.Path(__file__).with_suffix(".c")
    _run("gcc", "-shared", "-fPIC", "-O1", "-o", str(target), str(source), "-ldl")
    return str(target)
