"""Does whoever lies inside TLS, in its handshakes, or in SCRAM get nowhere, get counted, and disturb nobody? The admin port's
attackers are in test_admin.py; here is what comes in one connection behind a request that is allowed."""

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
import struct
import subprocess

import pytest

from certificates import Authority
from postgres_server import Server
from processes import make_directory, remove_directory
from raw_session import PROTOCOL_3_0, RawSession, error_fields, message, query, startup
from understudy_process import Proxy
from waiting import await_condition, free_port

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PASSWORD = "secret of ada"
HBA = "local all all trust\nhost all postgres all trust\nhost all all all scram-sha-256\n"
PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"


class Stage:
    """A server, a proxy before it that judges clients by a file and speaks TLS, and somebody who is there all the time."""

    def __init__(self, template, stack):
        self.directory = make_directory("stage")
        stack.callback(remove_directory, self.directory)
        self.authority = Authority(self.directory)
        self._shown = self.authority.issue("proxy")
        self._server = stack.enter_context(Server(template, hba=HBA)).start()
        self._server.execute(f"CREATE ROLE ada LOGIN PASSWORD '{PASSWORD}'")
        secret = self._server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'ada'")
        self._users = f"{self.directory}/users.txt"
        with open(self._users, "w", encoding="utf-8") as file:
            file.write(f'"ada" "{secret}"\n')
        self.admin_port = free_port()
        self.proxy = stack.enter_context(self.make_proxy("--admin-listen", f":{self.admin_port}"))
        self.bystander = stack.enter_context(self.connect(self.proxy))

    def make_proxy(self, *arguments):
        return Proxy(self._server.tcp, "--auth", "file", "--auth-file", self._users, "--client-tls-cert-file",
                     self._shown.certificate, "--client-tls-key-file", self._shown.key,
                     # That guessing is slowed down is shown in test_guessing.py; here each lie would wait longer.
                     "--auth-failures-allowed", "100000", *arguments)

    @staticmethod
    def connect(proxy):
        return proxy.connect(user="ada", password=PASSWORD, sslmode="require")

    def context(self):
        return ssl.create_default_context(cafile=self.authority.certificate)

    def session(self, proxy=None):
        """Encrypted, and nothing more yet."""
        session = RawSession((proxy or self.proxy).port, login=False)
        session.send(SSL_REQUEST)
        assert session.socket.recv(1) == b"S"
        session.tcp = session.socket
        session.socket = self.context().wrap_socket(session.socket, server_hostname="localhost")
        return session

    def certificate_hash(self):
        with self.session() as session:
            return hashlib.sha256(session.socket.getpeercert(binary_form=True)).digest()

    @contextlib.contextmanager
    def counting(self, *names):
        """What is done in it adds one to the sum of these counters, and the bystander is served all the time."""
        before = self.proxy.counts()
        yield
        assert self.bystander.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)
        await_condition(lambda: sum((now := self.proxy.counts())[name] - before[name] for name in names) == 1,
                        lambda: f"one of {names} to be counted: {before}, then {self.proxy.counts()}")


@pytest.fixture(scope="module")
def stage(template):
    with contextlib.ExitStack() as stack:
        made = Stage(template, stack)
        yield made
        made.bystander.close()
        assert made.proxy.stop() == 0
        log = made.proxy.log()
        assert "Sanitizer" not in log and "runtime error:" not in log, log
        assert PASSWORD not in log


def read_to_end(session):
    with contextlib.suppress(OSError):  # as an end of file without TLS's own
        return session.to_end()
    return []


# ---- Inside TLS

INSIDE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "garbage": bytes((n * 97 + 13) % 256 for n in range(1000)),
    "a packet that claims 1 GB": struct.pack("!ii", 1 << 30, PROTOCOL_3_0) + b"user\0",
    "a length of 0": struct.pack("!ii", 0, PROTOCOL_3_0),
    "a negative length": struct.pack("!ii", -1, PROTOCOL_3_0),
    "protocol 2": struct.pack("!ii", 296, 131072) + bytes(288),
    "TLS in TLS": bytes.fromhex("16030100a5010000a10303") + bytes(100),
}


