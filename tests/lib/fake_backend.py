"""Servers that are none: what a proxy may meet behind an address in place of PostgreSQL."""

import socket
import struct
import threading

LOGGED_IN = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\5I"


class FakeBackend:
    """Listens on a free port, and hands each connection, its start-up packet read, to `play(connection)`."""

    def __init__(self, play):
        self._play = play
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with connection:
            connection.settimeout(60)
            try:
                self.startup = read_exactly(connection, struct.unpack("!i", read_exactly(connection, 4))[0] - 4)
                self._play(connection)
            except OSError:
                pass  # the proxy has left

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("the proxy has left")
        data += piece
    return data


def read_message(connection):
    """(type, payload) of what the proxy relays."""
    header = read_exactly(connection, 5)
    return header[:1], read_exactly(connection, struct.unpack("!i", header[1:])[0] - 4)
