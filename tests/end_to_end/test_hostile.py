"""Do those who speak no protocol, or lie in it, get a clear end, get counted, and disturb nobody?"""

import os
import re
import socket
import struct

import psycopg
import pytest

from raw_session import PROTOCOL_3_0, RawSession, message, query, startup
from waiting import await_condition, scaled

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


def read_to_end(connection):
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def protocol_errors(proxy):
    return len(re.findall(r" protocol_error session=\d+ from=client", proxy.log()))


AT_STARTUP = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS without SSLRequest": bytes.fromhex("16030100a5010000a10303") + bytes(100),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "a packet longer than the limit": struct.pack("!ii", 10_005, PROTOCOL_3_0),
    "a packet that claims 1 GB": struct.pack("!ii", 1 << 30, PROTOCOL_3_0) + b"user\0",
    "a length of 0": struct.pack("!ii", 0, PROTOCOL_3_0),
    "a length of 2^31-1": struct.pack("!ii", 2**31 - 1, PROTOCOL_3_0),
    "a negative length": struct.pack("!ii", -1, PROTOCOL_3_0),
    "a length shorter than its header": struct.pack("!ii", 7, PROTOCOL_3_0),
    "protocol 2": struct.pack("!ii", 296, 131072) + bytes(288),
    "parameters without an end": struct.pack("!ii", 16, PROTOCOL_3_0) + b"userabcd",
    "bytes after SSLRequest": SSL_REQUEST + startup(user="postgres"),
    "bytes after GSSENCRequest": GSS_REQUEST + startup(user="postgres"),
    "garbage": bytes((n * 97 + 13) % 256 for n in range(1000)),
}


@pytest.mark.parametrize("name", AT_STARTUP)
def test_nonsense_at_startup_gets_an_error_and_a_close(server, make_proxy, name):
    proxy = make_proxy(server.tcp)
    with proxy.connect() as bystander:
        with proxy.raw() as hostile:
            hostile.sendall(AT_STARTUP[name])
            answer = read_to_end(hostile)
        assert answer.startswith(b"E") and b"SFATAL\0" in answer and b"C08P01\0" in answer, answer
        proxy.await_log(r"protocol_error session=\d+ from=client peer=127")
        assert protocol_errors(proxy) == 1
        assert bystander.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)
    assert proxy.counts()["protocol_errors"] == 1
    assert proxy.stop() == 0
    assert " protocol_errors=1 " in proxy.log()


@pytest.mark.parametrize("asked", ((GSS_REQUEST,), (SSL_REQUEST,), (GSS_REQUEST, SSL_REQUEST), (SSL_REQUEST, GSS_REQUEST)))
def test_who_asks_for_encryption_and_gets_none_may_log_in_without(server, make_proxy, asked):
    """As libpq does: GSS encryption first, then TLS, then neither."""
    proxy = make_proxy(server.tcp)
    with proxy.raw() as client:
        for request in asked:
            client.sendall(request)
            assert client.recv(1) == b"N"
        client.sendall(startup(user="postgres") + query("SELECT 'in the clear'") + message(b"X"))
        answer = read_to_end(client)
    assert b"in the clear" in answer and protocol_errors(proxy) == 0, answer


AFTER_LOGIN = {
    "a message length of 2^31-1": b"Q" + struct.pack("!i", 2**31 - 1),
    "a password": message(b"p", b"guess\0"),
    "a message length of 0": b"Q" + struct.pack("!i", 0),
    "a message length of 3": b"Q" + struct.pack("!i", 3),
    "a negative message length": b"Q" + struct.pack("!i", -1),
    "a message type that does not exist": b"\x00" + struct.pack("!i", 4),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", AFTER_LOGIN)
def test_nonsense_after_login_ends_only_its_session(server, make_proxy, name):
    proxy = make_proxy(server.tcp)
    with proxy.connect() as bystander, RawSession(proxy.port) as hostile:
        hostile.send(AFTER_LOGIN[name])
        answer = read_to_end(hostile.socket)
        assert b"SFATAL\0" in answer and b"C08P01\0" in answer, answer
        assert bystander.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)
        await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type ="
                                             " 'client backend'") == 2, "its server session to end")
        assert proxy.counts()["protocol_errors"] == 1


@pytest.mark.parametrize("kind", [b"Q", b"P", b"B", b"F", b"d", b"X"])
def test_a_message_that_claims_a_gigabyte_takes_memory_only_as_bytes_arrive(server, make_proxy, scratch, kind):
    """The longest a server can build; whether it wants one is the server's to say."""
    proxy = make_proxy(server.tcp, record=scratch / "recording")
    with proxy.connect() as bystander, RawSession(proxy.port) as hostile:
        before = proxy.resident_kib(peak=True)
        hostile.send(kind, struct.pack("!i", 0x3FFFFFFE + 4), b"SELECT 1")
        hostile.socket.shutdown(socket.SHUT_WR)
        read_to_end(hostile.socket)
        assert proxy.resident_kib(peak=True) - before < 16 * 1024
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def test_a_client_of_one_byte_at_a_time_is_served_if_it_is_fast_enough(server, make_proxy):
    proxy = make_proxy(server.tcp)
    with proxy.raw() as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in startup(user="postgres", database="postgres"):
            slow.sendall(bytes([byte]))
        received = b""
        while not received.endswith(b"Z\0\0\0\5I"):
            received += slow.recv(65536)
        for byte in b"Q\0\0\0\rSELECT 1\0":
            slow.sendall(bytes([byte]))
        answer = b""
        while not answer.endswith(b"Z\0\0\0\5I"):
            answer += slow.recv(65536)
        assert b"SELECT 1\0" in answer


