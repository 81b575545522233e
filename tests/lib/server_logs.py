"""Servers whose logs are the test's subject: what is logged, where it is, and what a log says was asked."""

import collections
import csv
import pathlib
import re
import signal
import struct

from postgres_server import major_version
from transcripts import CLIENT, OPENED, read_sessions, stream
from waiting import await_condition

# The prefix is one that pgreplay can parse.
PREFIX = "%m|%u|%d|%c|"


def logging(prefix=PREFIX, **settings):
    """Settings of a server that logs every statement in every dialect it has."""
    destinations = "stderr,csvlog" + (",jsonlog" if major_version() >= 15 else "")
    lines = {"logging_collector": "on", "log_directory": "log", "log_filename": "server.log", "log_rotation_size": "0",
             "log_rotation_age": "0", "log_file_mode": "0644", "log_destination": destinations, "log_statement": "all",
             "log_connections": "on", "log_disconnections": "on", "log_line_prefix": prefix,
             "max_connections": "100", **settings}
    return "".join(f"{name} = '{value}'\n" for name, value in lines.items())


def log_file(server, dialect):
    suffix = {"stderr": "log", "csv": "csv", "json": "json"}[dialect]
    return pathlib.Path(server.data, "log", f"server.{suffix}")


def sessions_over(server, applications):
    """Waits until each session that these applications had has disconnected, and that is in every log."""
    logs = [log_file(server, dialect) for dialect in ("csv", "stderr", "json") if log_file(server, dialect).exists()]
    _await_logged(server, logs)

    def all_there():
        rows = list(csv.reader(logs[0].read_text(encoding="utf-8").splitlines(keepends=True)))
        rows = [row for row in rows if len(row) > 22]
        begun = {row[5] for row in rows if row[22] in applications}
        over = {row[5]: row[22] for row in rows if row[13].startswith("disconnection: ")}
        left = set(over.values()) >= set(applications) and over.keys() >= begun
        return left and all(log.read_bytes().count(b"disconnection: ") >= len(over) for log in logs[1:])
    await_condition(all_there, f"{applications} in the log")


def _await_logged(server, logs):
    """Waits for what the server has logged so far: its processes write to one pipe, and this line comes last."""
    line = b"received SIGHUP"
    before = [log.read_bytes().count(line) for log in logs]
    server.process.send_signal(signal.SIGHUP)
    await_condition(lambda: all(log.read_bytes().count(line) > count for log, count in zip(logs, before)),
                    f"{line} in the logs")


def asked_in_log(server, without=()):
    """What a server's csv log says that each session asked: [(kind, statement, parameters), ...], sessions in any order."""
    with open(log_file(server, "csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    left_out = {row[5] for row in rows if row[22] in without}
    sessions = collections.defaultdict(list)
    for row in rows:
        match = re.match(r"(?:duration: \S+ ms  )?(statement|execute (?!fetch)[^:]*): (.*)\Z", row[13], re.DOTALL)
        if match and row[11] == "LOG" and row[5] not in left_out:
            kind = "Q" if match[1] == "statement" else "E"
            sessions[row[5]].append((kind, match[2], row[14].removeprefix("P").removeprefix("p")))
    return sorted(sessions.values())


def asked_in_recording(recording):
    """What each session of a recording asked, by its application's name: {name: sorted([[(kind, statement, parameters)]])}."""
    applications = collections.defaultdict(list)
    for events in read_sessions(recording).values():
        asked = _asked(stream(events, CLIENT))
        if asked:
            applications[_application(events[0])].append(asked)
    return {name: sorted(sessions, key=repr) for name, sessions in applications.items()}


def _application(opening):
    assert opening.kind == OPENED
    found = re.search(rb"\x10application_name(.)", opening.data, re.DOTALL)
    return opening.data[found.end():found.end() + found[1][0]].decode() if found else ""


def _strings(payload, count):
    parts = payload.split(b"\0", count)
    return [part.decode() for part in parts[:count]], parts[count]


def _asked(data):
    asked, prepared, portals, at = [], {}, {}, 0
    while at < len(data):
        kind, length = chr(data[at]), struct.unpack_from("!I", data, at + 1)[0]
        payload = data[at + 5:at + 1 + length]
        at += 1 + length
        if kind == "Q":
            asked.append(("Q", payload[:-1].decode(), ()))
        elif kind == "P":
            (name, sql), _ = _strings(payload, 2)
            prepared[name] = sql
        elif kind == "B":
            (portal, name), rest = _strings(payload, 2)
            portals[portal] = (prepared.get(name), _values(rest))
        elif kind == "E":
            (portal,), _ = _strings(payload, 1)
            asked.append(("E", *portals[portal]))
    return asked


def _values(rest):
    count = struct.unpack_from("!H", rest)[0]
    at = 2 + 2 * count
    formats = struct.unpack_from(f"!{count}H", rest, 2)
    count = struct.unpack_from("!H", rest, at)[0]
    at += 2
    values = []
    for number in range(count):
        length = struct.unpack_from("!i", rest, at)[0]
        at += 4
        # The only binary ones in these tests are bytea.
        binary = formats and formats[number if len(formats) > 1 else 0]
        value = rest[at:at + max(length, 0)]
        values.append(None if length < 0 else f"\\x{value.hex()}" if binary else value.decode())
        at += max(length, 0)
    return tuple(values)
