"""How tests wait: for a condition, with a limit, never for a fixed time. And how loaded the machine may be."""

import os
import socket
import time


def scaled(number, least=1):
    """A load made smaller by UNDERSTUDY_TEST_SCALE (1 by default; sanitizer builds use less)."""
    return max(least, int(number * float(os.environ.get("UNDERSTUDY_TEST_SCALE", "1"))))


def await_condition(condition, what, timeout_s=60, longest_pause_s=0.1):
    """Returns the first true value of condition(); fails with `what` after the time-out."""
    end = time.monotonic() + timeout_s
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_s} s for: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, longest_pause_s)


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    """A TCP port nobody listens on, outside the range the kernel hands out to clients.

    It stays this process's until it ends, also while a server on it is down: other test processes pass over it.
    """
    first = os.getpid() * 101 % 12000  # elsewhere in each process: fewer probes
    for port in (20000 + (first + n) % 12000 for n in range(12000)):
        # An abstract Unix socket is a lock that every user can take and the kernel lets go.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0understudy-tests-port-{port}")
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((host, port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise OSError("no free port between 20000 and 32000")


_claims = []
