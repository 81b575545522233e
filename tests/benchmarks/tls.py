"""What does relaying cost where clients and the server are both encrypted (TLS 1.3)? With one backend, and with two, where the
state of sessions is tracked."""

import contextlib

import beside
from certificates import Authority
import clients
from cluster import Cluster
from contenders import Understudy
from pgbouncer import PgBouncer
from processes import make_directory, remove_directory
from table import Section

SCALE = 10
LOADS = [("-S", "simple", 8), ("-S", "prepared", 8), ("-S", "prepared", 32)]


def measure(_server, options):
    """On a cluster of its own, with TLS: a primary and a replica."""
    with contextlib.ExitStack() as stack:
        directory = make_directory("papers")
        stack.callback(remove_directory, directory)
        authority = Authority(directory)
        papers, shown = authority.issue("server"), authority.issue("proxy")
        settings = (f"shared_buffers = 256MB\nssl = on\nssl_cert_file = '{papers.certificate}'\n"
                    f"ssl_key_file = '{papers.key}'\n")
        cluster = stack.enter_context(Cluster(replicas=1, synchronous=False, settings=settings))
        server = cluster.primary.server
        clients.make_tables(server.port, SCALE)
        encrypted = ["--client-tls-sslmode", "require", "--client-tls-cert-file", shown.certificate,
                     "--client-tls-key-file", shown.key,
                     "--server-tls-sslmode", "verify-full", "--server-tls-ca-file", authority.certificate]
        contenders = {
            "pgbouncer": PgBouncer(server, settings=(
                f"client_tls_sslmode = require\nclient_tls_cert_file = {shown.certificate}\n"
                f"client_tls_key_file = {shown.key}\n"
                f"server_tls_sslmode = verify-full\nserver_tls_ca_file = {authority.certificate}\n")),
            "one": Understudy(server, arguments=encrypted),
            "two": Understudy(server, arguments=[*encrypted, "--backend", cluster.replicas[0].address]),
        }
        for contender in contenders.values():
            stack.callback(contender.stop)
        contenders["two"].await_primary()
        cells = []
        for arguments in LOADS:
            load = beside.Load(*arguments, environment={"PGSSLMODE": "require"})
            options.progress(f"tls: {load.title}")
            cells.append({"title": load.title, "samples": beside.measure(contenders, load, options)})
        return cells


def section(cells):
    columns = ["pgbouncer", "one", "two"]
    return Section("TLS on both sides: tps", columns,
                   [row for cell in cells for row in beside.rows(cell["title"], cell["samples"], columns)])
