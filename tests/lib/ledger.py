"""Clients that keep their own books: which of their commits were acknowledged, and whether the database still has them.

Each client is a thread with a session, and pays amounts into its own account, one small transaction after the other:
the account's balance and a line in the ledger. No unique constraint hides what is applied twice.
It never repeats a transaction: what failed is noted, with its SQLSTATE, and the next one has the next number.
"""

import bisect
import collections
import contextlib
import dataclasses
import os
import socket
import threading
import time

import psycopg

SCHEMA = """
CREATE SCHEMA bank;
CREATE TABLE bank.account (client int PRIMARY KEY, balance bigint NOT NULL, payments bigint NOT NULL);
CREATE TABLE bank.ledger (client int NOT NULL, sequence int NOT NULL, amount bigint NOT NULL);
"""

# Settings of each session, which have to survive: the search path finds the tables, each transaction looks at all.
SETTINGS = {"search_path": "bank", "timezone": "Asia/Kathmandu", "understudy.client": "client {client}"}
LOOK = "SELECT current_setting('search_path'), current_setting('timezone'), current_setting('understudy.client', true)"

PAY = "UPDATE account SET balance = balance + %s, payments = payments + 1 WHERE client = %s RETURNING balance"
NOTE = "INSERT INTO ledger VALUES (%s, %s, %s)"
AT_ONCE = ("WITH paid AS (UPDATE account SET balance = balance + %s, payments = payments + 1 WHERE client = %s"
           " RETURNING client) INSERT INTO ledger SELECT client, %s, %s FROM paid")


@dataclasses.dataclass
class Failure:
    """An error that a client saw. in_doubt: its transaction may have been committed all the same."""
    client: int
    sequence: int
    variant: str
    sqlstate: str
    text: str
    phase: str
    at: float
    in_doubt: bool


@dataclasses.dataclass
class Report:
    """What the books say of the table, and of the run."""
    acknowledged: int
    lost: list          # (client, sequence): acknowledged, and not there
    twice: list         # (client, sequence): there more than once
    uninvited: list     # (client, sequence): there, although an error said otherwise before a commit was asked for
    wrong_balances: list  # (client, balance, sum of its lines, payments, number of its lines)
    changed_settings: list  # (client, sequence, what the session had)
    failures: list
    hung: list          # clients that got no answer at the end
    longest_gap_s: float  # between two acknowledged commits, of whichever clients

    @property
    def errors(self):
        """How many by SQLSTATE."""
        return collections.Counter(failure.sqlstate for failure in self.failures)

    @property
    def is_clean(self):
        """No client has noticed anything, and the table is as the books say."""
        return not self.problems()

    def problems(self):
        found = [f"{name}: {value[:5]}{'...' if len(value) > 5 else ''} ({len(value)})"
                 for name, value in (("acknowledged but lost", self.lost), ("applied twice", self.twice),
                                     ("applied uninvited", self.uninvited), ("wrong balances", self.wrong_balances),
                                     ("changed settings", self.changed_settings), ("hung clients", self.hung)) if value]
        examples = {failure.sqlstate: failure for failure in reversed(self.failures)}
        return found + [f"{count} x SQLSTATE {state}, first of client {examples[state].client}"
                        f" ({examples[state].variant}, {examples[state].phase}): {examples[state].text}"
                        for state, count in self.errors.items()]


# ---- How a transaction is said: a generator of statements a variant, so that what went wrong has a phase.

def _simple(client, sequence, amount):
    """The simple protocol: no parameters."""
    client.begin("BEGIN")
    client.look(client.ask(LOOK), sequence)
    client.ask(PAY.replace("%s", "{}").format(amount, client.number))
    client.ask(NOTE.replace("%s", "{}").format(client.number, sequence, amount))
    client.commit("COMMIT")


def _extended(client, sequence, amount):
    """The extended protocol with the unnamed statement, for all that has parameters."""
    client.begin("BEGIN")
    client.look(client.ask(LOOK + " WHERE %s", [True]), sequence)
    client.ask(PAY, [amount, client.number])
    client.ask(NOTE, [client.number, sequence, amount])
    client.commit("COMMIT")


def _prepared(client, sequence, amount):
    """Named statements of the protocol, prepared once a session; BEGIN and COMMIT as well."""
    client.begin("BEGIN", prepare=True)
    client.look(client.ask(LOOK, prepare=True), sequence)
    client.ask(PAY, [amount, client.number], prepare=True)
    client.ask(NOTE, [client.number, sequence, amount], prepare=True)
    client.commit("COMMIT", prepare=True)


