"""Captures of a test's own: `understudy record` on the loopback interface, and tcpdump. Both need root, or sudo."""

import json
import os
import pathlib
import re
import signal
import struct
import subprocess

from processes import end_process, until_parent_ends
from understudy_process import binary, run_understudy
from waiting import await_condition

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


class _Capturing:
    def __init__(self, command, log, started):
        self.log_path = pathlib.Path(log)
        with open(log, "wb") as file:
            self.process = subprocess.Popen(until_parent_ends([*AS_ROOT, *map(str, command)], "KILL"),
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True)
        await_condition(lambda: re.search(started, self.log()) or self._ended(), lambda: f"a capture: {self.log()}")

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def _ended(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the capture ended with {self.process.returncode}: {self.log()}")

    def _end(self):
        if self.process.poll() is None and AS_ROOT:
            subprocess.run([*AS_ROOT, "kill", "-TERM", str(self.process.pid)], check=True)
        return end_process(self.process, (signal.SIGTERM, signal.SIGKILL), timeout_s=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()
        self.process.stdout.close()


class Capture(_Capturing):
    """A running `understudy record --interface lo`."""

    def __init__(self, port, output, *arguments):
        self.output = output
        super().__init__([binary(), "record", "--interface", "lo", "--port", port, "--output", output, "--json",
                          *arguments], f"{output}.log", " capturing_on ")

    @property
    def pid(self):
        """Of the program itself, which sudo may have started."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if AS_ROOT and children else self.process.pid

    def signal(self, name):
        subprocess.run([*AS_ROOT, "kill", f"-{name}", str(self.pid)], check=True)

    def stop(self, status=0):
        """Its summary."""
        returned = self._end()
        assert "Sanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()
        told = self.process.stdout.read()
        assert returned == status, (returned, told, self.log())
        readable_again(self.output)
        return json.loads(told)


def readable_again(directory):
    """What a capture that gave up its privileges wrote is its user's; a test wants to read it."""
    if AS_ROOT:
        subprocess.run([*AS_ROOT, "chown", "-R", str(os.geteuid()), str(directory)], check=True)


class Tcpdump(_Capturing):
    def __init__(self, port, file, *arguments):
        self.file = pathlib.Path(file)
        super().__init__(["tcpdump", "-i", "lo", "-n", "-U", "-B", "65536", "-Z", "root", "-s", "0", "-w", file,
                          *arguments, f"tcp port {port}"], f"{file}.log", "listening on")

    def stop(self, seen):
        """Ends it once `seen` has passed."""
        await_condition(lambda: seen in self.file.read_bytes(), f"{seen} in the capture")
        self._end()


def record_files(output, *arguments, status=0, **options):
    """Runs `understudy record --pcap`; its summary."""
    result = run_understudy("record", "--output", output, "--json", "--pcap", *arguments, **options)
    assert "Sanitizer" not in result.stderr and "runtime error:" not in result.stderr, result.stderr
    assert result.returncode == status, result.stdout + result.stderr
    return json.loads(result.stdout)


def pcap_records(data):
    """The header of a pcap file in this machine's byte order, and its records."""
    records, at = [], 24
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        records.append(data[at:at + size])
        at += size
    return data[:24], records
