"""What a test asks a proxy's admin port, and tells it."""

import contextlib
import http.client
import json
import socket

from understudy_process import run_understudy

MARKED = {"X-Understudy": "test"}


class Admin:
    """A proxy's admin port. One connection a request, as the port has it."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.address = proxy.await_log(r" admin_listening address=(\S+)").group(1)
        self.host, _, port = self.address.rpartition(":")
        self.port = int(port)

    def request(self, method, path, headers=(), body=None, timeout_s=60):
        """Status, headers, body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()

    def get(self, path, **headers):
        return self.request("GET", path, headers)

    def read(self, name):
        status, _, body = self.get(f"/api/v1/{name}")
        assert status == 200, body
        return json.loads(body)

    def post(self, name, headers=(), **options):
        status, _, body = self.request("POST", f"/api/v1/{name}", {**MARKED, **dict(headers)}, **options)
        return status, json.loads(body)

    def metrics(self):
        """Values by series, as text."""
        status, _, body = self.get("/metrics")
        assert status == 200
        return dict(line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))

    def raw(self, data=b"", timeout_s=30):
        connection = socket.create_connection((self.host, self.port), timeout_s)
        connection.sendall(data)
        return connection

    def ctl(self, *arguments):
        return run_understudy("ctl", *arguments, "--admin", self.address)