def _sql_prepared(client, sequence, amount):
    """PREPARE at the beginning of the session, EXECUTE from then on; and a savepoint in between."""
    client.begin("BEGIN")
    client.look(client.ask("EXECUTE look"), sequence)
    client.ask(f"EXECUTE pay ({amount}, {client.number})")
    client.ask("SAVEPOINT half")
    client.ask(f"EXECUTE note ({client.number}, {sequence}, 1000000)")
    client.ask("ROLLBACK TO half")
    client.ask(f"EXECUTE note ({client.number}, {sequence}, {amount})")
    client.commit("COMMIT")


def _autocommit(client, sequence, amount):
    """One statement that is its own transaction."""
    client.phase = "look"
    client.look(client.ask(LOOK), sequence)
    client.commit(AT_ONCE, [amount, client.number, sequence, amount])


def _pipeline(client, sequence, amount):
    """Everything sent before anything is answered."""
    client.phase, client.in_doubt = "pipeline", True
    with client.connection.pipeline():
        client.connection.execute("BEGIN")
        looked = client.connection.execute(LOOK)
        client.connection.execute(PAY, [amount, client.number])
        client.connection.execute(NOTE, [client.number, sequence, amount])
        client.connection.execute("COMMIT")
    client.look(looked, sequence)


VARIANTS = {"simple": _simple, "extended": _extended, "prepared": _prepared, "sql_prepared": _sql_prepared,
            "autocommit": _autocommit, "pipeline": _pipeline}


class Client(threading.Thread):
    """One of the ledger's: lives until it is told to end, whatever happens to its sessions."""

    def __init__(self, ledger, number, variant):
        super().__init__(name=f"ledger client {number}", daemon=True)
        self._ledger = ledger
        self.number = number
        self.variant = variant
        self.connection = None
        self.sequence = 0
        self.acknowledged = []  # (sequence, when)
        self.failures = []
        self.changed_settings = []
        self.phase = "connect"
        self.in_doubt = False

    def run(self):
        while not self._ledger.ending.is_set():
            self.phase, self.in_doubt = "connect", False
            try:
                with contextlib.closing(self._ledger.connect()) as self.connection:
                    self._begin_session()
                    while not self._ledger.ending.is_set() and not self.connection.closed:
                        self._pay()
                        self._ledger.ending.wait(self._ledger.pause_s)
            except psycopg.Error as error:
                self._failed(error)
                self._ledger.ending.wait(0.05)  # a server that refuses is not asked again at once

    def _begin_session(self):
        self.connection.prepare_threshold = 1 << 30  # only what a variant asks for is prepared
        for name, value in SETTINGS.items():
            self.connection.execute(f"SET {name} = '{value.format(client=self.number)}'")
        if self.variant == "sql_prepared":
            self.connection.execute(f"PREPARE look AS {LOOK}")
            self.connection.execute("PREPARE pay (bigint, int) AS " + PAY.replace("%s", "$1", 1).replace("%s", "$2"))
            self.connection.execute("PREPARE note (int, int, bigint) AS INSERT INTO ledger VALUES ($1, $2, $3)")

    def _pay(self):
        self.sequence += 1
        self.in_doubt = False
        try:
            VARIANTS[self.variant](self, self.sequence, self.sequence % 97 + 1)
            self.acknowledged.append((self.sequence, time.monotonic()))
        except psycopg.Error as error:
            self._failed(error)
            if not self.connection.closed:
                self.phase, self.in_doubt = "rollback", False
                self.connection.execute("ROLLBACK")

    def _failed(self, error):
        self.failures.append(Failure(self.number, self.sequence, self.variant, error.sqlstate or "none",
                                     " | ".join(str(error).split("\n")), self.phase, time.monotonic(), self.in_doubt))

    # ---- What the variants say

    def begin(self, sql, **options):
        self.phase = "begin"
        self.connection.execute(sql, **options)
        self.phase = "transaction"

    def ask(self, sql, *arguments, **options):
        return self.connection.execute(sql, *arguments, **options)

    def commit(self, sql, *arguments, **options):
        self.phase, self.in_doubt = "commit", True
        cursor = self.connection.execute(sql, *arguments, **options)
        if cursor.statusmessage not in ("COMMIT", "INSERT 0 1"):
            raise psycopg.DataError(f"the commit was answered with {cursor.statusmessage}")

    def look(self, cursor, sequence):
        found = cursor.fetchone()
        if found != tuple(value.format(client=self.number) for value in SETTINGS.values()):
            self.changed_settings.append((self.number, sequence, found))

    # ---- What others ask

    def index_of(self, since):
        """Of its first acknowledgement since then; the list only grows."""
        return bisect.bisect_left(self.acknowledged, since, key=lambda one: one[1])

    def first_acknowledged(self, since):
        index = self.index_of(since)
        return self.acknowledged[index][1] if index < len(self.acknowledged) else None

    def give_up(self):
        """From another thread: whatever it waits for comes no more."""
        with contextlib.suppress(OSError, psycopg.Error, AttributeError):
            with socket.socket(fileno=os.dup(self.connection.fileno())) as broken:
                broken.shutdown(socket.SHUT_RDWR)


