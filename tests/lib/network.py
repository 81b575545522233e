"""Networks of a test's own, whose cables can be pulled: a namespace of the kernel's with one link to this machine.

A server stays where it is; what stands in the namespace is a relay, which reaches the server by its Unix socket and
everybody else by the link. When the link is down, packets are lost on their way and nobody is told: connections stay
open and silent, new ones wait for an answer that does not come. The namespace ends with the relay's process, and the
link with the namespace.
"""

import functools
import os
import socket
import subprocess

from dropping_relay import Relay
from waiting import await_condition

PORT = 5432


@functools.cache
def can_be_made():
    """Whether this machine lets us: root may, where it has CAP_NET_ADMIN and CAP_SYS_ADMIN."""
    try:
        return _run("unshare", "--net", "ip", "link", "add", "us-probe", "type", "veth", check=False).returncode == 0
    except OSError:
        return False


def _run(*command, check=True):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, check=check)


class Link(Relay):
    """In front of a server. As a Relay: where it listens, drop(), heal(), remove()."""

    def __init__(self, server):
        self._number = _claim_number()
        self._device = f"us{os.getpid()}n{self._number}"[:15]
        path = f"{server.directory}/.s.PGSQL.{server.port}"
        super().__init__(path, self._address(2), PORT, before=["unshare", "--net"])
        _run("ip", "link", "add", self._device, "type", "veth", "peer", "name", "wire", "netns", self.process.pid)
        _run("ip", "address", "add", f"{self._address(1)}/30", "dev", self._device)
        _run("ip", "link", "set", self._device, "up")
        self._inside("address", "add", f"{self._address(2)}/30", "dev", "wire")
        self.heal()

    def drop(self):
        self._inside("link", "set", "wire", "down")

    def heal(self):
        self._inside("link", "set", "wire", "up")
        await_condition(self._is_reached, "the link to be up")

    def _address(self, host):
        return f"10.213.{self._number >> 6}.{((self._number & 63) << 2) + host}"

    def _inside(self, *arguments):
        _run("nsenter", "--net", "-t", self.process.pid, "ip", *arguments)

    def _is_reached(self):
        try:
            with socket.create_connection((self._address(2), PORT), 0.5):
                return True
        except OSError:
            return False


def _claim_number():
    """Of a network no other test uses now: an abstract Unix socket is a lock that the kernel lets go."""
    for number in range(1 << 14):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0understudy-tests-network-{number}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return number
    raise OSError("no free network in 10.213.0.0/16")


_claims = []
