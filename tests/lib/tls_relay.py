"""Who sits between a proxy and its server and speaks TLS with both: reads everything, if nobody notices."""

import contextlib
import socket
import ssl
import struct
import threading

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class TlsRelay:
    """On a free port, with a certificate of its own (certificates.Papers), before the server on `port`."""

    def __init__(self, port, papers):
        self._server_port = port
        self._shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._shown.load_cert_chain(papers.certificate, papers.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client.dup())
                self._threads.append(threading.Thread(target=self._relay, args=(client,)))
                self._threads[-1].start()

    def _relay(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            assert client.recv(8, socket.MSG_WAITALL) == SSL_REQUEST
            client.sendall(b"S")
            server.sendall(SSL_REQUEST)
            assert server.recv(1) == b"S"
            nobody = ssl.create_default_context()
            nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
            with self._shown.wrap_socket(client, server_side=True) as near, nobody.wrap_socket(server) as far:
                back = threading.Thread(target=_pump, args=(far, near))
                back.start()
                _pump(near, far)
                back.join()

    def stop(self):
        """Whatever passes through it is cut off."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
