"""Fixtures of the end-to-end tests. Servers and proxies are the tests' own: temporary directories, free ports,
ended and removed with the test; what a failed test's proxy logged is shown with the failure."""

import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

from postgres_server import Server, run_initdb  # noqa: E402
from processes import make_directory, remove_directory  # noqa: E402
from understudy_process import Proxy  # noqa: E402


@pytest.fixture(scope="session")
def template():
    """The data directory every server begins from; made once."""
    directory = make_directory("template")
    run_initdb(f"{directory}/data")
    yield f"{directory}/data"
    remove_directory(directory)


@pytest.fixture
def make_server(template):
    """make_server(settings=..., hba=...): a running server, ended with the test."""
    servers = []

    def make(template=template, **options):
        servers.append(Server(template, **options))
        return servers[-1].start()

    yield make
    for server in servers:
        server.remove()


@pytest.fixture(scope="module")
def server(template):
    """One server for all tests of a file that do not mind each other's tables."""
    with Server(template, settings="max_connections = 300\n") as running:
        yield running.start()


@pytest.fixture
def make_proxy(request):
    """make_proxy(backend, *arguments, listen=..., record=...): a running proxy, ended with the test. A sanitizer's
    finding is the test's failure."""
    proxies = []

    def make(*arguments, **options):
        proxies.append(Proxy(*arguments, **options))
        return proxies[-1]

    yield make
    logs = []
    for proxy in proxies:
        status = proxy.stop() if proxy.process.poll() is None else proxy.process.returncode
        logs.append((status, proxy.log()))
        proxy.remove()
    for status, log in logs:
        print(f"--- proxy (exit status {status}) logged:\n{log[-20000:]}")
    assert not [log for _, log in logs if "Sanitizer" in log or "runtime error:" in log]


@pytest.fixture
def scratch():
    """A directory for recordings and the like."""
    directory = make_directory("scratch")
    yield pathlib.Path(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def node():
    """Runs a script of tests/end_to_end/node with its packages; fails with what it printed."""
    scripts = pathlib.Path(__file__).resolve().parent / "node"
    modules = scripts.parents[2] / "build/node/node_modules"

    def run(script, environment, timeout_s=120, arguments=(), stdin=""):
        return subprocess.run(["node", str(scripts / script), *map(str, arguments)],
                              env={**environment, "NODE_PATH": str(modules)}, input=stdin, capture_output=True, text=True,
                              timeout=timeout_s)

    return run


@pytest.fixture(scope="module")
def pair(template):
    """Two servers with the same data, for all tests of a file that do not mind each other's tables."""
    from replaying import Pair
    settings = "max_connections = 300\nmax_prepared_transactions = 10\n"
    with Server(template, settings=settings, name="prod") as production, \
            Server(template, settings=settings, name="target") as target:
        yield Pair(production.start(), target.start())


@pytest.fixture(scope="module")
def primary_and_replica(request, template):
    """With what the file's SETUP makes."""
    from cluster import Cluster
    with Cluster(template, replicas=1, synchronous=False) as servers:
        servers.primary.execute(request.module.SETUP)
        yield servers


@pytest.fixture
def cluster(primary_and_replica):
    primary_and_replica.restore()
    return primary_and_replica


@pytest.fixture
def cluster_proxy(request, cluster, make_proxy):
    """A proxy, with the file's OPTIONS, that has found both servers."""
    proxy = make_proxy(cluster.primary.address, "--backend", cluster.replicas[0].address, *request.module.OPTIONS)
    proxy.await_log(" primary_found ")
    proxy.await_log(f" backend_up backend={cluster.replicas[0].address} role=replica")
    return proxy
