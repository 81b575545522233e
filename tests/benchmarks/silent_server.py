"""A server that lets everybody in and answers every question with nothing: thousands of sessions cost next to nothing."""

import selectors
import socket
import struct
import threading

LOGGED_IN = (b"R\0\0\0\x08\0\0\0\0" + b"S" + struct.pack("!i", 4 + len(b"server_version\x0015.0\0")) + b"server_version\x0015.0\0"
             + b"K\0\0\0\x0c\0\0\0\1\0\0\0\1" + b"Z\0\0\0\5I")
NOTHING = b"C\0\0\0\rSELECT 0\0" + b"Z\0\0\0\5I"


class SilentServer:
    """One thread; requests are small, and come one by one. As Server it has `port` and `tcp`."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self.tcp = f"127.0.0.1:{self.port}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._ended.is_set():
            for key, _ in self._selector.select(timeout=0.2):
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    self._selector.register(connection, selectors.EVENT_READ, [])
                else:
                    self._answer(key.fileobj, key.data)

    def _answer(self, connection, greeted):
        try:
            data = connection.recv(4096)
            if data and data[:1] != b"X":
                return connection.sendall(NOTHING if greeted else LOGGED_IN)
        except OSError:
            pass
        finally:
            greeted.append(True)
        self._selector.unregister(connection)
        connection.close()
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
