"""A TCP relay that can fall silent: what a network partition looks like from both of its sides.

A process of its own, so that what it costs is not taken from the clients' process. `drop()` swallows every byte and
every end of a connection, both ways; connections made meanwhile are taken, and heard by nobody. `heal()` lets new
connections through again; those that lost something in between are reset, since nothing could make them whole.

Single connections can be lost as well: those whose client's first bytes hold a mark (an application_name, say), at
once, silently first, or after so many bytes that go either way. The server's side of one may linger: the server goes
on with what it was asked, and nobody hears of it.
"""

import asyncio
import contextlib
import pathlib
import socket
import struct
import subprocess
import sys
import time

from processes import end_process, until_parent_ends
from waiting import free_port

LINGERS_S = 0.08
PYTHON = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable


class Relay:
    """In front of 127.0.0.1:`target`, or of a Unix socket; `address` is where it listens. `before`: words that start its
    process elsewhere, where `host` is an address."""

    def __init__(self, target, host="127.0.0.1", port=None, before=()):
        self.host = host
        self.port = port or free_port()
        listens = "0.0.0.0" if before else host
        self.process = subprocess.Popen(
            until_parent_ends([*before, PYTHON, "-B", __file__, listens, str(self.port), str(target)], "KILL"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("listening")

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def drop(self):
        """Silence, from the moment this returns."""
        self._order("drop")

    def heal(self):
        self._order("heal")

    def cut(self, mark):
        """Resets both sides of the connections so marked."""
        self._order("cut", mark)

    def hush(self, mark):
        """What goes over them is swallowed from now on; cut() is all that helps."""
        self._order("hush", mark)

    def cut_after(self, mark, direction, length_bytes, how="reset", lingers=False, again_bytes=0):
        """Once so many bytes more went over such a connection in that direction ("requests", "replies"), the client's
        side is reset or ended ("reset", "end") and the server's too, or it lingers for LINGERS_S. With `again_bytes`
        the next such connection is cut after so many bytes of replies, its login's included."""
        self._order("arm", mark, direction, length_bytes, how, "lingers" if lingers else "too", again_bytes)

    def disarm(self, mark):
        """Whether cut_after() has happened; it will not any more."""
        return self._order("disarm", mark) == ["done"]

    def ports(self, mark):
        """Where the living ones come from, as the server sees it."""
        return [int(port) for port in self._order("ports", mark)]

    def abandon(self, mark):
        """Resets what lingers. Of all that were cut since the last time: the port, as of ports(), and when (a port may be
        given to a later one)."""
        answer = self._order("abandon", mark)
        return [(int(port), float(when)) for port, when in zip(answer[::2], answer[1::2])]

    def remove(self):
        end_process(self.process)
        self.process.stdin.close()
        self.process.stdout.close()

    def _order(self, word, *arguments):
        self.process.stdin.write(" ".join(map(str, (word, *arguments))) + "\n")
        self.process.stdin.flush()
        return self._expect(word)

    def _expect(self, word):
        said = self.process.stdout.readline().split()
        if said[:1] != [word]:
            raise RuntimeError(f"the relay said {said!r} in place of {word!r}")
        return said[1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Side(asyncio.Protocol):
    """One of the two connections that make a link."""

    def __init__(self, links, sends):
        self._links = links
        self._transport = None
        self._early = []  # what came before the other side was there
        self.sends = sends  # "requests" or "replies"
        self.mark = None  # the client's first bytes
        self.other = None
        self.lost_something = False
        self.hushed = False
        self.is_made = asyncio.Event()

    def join(self, other):
        self.other, other.other = other, self
        early, self._early = self._early, []
        for data in early:
            if self.other:
                self._pass(data)

    def write(self, data):
        self._transport.write(data)

    def connection_made(self, transport):
        self._transport = transport
        connection = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.sides.add(self)
        self.is_made.set()

    @property
    def port(self):
        return self._transport.get_extra_info("sockname")[1]

    def is_marked(self, mark):
        first = self.mark if self.sends == "requests" else self.other and self.other.mark
        return bool(first) and mark in first

    def data_received(self, data):
        if self.sends == "requests" and self.mark is None:
            self.mark = data
        if self._links.silent:
            self.lost_something = True
        elif self.hushed:
            pass
        elif self.other:
            self._pass(data)
        else:
            self._early.append(data)

    def _pass(self, data):
        plan = self._links.plan_for(self)
        if plan is None or len(data) < plan.left:
            if plan:
                plan.left -= len(data)
            return self.other.write(data)
        if plan.left:
            self.other.write(data[:plan.left])
        return self._links.carry_out(plan, self)

    def eof_received(self):
        if self._links.silent:
            self.lost_something = True
        elif self.other and not self.hushed:
            self.other.end_of_stream()
        return True  # the other direction may have more to say

    def end_of_stream(self):
        with contextlib.suppress(OSError):
            self._transport.write_eof()

    def connection_lost(self, _):
        if self._links.silent:
            self.lost_something = True
            return
        self._links.sides.discard(self)
        if self.other:
            self.other.close()

    def close(self):
        self._transport.close()
        self._links.sides.discard(self)

    def pause_writing(self):
        if self.other:
            self.other.pause(True)

    def resume_writing(self):
        if self.other:
            self.other.pause(False)

    def pause(self, paused):
        with contextlib.suppress(RuntimeError):
            self._transport.pause_reading() if paused else self._transport.resume_reading()

    def hush(self):
        self.hushed = True

    def reset(self):
        if not self._transport.is_closing():
            # No lingering: the peer sees a reset, as from a host that does not know the connection any more.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                                struct.pack("ii", 1, 0))
            self._transport.abort()
        self._links.sides.discard(self)


class Plan:
    """When the connections of a mark are cut, and how."""

    def __init__(self, direction, length_bytes, how, server, again_bytes):
        self.direction = direction
        self.left = int(length_bytes)
        self.ends = how == "end"
        self.lingers = server == "lingers"
        self.again = int(again_bytes)


class Links:
    """All connections, and whether they are heard."""

    def __init__(self, target):
        self._target = target
        self._tasks = set()
        self.sides = set()
        self.silent = False
        self._plans = {}
        self._done = set()
        self._lingering = []
        self._cut = {}

    def accept(self):
        side = Side(self, "requests")
        if self.silent:
            side.lost_something = True
        else:
            task = asyncio.ensure_future(self._connect(side))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return side

    async def _connect(self, side):
        await side.is_made.wait()  # a socket that is not there fails at once, and then there is a side to reset
        try:
            _, other = await self._reach()
        except OSError:
            if not self.silent:
                side.reset()
            return
        side.join(other)

    def _reach(self):
        loop = asyncio.get_running_loop()
        if self._target.startswith("/"):
            return loop.create_unix_connection(lambda: Side(self, "replies"), self._target)
        return loop.create_connection(lambda: Side(self, "replies"), "127.0.0.1", int(self._target))

    def heal(self):
        self.silent = False
        for side in list(self.sides):
            if side.lost_something or (side.other and side.other.lost_something):
                side.reset()


    # ---- Single connections

    def plan_for(self, side):
        for mark, plan in self._plans.items():
            if plan.direction == side.sends and side.is_marked(mark):
                return plan
        return None

    def carry_out(self, plan, side):
        [mark] = [mark for mark, one in self._plans.items() if one is plan]
        del self._plans[mark]
        self._done.add(mark)
        if plan.again:
            self._plans[mark] = Plan("replies", plan.again, "reset", "too", 0)
        client, server = (side, side.other) if side.sends == "requests" else (side.other, side)
        self._note(mark, server)
        client.hush()
        server.hush()
        client.other = server.other = None
        client.close() if plan.ends else client.reset()
        if plan.lingers:
            self._lingering.append((mark, server))
            asyncio.get_running_loop().call_later(LINGERS_S, server.reset)
        else:
            server.reset()

    def _note(self, mark, server):
        self._cut.setdefault(mark, []).append((server.port, time.time()))

    def servers(self, mark):
        return [side for side in self.sides if side.sends == "replies" and side.other and side.is_marked(mark)]

    def order(self, word, mark, *arguments):
        """What the answer says besides the word."""
        if word == "arm":
            self._plans[mark] = Plan(*arguments)
            self._done.discard(mark)
        elif word == "disarm":
            self._plans.pop(mark, None)
            return ["done"] if mark in self._done else []
        elif word == "ports":
            return [side.port for side in self.servers(mark)]
        elif word == "abandon":
            for _, side in [one for one in self._lingering if one[0] == mark]:
                side.reset()
            self._lingering = [one for one in self._lingering if one[0] != mark]
            return [word for cut in self._cut.pop(mark, []) for word in cut]
        for server in self.servers(mark) if word in ("cut", "hush") else []:
            client = server.other
            if word == "cut":
                self._note(mark, server)
                client.reset()
                server.reset()
            else:
                client.hush()
                server.hush()
        return []


async def serve(host, port, target):
    links = Links(target)
    loop = asyncio.get_running_loop()
    await loop.create_server(links.accept, host, port, backlog=512)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print("listening", flush=True)
    while line := (await orders.readline()).decode().split():
        word, answer = line[0], []
        if word == "drop":
            links.silent = True
        elif word == "heal":
            links.heal()
        else:
            answer = links.order(word, line[1].encode(), *line[2:])
        print(word, *answer, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
