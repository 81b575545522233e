"""asyncpg in a play of test_client_matrix.py: see players.py for the acts. A pool (which resets what comes back to it), prepared
statements of its own making, portals."""

import asyncio
import os
import sys

import asyncpg

ROLE = os.environ["ROLE"]


async def pause(name):
    print(f"at {name}", flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    assert line == "go\n"


async def set_up(connection):
    await connection.execute("SET timezone = 'Asia/Kathmandu'")


async def check_session(connection):
    encrypted = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert encrypted == (os.environ["SERVER_TLS"] == "on")
    assert await connection.fetchval("SELECT $1::int + 1", 41) == 42
    # Types that it asks the server about.
    assert await connection.fetchval("SELECT ARRAY[ROW(1, 'a'::text)]") == [(1, "a")]
    try:
        await connection.fetchval("SELECT 1 / $1::int", 0)
        raise AssertionError("no error")
    except asyncpg.DivisionByZeroError:
        pass


async def transaction(connection, insert):
    async with connection.transaction():
        await insert.fetch(ROLE, 2)
        cursor = await connection.cursor("SELECT n * n FROM generate_series(1, 10) n")
        squares = await cursor.fetch(3)
        await pause("transaction")
        squares += await cursor.fetch(10)
        assert [row[0] for row in squares] == [n * n for n in range(1, 11)]
        try:
            async with connection.transaction():
                await insert.fetch(ROLE, 2)
            raise AssertionError("no error")
        except asyncpg.UniqueViolationError:
            pass
        await insert.fetch(ROLE, 3)
        own = await connection.fetch("SELECT n FROM entry WHERE role = $1 ORDER BY n", ROLE)
        assert [row[0] for row in own] == [1, 2, 3]


async def insert_until_told_to_stop(connection, insert):
    n = 25
    while not os.path.exists(os.environ["STOP"]):
        n += 1
        if n % 3 == 0:
            async with connection.transaction():
                await insert.fetch(ROLE, n)
        else:
            await connection.execute("INSERT INTO entry VALUES ($1, $2)", ROLE, n)
    return n


async def main():
    async with asyncpg.create_pool(min_size=1, max_size=1, ssl=ssl_mode()) as pool:
        async with pool.acquire() as connection:
            await set_up(connection)
            await check_session(connection)
        await pause("idle")
        async with pool.acquire() as connection:
            assert await connection.fetchval("SHOW timezone") != "Asia/Kathmandu"  # the pool has reset it
            await set_up(connection)
            await check_session(connection)
            await connection.execute("INSERT INTO entry VALUES ($1, $2)", ROLE, 1)
            insert = await connection.prepare("INSERT INTO entry VALUES ($1, $2)")
            await transaction(connection, insert)
            await insert.fetch(ROLE, 4)
            await pause("prepared")
            await insert.fetch(ROLE, 5)
            await connection.executemany("INSERT INTO entry VALUES ($1, $2)", [(ROLE, n) for n in range(6, 26)])
            assert await connection.fetchval("SHOW timezone") == "Asia/Kathmandu"
            await check_session(connection)
            await pause("busy")
            last = await insert_until_told_to_stop(connection, insert)
    print(f"done {last}", flush=True)


def ssl_mode():
    """This version takes no root certificate from the environment."""
    if os.environ["PGSSLMODE"] == "disable":
        return False
    import ssl
    return ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


asyncio.run(main())
