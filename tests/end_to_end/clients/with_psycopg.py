"""psycopg 3 in a play of test_client_matrix.py: see players.py for the acts. Server-side cursors, pipelines, savepoints."""

import os

import psycopg
from psycopg import errors

ROLE = os.environ["ROLE"]


def pause(name):
    print(f"at {name}", flush=True)
    assert input() == "go"


def check_session(connection):
    assert connection.execute("SHOW timezone").fetchone() == ("Asia/Kathmandu",)
    assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (
        os.environ["SERVER_TLS"] == "on",)
    assert connection.info.parameter_status("TimeZone") == "Asia/Kathmandu"
    assert connection.execute("SELECT %s::int + 1", [41], prepare=True).fetchone() == (42,)
    try:
        connection.execute("SELECT 1 / %s::int", [0])
        raise AssertionError("no error")
    except errors.DivisionByZero:
        pass


def insert(connection, n):
    connection.execute("INSERT INTO entry VALUES (%s, %s)", [ROLE, n], prepare=True)


def transaction(connection):
    with connection.transaction():
        insert(connection, 2)
        with connection.cursor(name="numbers") as cursor:
            cursor.execute("SELECT n * n FROM generate_series(1, 10) n")
            squares = cursor.fetchmany(3)
            pause("transaction")
            squares += cursor.fetchall()
        assert squares == [(n * n,) for n in range(1, 11)]
        try:
            with connection.transaction():
                insert(connection, 2)
            raise AssertionError("no error")
        except errors.UniqueViolation:
            pass
        insert(connection, 3)
        own = connection.execute("SELECT n FROM entry WHERE role = %s ORDER BY n", [ROLE])
        assert own.fetchall() == [(1,), (2,), (3,)]


def insert_until_told_to_stop(connection):
    n = 25
    while not os.path.exists(os.environ["STOP"]):
        n += 1
        if n % 3 == 0:
            with connection.transaction():
                insert(connection, n)
        else:
            insert(connection, n)
    return n


def main():
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("SET timezone = 'Asia/Kathmandu'")
        check_session(connection)
        pause("idle")
        check_session(connection)
        insert(connection, 1)
        transaction(connection)
        insert(connection, 4)
        pause("prepared")
        insert(connection, 5)
        with connection.pipeline():
            for n in range(6, 26):
                insert(connection, n)
        check_session(connection)
        pause("busy")
        last = insert_until_told_to_stop(connection)
    print(f"done {last}", flush=True)


main()