@pytest.mark.parametrize("what", INSIDE)
def test_nonsense_inside_tls_gets_an_error_and_a_close(stage, what):
    with stage.counting("protocol_errors"), stage.session() as hostile:
        hostile.send(INSIDE[what])
        [error] = error_fields(read_to_end(hostile))
        assert (error["S"], error["C"]) == ("FATAL", "08P01")


@pytest.mark.parametrize("record", [bytes.fromhex("1703030020") + bytes(32), bytes.fromhex("170303ffff"), b"GET / HTTP/1.1\r\n\r\n",
                                    bytes.fromhex("150303000202") + b"\x28"], ids=["forged", "too-long", "plain", "alert"])
@pytest.mark.parametrize("logged_in", [False, True], ids=["before-login", "after-login"])
def test_a_record_that_nobody_encrypted_ends_its_session(stage, record, logged_in):
    with stage.counting("tls_failures"), stage.session() as hostile:
        if logged_in:
            Scram(hostile).log_in()
        # Under the feet of its TLS.
        with socket.socket(fileno=hostile.socket.detach()) as tcp:
            tcp.settimeout(60)
            tcp.sendall(record)
            tcp.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while tcp.recv(65536):
                    pass


# ---- Handshakes

def openssl_client(stage, commands, *arguments):
    """openssl's own client, which takes commands: R renegotiates, K asks for new keys."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{stage.proxy.port}", "-starttls", "postgres",
                           *arguments], input=commands, capture_output=True, text=True, timeout=60, check=False)


def test_nobody_renegotiates(stage):
    done = openssl_client(stage, "R\n", "-tls1_2")
    assert "RENEGOTIATING" in done.stderr, done.stderr
    assert "no renegotiation" in done.stderr
    assert stage.bystander.execute("SELECT 1").fetchone() == (1,)


def test_whoever_asks_for_new_keys_disturbs_nobody(stage):
    done = openssl_client(stage, "K\n" * 500, "-tls1_3")
    assert "KEYUPDATE" in done.stderr, done.stderr
    assert stage.bystander.execute("SELECT 1").fetchone() == (1,)


def client_hello(stage):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = stage.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        secure.do_handshake()
    return outgoing.read()


# How far somebody gets who then falls silent; what holds its connection.
def silent_after_ssl_request(stage, proxy):
    session = RawSession(proxy.port, login=False)
    session.send(SSL_REQUEST)
    assert session.socket.recv(1) == b"S"  # what comes before it is refused
    return session


def silent_in_client_hello(stage, proxy):
    session = silent_after_ssl_request(stage, proxy)
    session.send(client_hello(stage)[:100])
    return session


def silent_after_client_hello(stage, proxy):
    session = silent_after_ssl_request(stage, proxy)
    session.send(client_hello(stage))
    return session


def silent_after_handshake(stage, proxy):
    return stage.session(proxy)


def silent_in_startup(stage, proxy):
    session = stage.session(proxy)
    session.send(startup(user="ada", database="postgres")[:12])
    return session


def silent_before_scram(stage, proxy):
    session = stage.session(proxy)
    session.send(startup(user="ada", database="postgres"))
    return session


def silent_in_scram(stage, proxy):
    session = stage.session(proxy)
    Scram(session).begin()
    return session


SILENT = [silent_after_ssl_request, silent_in_client_hello, silent_after_client_hello, silent_after_handshake,
          silent_in_startup, silent_before_scram, silent_in_scram]


def test_whoever_falls_silent_on_the_way_is_ended_and_counted_and_others_come_in(stage, make_proxy, scratch):
    (scratch / "ini").write_text("[understudy]\n")
    with stage.make_proxy("--config", scratch / "ini") as proxy, contextlib.ExitStack() as stack:
        bystander = stack.enter_context(stage.connect(proxy))
        silent = [stack.enter_context(fall_silent(stage, proxy)) for fall_silent in SILENT]
        with stage.connect(proxy) as another:
            assert another.execute("SELECT 1").fetchone() == (1,)
        # Only now: on a busy machine they, too, might take that long.
        proxy.reconfigure(scratch / "ini", client_login_timeout="300ms")
        for session in silent:
            read_to_end(session)
        assert proxy.counts()["login_timeouts"] == len(SILENT)
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def test_hundreds_of_half_handshakes_hold_nobody_up(stage):
    hello = client_hello(stage)
    half = [silent_after_ssl_request(stage, stage.proxy) for _ in range(200)]
    for number, session in enumerate(half):
        session.send(hello[:number % len(hello)])
    with stage.connect(stage.proxy) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert stage.bystander.execute("SELECT 1").fetchone() == (1,)
    for session in half:
        session.socket.close()


# ---- SCRAM

class Scram:
    """A client's side of it, each part of which may lie. `binding`: what it says the channel is."""

    def __init__(self, session, mechanism=PLAIN, header="n,,", binding=b"", user="ada"):
        self._session, self._mechanism, self._header, self._binding = session, mechanism, header, binding
        self._user = user
        self.nonce = "fyko+d2lbbFgONRv9qkxdawL"

    def begin(self, first=None, mechanism=None):
        """Up to the server's challenge; what it sent."""
        self._session.send(startup(user=self._user, database="postgres"))
        self._session.next()
        self._first_bare = f"n=,r={self.nonce}"
        payload = (self._header + self._first_bare).encode() if first is None else first
        self._session.send(message(b"p", (mechanism or self._mechanism).encode() + b"\0" + struct.pack("!i", len(payload))
                                   + payload))
        return self._session.next()

    def final(self, challenge, nonce=None, binding=None, proof=None):
        """The client's last message, true where it is not told otherwise."""
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        bound = base64.b64encode(self._header.encode() + self._binding if binding is None else binding).decode()
        without_proof = f"c={bound},r={nonce or fields['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signed = ",".join([self._first_bare, challenge.decode(), without_proof]).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        true = bytes(a ^ b for a, b in zip(client_key, signature))
        return f"{without_proof},p={proof or base64.b64encode(true).decode()}".encode()

    def log_in(self, **lies):
        """What came after its last message: up to ReadyForQuery when it was let in."""
        kind, challenge = self.begin()
        assert kind == b"R", challenge
        self._session.send(message(b"p", self.final(challenge[4:], **lies)))
        return self._session.until_ready()


