"""A TCP relay whose answers come late on some connections: a network that is slower on one way than on another."""

import contextlib
import socket
import threading
import time


@contextlib.contextmanager
def late_relay(port, mark, late_s):
    """In front of 127.0.0.1:`port`; yields its own port. Whatever the server says to clients whose first bytes hold
    `mark` is passed on `late_s` after it was said."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink, wait_s):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(wait_s)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
            first = client.recv(65536)
            server.sendall(first)
            asks = threading.Thread(target=pump, args=(client, server, 0), daemon=True)
            asks.start()
            pump(server, client, late_s if mark in first else 0)
            asks.join()

    def accept():
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
