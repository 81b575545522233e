"""Reads recordings by their specification (formats/README.md), apart from the program: sessions as plain events."""

import collections
import pathlib
import struct
import subprocess

CLIENT, SERVER, OPENED, CLOSED, REDACTED, CANCELLED, GAP = range(7)
MAGIC, LATE = 0x184D2A57, 0xFFFFFFFF

Event = collections.namedtuple("Event", "time kind data")


class Varints:
    def __init__(self, data):
        self.data, self.at = data, 0

    def next(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self):
        value = self.next()
        return (value >> 1) ^ -(value & 1)


def read_sessions(recording, torn=False):
    """{(run, number): [Event, ...]} of all segments of a directory. `torn`: a segment may end in the middle of a chunk."""
    sessions = collections.defaultdict(list)
    for path in sorted(pathlib.Path(recording).glob("*.transcript")):
        bodies = subprocess.run(["zstd", "-dcq", str(path)], check=not torn, capture_output=True).stdout
        at = 0
        for head in _chunk_heads(path.read_bytes(), torn):
            raw = struct.unpack_from("<I", head, 20)[0]
            _read_chunk(head, bodies[at:at + raw], sessions)
            at += raw
        assert torn or at == len(bodies)
    return dict(sessions)


def _chunk_heads(file, torn):
    at = 0
    while at < len(file):
        if torn and (len(file) < at + 16 or len(file) < at + 8 + struct.unpack_from("<I", file, at + 4)[0]):
            return
        magic, size = struct.unpack_from("<II", file, at)
        assert magic == MAGIC
        body = file[at + 16:at + 8 + size - 4]
        at += 8 + size
        if file[at - size:at - size + 1] == b"C":
            at += struct.unpack_from("<I", body, 24)[0]
            if torn and at > len(file):
                return
            yield body


def _read_chunk(head, body, sessions):
    first_time, _, count = struct.unpack_from("<qqI", head)
    names = _session_names(head[32:])
    sizes = struct.unpack_from("<III", body)
    indices = Varints(body[12:12 + sizes[0]])
    order = [indices.next() for _ in range(count)]
    at = 12 + sizes[0]
    kinds = body[at:at + count]
    varints = Varints(body[at + count:at + count + sizes[1]])
    lengths = [varints.next() for _ in range(count)]
    data_at = at + count + sizes[1]
    planes_at = data_at + sum(lengths)
    times = _times(body[planes_at:planes_at + 4 * count], Varints(body[planes_at + 4 * count:]), first_time, count)
    by_session = sorted(range(count), key=lambda event: order[event])  # stable: in order of appending
    place = {event: n for n, event in enumerate(by_session)}
    # The bytes: every client's by session, every server's by session, everything else by session.
    starts, end = {}, data_at
    for group in (lambda kind: kind == CLIENT, lambda kind: kind == SERVER, lambda kind: kind not in (CLIENT, SERVER)):
        for n, event in enumerate(by_session):
            if group(kinds[n]):
                starts[event] = end
                end += lengths[n]
    for event in range(count):
        n = place[event]
        sessions[names[order[event]]].append(
            Event(times[event], kinds[n], body[starts[event]:starts[event] + lengths[n]]))


def _session_names(column):
    varints = Varints(column)
    names, run, number = [], 0, 0
    for _ in range(varints.next()):
        further, packed = varints.next(), varints.next()
        number = packed >> 2 if further else number + (packed >> 2)
        run += further
        names.append((run, number))
    return names


def _times(planes, late, first_time, count):
    times, now = [], first_time
    for n in range(count):
        passed = int.from_bytes(bytes(planes[plane * count + n] for plane in range(4)), "big")
        now += late.signed() if passed == LATE else passed
        times.append(now)
    return times


def said(events):
    """What was said, as [(kind, bytes)]: bytes of one side in a row are one, secrets stand as what was left out."""
    talk = []
    for event in events:
        if event.kind in (CLIENT, SERVER) and talk and talk[-1][0] == event.kind:
            talk[-1] = (event.kind, talk[-1][1] + event.data)
        elif event.kind in (CLIENT, SERVER, REDACTED, CANCELLED, GAP):
            talk.append((event.kind, event.data))
    return talk


def stream(events, kind):
    return b"".join(event.data for event in events if event.kind == kind)


def process_id(events):
    """Of the server's process, as its BackendKeyData says: names a session wherever it was recorded."""
    at = stream(events, SERVER).find(b"K\0\0\0\x0c")
    return struct.unpack_from("!I", stream(events, SERVER), at + 5)[0] if at >= 0 else None