def was_let_in(messages):
    return (b"R", struct.pack("!i", 0)) in messages


def test_the_client_of_these_tests_gets_in_when_it_tells_the_truth(stage):
    for mechanism, header, binding in ((PLAIN, "n,,", b""), (PLUS, "p=tls-server-end-point,,", stage.certificate_hash())):
        with stage.session() as session:
            assert was_let_in(Scram(session, mechanism, header, binding).log_in())
            assert session.ask("SELECT current_user") == "ada"


LIES = {
    "a nonce that is not the server's": (PLAIN, "n,,", b"", {"nonce": "fyko+d2lbbFgONRv9qkxdawLsomething"}),
    "no nonce of the server's": (PLAIN, "n,,", b"", {"nonce": "fyko+d2lbbFgONRv9qkxdawL"}),
    "a proof that is another's": (PLAIN, "n,,", b"", {"proof": base64.b64encode(bytes(32)).decode()}),
    "a short proof": (PLAIN, "n,,", b"", {"proof": base64.b64encode(bytes(31)).decode()}),
    "a proof that is none": (PLAIN, "n,,", b"", {"proof": "?" * 44}),
    "a proof of 60,000 bytes": (PLAIN, "n,,", b"", {"proof": "A" * 60_000}),
    "another header than before": (PLAIN, "n,,", b"", {"binding": b"y,,"}),
    "that the server offers no binding": (PLAIN, "y,,", b"", {}),
    "another certificate": (PLUS, "p=tls-server-end-point,,", bytes(32), {}),
    "no certificate": (PLUS, "p=tls-server-end-point,,", b"", {}),
    "another kind of binding": (PLUS, "p=tls-unique,,", bytes(12), {}),
    "bound without saying so": (PLUS, "n,,", b"", {}),
    "binding by the wrong mechanism": (PLAIN, "p=tls-server-end-point,,", bytes(32), {}),
    "an extension it insists on": (PLAIN, "n,,m=wanted,", b"", {}),
    "to be somebody else": (PLAIN, "n,a=postgres,", b"", {}),
}


