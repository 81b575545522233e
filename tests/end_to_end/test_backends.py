"""What does a client see when its server is slow, silent, crowded, gone, or no PostgreSQL at all?"""

import socket
import struct

import psycopg
import pytest

from fake_backend import LOGGED_IN, FakeBackend, read_message
from raw_session import RawSession, error_fields, kinds, message, query, startup
from waiting import await_condition

ONE_ROW = message(b"T", b"\0\0") + message(b"D", b"\0\0") + message(b"C", b"SELECT 1\0")


def answer_at_login(data):
    def play(connection):
        connection.sendall(data)
        connection.recv(1)
    return play


def answer_a_query(data):
    def play(connection):
        connection.sendall(LOGGED_IN)
        read_message(connection)
        connection.sendall(data)
        connection.recv(1)
    return play


NO_LOGIN = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "a length of 0": b"R" + struct.pack("!i", 0),
    "a length of 2^31-1": b"R" + struct.pack("!i", 2**31 - 1),
    "a negative length": b"R" + struct.pack("!i", -1),
    "a cancel key without a key": message(b"K", b"\0\0\0\1"),
}


@pytest.mark.parametrize("name", NO_LOGIN)
def test_a_server_that_speaks_no_protocol_is_told_to_the_client_and_counted(make_proxy, name):
    with FakeBackend(answer_at_login(NO_LOGIN[name])) as backend:
        proxy = make_proxy(backend.address)
        with pytest.raises(psycopg.OperationalError, match="FATAL"):
            proxy.connect()
        proxy.await_log(r"protocol_error session=1 from=server")
        assert proxy.counts()["server_protocol_errors"] == 1


NO_ANSWER = {
    "a length of 3": b"D" + struct.pack("!i", 3),
    "a length of 2^31-1": b"D" + struct.pack("!i", 2**31 - 1),
    "two ends of one request": ONE_ROW + message(b"Z", b"I") + message(b"Z", b"I"),
    "an end of two bytes": ONE_ROW + message(b"Z", b"II"),
    "a copy in a copy": message(b"H", b"\0\0\0") * 2,
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_server_that_breaks_the_protocol_later_ends_only_that_session(make_proxy, name):
    with FakeBackend(answer_a_query(NO_ANSWER[name])) as backend:
        proxy = make_proxy(backend.address)
        with RawSession(proxy.port) as bystander, RawSession(proxy.port) as client:
            client.send(query("SELECT"))
            client.to_end()
            proxy.await_log(r"protocol_error session=2 from=server")
            await_condition(lambda: proxy.counts()["open"] == 1, "its session to end")
            assert bystander.socket.send(b"Q") == 1


def test_a_server_that_ends_in_the_middle_of_a_row_ends_its_client(make_proxy):
    def play(connection):
        connection.sendall(LOGGED_IN)
        read_message(connection)
        connection.sendall(message(b"T", b"\0\0") + message(b"D", b"x" * 1000)[:500])

    with FakeBackend(play) as backend:
        proxy = make_proxy(backend.address)
        with RawSession(proxy.port) as client:
            client.send(query("SELECT"))
            # An error of the proxy's own would read as the rest of the row.
            assert client.next()[0] == b"T"
            assert client.next() == (b"D", None)


@pytest.mark.parametrize("said, heard", [(b"", "E"), (LOGGED_IN[:9], "RE"), (LOGGED_IN, "RZE")])
def test_a_server_that_leaves_without_a_word_is_named(make_proxy, said, heard):
    with FakeBackend(lambda connection: connection.sendall(said)) as backend:
        proxy = make_proxy(backend.address)
        with RawSession(proxy.port, login=False) as client:
            client.send(startup(user="postgres"))
            messages = client.to_end()
        assert kinds(messages) == heard
        [error] = error_fields(messages)
        assert (error["S"], error["C"]) == ("FATAL", "08006")
        assert backend.address in error["M"]
        proxy.await_log("backend_lost session=1")
        assert proxy.counts()["backend_failures"] == 1


def test_a_server_that_says_why_it_leaves_is_quoted_and_no_more_is_said(make_proxy):
    refusal = message(b"E", b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0")
    with FakeBackend(lambda connection: connection.sendall(refusal)) as backend:
        with RawSession(make_proxy(backend.address).port, login=False) as client:
            client.send(startup(user="postgres"))
            assert client.to_end() == [(b"E", refusal[5:])]


def test_a_silent_server_is_given_up_when_the_login_takes_too_long(make_proxy):
    with FakeBackend(lambda connection: connection.recv(1)) as backend:
        proxy = make_proxy(backend.address, "--client-login-timeout", "300ms")
        with pytest.raises(psycopg.OperationalError, match="client_login_timeout"):
            proxy.connect()
        assert proxy.counts()["login_timeouts"] == 1


@pytest.fixture
def full_backlog():
    """An address where connections are neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        while not waiting or is_connected(waiting[-1]):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield "127.0.0.1:%d" % listener.getsockname()[1]
        for connection in waiting:
            connection.close()


def is_connected(connection):
    """On the loopback interface a connection is made before connect() returns, or waits."""
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


def test_a_server_that_does_not_answer_is_given_up_after_the_connect_timeout(make_proxy, full_backlog):
    proxy = make_proxy(full_backlog, "--server-connect-timeout", "300ms")
    with pytest.raises(psycopg.OperationalError, match=f"could not connect to backend {full_backlog}: timed out"):
        proxy.connect()
    proxy.await_log("backend_unreachable session=1")
    assert proxy.counts()["backend_failures"] == 1


def test_another_address_of_the_same_name_is_tried(make_proxy):
    """Most machines call ::1 localhost, too; the server listens on 127.0.0.1 only."""
    with FakeBackend(answer_at_login(LOGGED_IN)) as backend:
        proxy = make_proxy(backend.address.replace("127.0.0.1", "localhost"))
        with RawSession(proxy.port) as client:
            assert kinds(client.greeting) == "RZ"


def test_a_crowded_unix_socket_is_waited_for_as_without_the_proxy(make_server, make_proxy):
    """Its backlog full, a non-blocking connect() fails where a blocking one waits."""
    server = make_server(settings="max_connections = 20\n")
    proxy = make_proxy(server.socket)
    clients = [RawSession(proxy.port, login=False) for _ in range(200)]
    for client in clients:
        client.send(startup(user="postgres", database="postgres"))
    errors = []
    for client in clients:  # none leaves before the last is answered: more than there is room for
        errors += error_fields(client.until_ready())
    for client in clients:
        client.socket.close()
    assert errors
    assert {error["M"] for error in errors} == {"sorry, too many clients already"}
    assert proxy.counts()["backend_failures"] == 0
