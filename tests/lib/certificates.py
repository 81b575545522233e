"""Certificates that live for a day, made by openssl(1): an authority, and what it issues."""

import os
import pathlib
import subprocess

from processes import give_to_server

EVERYWHERE = "DNS:localhost,IP:127.0.0.1,IP:::1"


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, check=True)


class Certificate:
    """`certificate` and `key`: paths of PEM files that the server's user owns, as PostgreSQL wants it of keys."""

    def __init__(self, directory, name):
        self.certificate = pathlib.Path(directory, f"{name}.crt")
        self.key = pathlib.Path(directory, f"{name}.key")

    def _protect(self):
        os.chmod(self.key, 0o600)
        for path in (self.certificate, self.key):
            give_to_server(path)


class Authority(Certificate):
    def __init__(self, directory, name="authority"):
        super().__init__(directory, name)
        self._directory = directory
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1,
                 "-subj", f"/CN=test {name}", "-keyout", self.key, "-out", self.certificate)
        self._protect()

    def issue(self, name, common_name="localhost", alternatives=EVERYWHERE, days=1):
        """A certificate for servers and clients alike. days=0: expired from its beginning."""
        issued = Certificate(self._directory, name)
        request = pathlib.Path(self._directory, f"{name}.csr")
        extensions = pathlib.Path(self._directory, f"{name}.ext")
        extensions.write_text(f"subjectAltName = {alternatives}\n" if alternatives else "", encoding="utf-8")
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={common_name}", "-keyout", issued.key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                 "-days", days, "-extfile", extensions, "-out", issued.certificate)
        issued._protect()
        return issued