@pytest.mark.parametrize("lie", LIES)
def test_whoever_lies_in_scram_is_not_let_in(stage, lie):
    mechanism, header, binding, lies = LIES[lie]
    with stage.counting("logins_refused", "protocol_errors"), stage.session() as session:
        scram = Scram(session, mechanism, header, binding)
        kind, challenge = scram.begin()
        if kind == b"R":
            session.send(message(b"p", scram.final(challenge[4:], **lies)))
        else:
            session.refusal = [(kind, challenge)]
        received = getattr(session, "refusal", []) + read_to_end(session)
        assert not was_let_in(received)
        [error] = error_fields(received)
        assert (error["S"], error["C"]) in (("FATAL", "28P01"), ("FATAL", "08P01"))


def test_a_proof_seen_once_is_of_no_use_again(stage):
    with stage.session() as session:
        scram = Scram(session)
        _, challenge = scram.begin()
        seen = scram.final(challenge[4:])
        session.send(message(b"p", seen))
        assert was_let_in(session.until_ready())
    with stage.counting("logins_refused"), stage.session() as session:
        Scram(session).begin()
        session.send(message(b"p", seen))
        assert not was_let_in(read_to_end(session))


FIRST = {
    "nothing": b"",
    "zero bytes": bytes(100),
    "no nonce": b"n,,n=",
    "a nonce with a comma": b"n,,n=,r=a,b=c",
    "a nonce that is not printable": b"n,,n=,r=\x01\x02",
    "60,000 bytes": b"n,,n=,r=" + b"x" * 60_000,
    "commas": b"," * 5000,
    "not UTF-8": b"n,,n=\xff\xfe,r=abc",
}


@pytest.mark.parametrize("what", FIRST)
def test_a_first_message_that_is_none_ends_the_login_only(stage, what):
    with stage.counting("logins_refused", "protocol_errors"), stage.session() as session:
        scram = Scram(session)
        scram.begin(first=FIRST[what])
        session.send(message(b"p", b"c=biws,r=abc,p=" + base64.b64encode(bytes(32))))
        assert not was_let_in(read_to_end(session))


@pytest.mark.parametrize("mechanism", ["", "SCRAM-SHA-1", "PLAIN", "x" * 10_000])
def test_a_mechanism_that_was_not_offered_ends_the_login_only(stage, mechanism):
    with stage.counting("logins_refused", "protocol_errors"), stage.session() as session:
        scram = Scram(session)
        scram.begin(mechanism=mechanism or "\0")
        assert not was_let_in(read_to_end(session))


def test_a_message_longer_than_any_of_scram_is_not_waited_for(stage):
    with stage.counting("protocol_errors"), stage.session() as session:
        before = stage.proxy.resident_kib(peak=True)
        session.send(startup(user="ada", database="postgres"))
        session.next()
        session.send(b"p" + struct.pack("!i", 1 << 29) + bytes(1000))
        assert not was_let_in(read_to_end(session))
        assert stage.proxy.resident_kib(peak=True) - before < 16 * 1024


def test_a_query_in_the_middle_of_scram_is_not_run(stage):
    with stage.counting("protocol_errors"), stage.session() as session:
        Scram(session).begin()
        session.send(query("SELECT 1"))
        received = read_to_end(session)
        assert not was_let_in(received) and b"D" not in [kind for kind, _ in received]


# ---- The admin port

def test_a_write_behind_a_request_that_is_allowed_is_not_done(stage):
    """One request a connection: what is pipelined behind it is nobody's."""
    read = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    write = b"POST /api/v1/pause HTTP/1.1\r\nHost: localhost\r\nX-Understudy: 1\r\nContent-Length: 0\r\n\r\n"
    in_body = (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(write)) + write
    for request in (read + write, in_body, read * 100 + write):
        with socket.create_connection(("127.0.0.1", stage.admin_port), 60) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
        assert answer.count(b"HTTP/1.1 ") <= 1, answer
        assert stage.bystander.execute("SELECT 'not paused'").fetchone() == ("not paused",)
        with stage.connect(stage.proxy) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
