"""What does relaying cost where clients and the server are both encrypted (TLS 1.3)?"""

import contextlib

import beside
from certificates import Authority
from contenders import SERVER_SETTINGS, Understudy
import clients
from pgbouncer import PgBouncer
from postgres_server import Server
from processes import make_directory, remove_directory
from table import Section

SCALE = 10
LOADS = [("-S", "simple", 8), ("-S", "prepared", 8), ("-S", "prepared", 32)]


def measure(_server, options):
    """On a server of its own: with TLS."""
    with contextlib.ExitStack() as stack:
        directory = make_directory("papers")
        stack.callback(remove_directory, directory)
        authority = Authority(directory)
        papers, shown = authority.issue("server"), authority.issue("proxy")
        settings = (f"{SERVER_SETTINGS}ssl = on\nssl_cert_file = '{papers.certificate}'\n"
                    f"ssl_key_file = '{papers.key}'\n")
        server = stack.enter_context(Server(settings=settings, name="bench-tls")).start()
        clients.make_tables(server.port, SCALE)
        contenders = {
            "pgbouncer": PgBouncer(server, settings=(
                f"client_tls_sslmode = require\nclient_tls_cert_file = {shown.certificate}\n"
                f"client_tls_key_file = {shown.key}\n"
                f"server_tls_sslmode = verify-full\nserver_tls_ca_file = {authority.certificate}\n")),
            "off": Understudy(server, arguments=[
                "--client-tls-sslmode", "require", "--client-tls-cert-file", shown.certificate,
                "--client-tls-key-file", shown.key,
                "--server-tls-sslmode", "verify-full", "--server-tls-ca-file", authority.certificate]),
        }
        for contender in contenders.values():
            stack.callback(contender.stop)
        cells = []
        for arguments in LOADS:
            load = beside.Load(*arguments, environment={"PGSSLMODE": "require"})
            options.progress(f"tls: {load.title}")
            cells.append({"title": load.title, "samples": beside.measure(contenders, load, options)})
        return cells


def section(cells):
    columns = ["direct", "pgbouncer", "off", "on"]
    return Section("TLS on both sides: tps", columns,
                   [row for cell in cells for row in beside.rows(cell["title"], cell["samples"], columns)])