@pytest.mark.parametrize("sent", [b"", b"\0", startup(user="postgres")[:20], SSL_REQUEST])
def test_a_login_that_takes_too_long_is_ended(server, make_proxy, scratch, sent):
    (scratch / "ini").write_text("[understudy]\n")
    proxy = make_proxy(server.tcp, "--config", scratch / "ini")
    with proxy.connect() as bystander:
        # Only now: on a busy machine the bystander, too, might take that long.
        proxy.reconfigure(scratch / "ini", client_login_timeout="300ms")
        half_open = proxy.raw()
        half_open.sendall(sent)
        answer = read_to_end(half_open)
        assert b"client_login_timeout" in answer, answer
        proxy.await_log(r"login_timeout session=\d+")
        assert proxy.counts()["login_timeouts"] == 1
        # The time-out is of logins only.
        assert bystander.execute("SELECT 1").fetchone() == (1,)


def test_a_startup_packet_that_drips_is_ended_however_lively_it_looks(server, make_proxy):
    proxy = make_proxy(server.tcp, "--client-login-timeout", "300ms")
    packet = startup(user="postgres", options="-c search_path=" + "x" * 9000)
    with proxy.raw() as drip:
        sent = iter(packet)

        def ended():
            try:
                drip.sendall(bytes([next(sent)]))
            except OSError:
                return True
            return False

        await_condition(ended, "the proxy to have enough of it", timeout_s=20)
    assert proxy.counts()["login_timeouts"] == 1


def test_a_password_that_never_comes_is_ended_too(make_server, make_proxy):
    server = make_server(hba="local all all trust\nhost all all all scram-sha-256\n")
    proxy = make_proxy(server.tcp, "--client-login-timeout", "300ms")
    with proxy.raw() as silent:
        silent.sendall(startup(user="postgres", database="postgres"))
        assert b"client_login_timeout" in read_to_end(silent)


def test_hundreds_of_half_open_connections_hold_nobody_up(server, make_proxy):
    proxy = make_proxy(server.tcp)
    half_open = [proxy.raw() for _ in range(scaled(300, least=100))]
    for connection in half_open:
        connection.sendall(b"\0\0")
    with proxy.connect() as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    for connection in half_open:
        connection.close()
    assert proxy.stop() == 0


def test_a_client_that_vanishes_in_a_query_ends_its_server_session(server, make_proxy):
    proxy = make_proxy(server.tcp)
    hostile = RawSession(proxy.port).socket
    hostile.sendall(query("SELECT repeat('x', 1000000) FROM generate_series(1, 10000)"))
    assert hostile.recv(1)
    # A reset, not a farewell.
    hostile.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    hostile.close()
    await_condition(lambda: server.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT repeat%'")
                    == 0,
                    "the server session to end")


def test_a_cancel_with_a_guessed_key_cancels_nothing(server, make_proxy):
    proxy = make_proxy(server.tcp)
    with proxy.connect(autocommit=False) as victim:
        pid = victim.info.backend_pid
        victim.pgconn.send_query(b"SELECT pg_sleep(0.3)")
        victim.pgconn.flush()
        for guess in range(20):
            with proxy.raw() as hostile:
                hostile.sendall(struct.pack("!iiii", 16, 80877102, pid, guess))
                assert read_to_end(hostile) == b""
        assert victim.pgconn.get_result().status == psycopg.pq.ExecStatus.TUPLES_OK
        assert victim.pgconn.get_result() is None
    assert proxy.counts()["cancels_unmatched"] == 20
    assert proxy.counts()["cancels"] == 0


def test_random_bytes_of_many_shapes_never_end_the_proxy(server, make_proxy):
    import random
    proxy = make_proxy(server.tcp)
    source = random.Random("random_bytes_of_many_shapes")
    with proxy.connect() as bystander:
        for _ in range(scaled(200, least=40)):
            with (RawSession(proxy.port).socket if source.random() < 0.5 else proxy.raw()) as hostile:
                try:
                    hostile.sendall(source.randbytes(source.randrange(1, 2000)))
                    hostile.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                read_to_end(hostile)
        assert bystander.execute("SELECT 'undisturbed'").fetchone() == ("undisturbed",)
    assert os.path.exists(f"/proc/{proxy.pid}")


def test_a_user_name_cannot_forge_a_line_of_the_log(server, make_proxy):
    proxy = make_proxy(server.tcp, "--log-connections", "on")
    forged = "x\n2026-01-01T00:00:00.000Z info reloaded file=/etc/passwd"
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        proxy.connect(user=forged)
    proxy.await_log("session_opened session=1")
    assert all(re.match(r"20\d\d-\d\d-\d\dT[\d:.]+Z (info|warning) (started|few_descriptors|session_opened|login_ended) ",
                        line) for line in proxy.log().splitlines())
