"""A client that speaks the wire protocol message by message: what libpq would never send, or hides."""

import socket
import struct

PROTOCOL_3_0 = 196608
PROTOCOL_3_2 = 196610
CANCEL_REQUEST = 80877102
READY = b"Z\0\0\0\5"


def message(kind, payload=b""):
    return kind + struct.pack("!i", len(payload) + 4) + payload


def startup(version=PROTOCOL_3_0, **parameters):
    body = b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, version) + body


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


def parse(sql, name=""):
    return message(b"P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(portal="", statement="", *values):
    encoded = b"".join(struct.pack("!i", len(value)) + value for value in values)
    return message(b"B", f"{portal}\0{statement}\0".encode() + b"\0\0" + struct.pack("!h", len(values)) + encoded
                   + b"\0\0")


def describe(kind, name=""):
    return message(b"D", kind + name.encode() + b"\0")


def execute(portal="", rows=0):
    return message(b"E", portal.encode() + b"\0" + struct.pack("!i", rows))


def close(kind, name=""):
    return message(b"C", kind + name.encode() + b"\0")


SYNC = message(b"S")
FLUSH = message(b"H")
TERMINATE = message(b"X")
COPY_DONE = message(b"c")


def copy_data(data):
    return message(b"d", data)


def pipeline(sql, *values):
    """One statement of the extended protocol, up to its Sync."""
    return parse(sql) + bind("", "", *values) + describe(b"P") + execute() + SYNC


class RawSession:
    """A session of `postgres` on a TCP port, or on the path of a Unix socket. Logged in unless told otherwise;
    `parameters` are more of the startup packet's."""

    def __init__(self, where, login=True, timeout_s=60, **parameters):
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), timeout_s)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(where)
        self._held = b""
        self.greeting = []
        if login:
            self.send(startup(user="postgres", database="postgres", **parameters))
            self.greeting = self.until_ready()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def cancel(self):
        """Asks for it as libpq does, over a connection of its own; returns when that was taken."""
        key = next(payload for kind, payload in self.greeting if kind == b"K")
        with socket.create_connection(self.socket.getpeername(), self.socket.gettimeout()) as other:
            other.sendall(struct.pack("!ii", len(key) + 8, CANCEL_REQUEST) + key)
            while other.recv(1 << 10):
                pass

    def next(self):
        """The next message as (type, payload); None at the end of the stream."""
        header = self._take(5)
        if header is None:
            return None
        return header[:1], self._take(struct.unpack("!i", header[1:])[0] - 4)

    def until(self, kind):
        """Messages up to and with the first of a type; or to the end of the stream."""
        messages = []
        while (received := self.next()) is not None:
            messages.append(received)
            if received[0] == kind:
                break
        return messages

    def until_ready(self, times=1):
        return [one for _ in range(times) for one in self.until(b"Z")]

    def to_end(self):
        return self.until(None)

    def ask(self, sql):
        """The first value of the first row, as text; None when there is none."""
        self.send(query(sql))
        rows = [payload for kind, payload in self.until_ready() if kind == b"D"]
        return rows[0][6:6 + struct.unpack("!i", rows[0][2:6])[0]].decode() if rows else None

    @property
    def is_inside_message(self):
        """The stream ended there, if it has ended."""
        return bool(self._held)

    def _take(self, size):
        while len(self._held) < size:
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self._held += piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def kinds(messages):
    """Their types as one text: "TDCZ"."""
    return b"".join(kind for kind, _ in messages).decode()


def error_fields(messages):
    """Of each ErrorResponse, its fields by letter."""
    return [{field[:1].decode(): field[1:].decode() for field in payload.split(b"\0") if field}
            for kind, payload in messages if kind == b"E"]