class Ledger:
    """`connect()`: a new autocommit session of psycopg's, at the proxy. `direct`: one at a server, to make the tables.
    The clients take the variants in turn; each pauses for `pause_s` between two transactions, to bound the load."""

    def __init__(self, connect, direct, clients=6, variants=tuple(VARIANTS), pause_s=0.01):
        self.connect = connect
        self.pause_s = pause_s
        self.ending = threading.Event()
        with direct:
            direct.execute("DROP SCHEMA IF EXISTS bank CASCADE")
            direct.execute(SCHEMA)
            direct.execute("INSERT INTO bank.account SELECT n, 0, 0 FROM generate_series(0, %s - 1) n", [clients])
        self.clients = [Client(self, n, variants[n % len(variants)]) for n in range(clients)]
        self._hung = []

    def start(self):
        for client in self.clients:
            client.start()
        return self

    def stop(self, patience_s=60):
        """Ends the clients after their transactions; one without an answer for so long has hung."""
        self.ending.set()
        end = time.monotonic() + patience_s
        for client in self.clients:
            client.join(max(0, end - time.monotonic()))
            if client.is_alive():
                self._hung.append(client.number)
                client.give_up()
                client.join(10)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- While it runs

    def acknowledged(self, since=0.0):
        """How many commits, since a time.monotonic()."""
        return sum(len(client.acknowledged) - client.index_of(since) for client in self.clients)

    def first_acknowledged(self, since):
        """When the first commit was acknowledged since then; None if none was."""
        return min((at for at in self._first_of_each(since) if at), default=None)

    def all_acknowledged(self, since):
        """When the last of the clients had its first acknowledgement since then; None while one has not."""
        each = self._first_of_each(since)
        return max(each) if all(each) else None

    def _first_of_each(self, since):
        return [client.first_acknowledged(since) for client in self.clients]

    def failures(self):
        return sorted((failure for client in self.clients for failure in client.failures[:]), key=lambda one: one.at)

    # ---- When it is over

    def check(self, direct):
        """Compares with the tables, as a direct connection to the primary shows them."""
        with direct:
            lines = {(client, sequence): (count, amount) for client, sequence, count, amount in direct.execute(
                "SELECT client, sequence, count(*), sum(amount)::bigint FROM bank.ledger GROUP BY client, sequence")}
            balances = direct.execute(
                "SELECT a.client, a.balance, coalesce(sum(l.amount), 0)::bigint, a.payments, count(l.client)"
                " FROM bank.account a LEFT JOIN bank.ledger l USING (client) GROUP BY a.client ORDER BY a.client")
            wrong = [row for row in balances.fetchall() if row[1] != row[2] or row[3] != row[4]]
        acknowledged = {(client.number, sequence) for client in self.clients for sequence, _ in client.acknowledged}
        # What was still under way when a hung client was given up on has failed as well, and is in doubt by its phase.
        doubtful = {(one.client, one.sequence) for one in self.failures() if one.in_doubt}
        return Report(
            acknowledged=len(acknowledged),
            lost=sorted(acknowledged - lines.keys()),
            twice=sorted(key for key, (count, _) in lines.items() if count > 1),
            uninvited=sorted(lines.keys() - acknowledged - doubtful),
            wrong_balances=wrong,
            changed_settings=[one for client in self.clients for one in client.changed_settings],
            failures=self.failures(), hung=self._hung, longest_gap_s=self._longest_gap())

    def _longest_gap(self):
        times = sorted(at for client in self.clients for _, at in client.acknowledged)
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)
