"""Scripts of sessions, made at random from a seed: all that a session can hold, and what shows whether it still does.

A script is a list of steps; a step is what a client sends before it waits. Nothing in it depends on when or where it
runs: no clock, no sequence, no process id, no row order that was not asked for. A script ends with statements that show
the settings, the prepared statements, the channels and the table's rows.
"""

import dataclasses
import random

from raw_session import (COPY_DONE, FLUSH, SYNC, bind, close, copy_data, describe, execute, message, parse, query)

ROLE = "script_role"
SETTINGS = ["search_path", "timezone", "datestyle", "intervalstyle", "statement_timeout", "work_mem",
            "extra_float_digits", "default_transaction_isolation", "default_transaction_read_only", "lock_timeout",
            "client_min_messages", "bytea_output", "standard_conforming_strings"]
# A parameter that a rolled back SET made is empty afterwards, not unknown ("Customized Options"): as good as the same.
OWN_SETTINGS = ["my.a", "my.b"]
CHANNELS = ["news", "Other channel"]
STATE = ("SELECT current_user, session_user, " + ", ".join(f"current_setting('{name}')" for name in SETTINGS)
         + "".join(f", coalesce(current_setting('{name}', true), '')" for name in OWN_SETTINGS)
         + ", (SELECT string_agg(c, ', ' ORDER BY c) FROM pg_catalog.pg_listening_channels() c)"
         + ", (SELECT count(*) FROM pg_catalog.pg_cursors)")
PREPARED = ("SELECT name, statement, parameter_types::text, from_sql FROM pg_catalog.pg_prepared_statements"
            " ORDER BY name COLLATE \"C\"")


def rows_of(table):
    return f"SELECT id, v FROM public.{table} ORDER BY id, v COLLATE \"C\""


@dataclasses.dataclass(frozen=True)
class Step:
    """`pieces`: whole messages; or of a Query, its `statements`. The client waits for so many ReadyForQuery; if for
    none, for so many statements to be done (a Flush), or for a CopyInResponse."""
    text: str
    pieces: tuple
    readies: int = 1
    completions: int = 0
    copies: bool = False      # waits for CopyInResponse, and has nothing to wait for if none comes
    copy_follows: bool = False  # the data, sent only if the server asked for it
    statements: tuple = ()
    pins: str = ""            # what a 57P01 may name from here on
    lets_go: bool = False     # of all that pins, if it succeeds outside of a transaction

    @property
    def is_open(self):
        """The client has not got all that it asked for."""
        return self.readies == 0

    @property
    def bytes(self):
        return b"".join(self.pieces)


@dataclasses.dataclass(frozen=True)
class Script:
    seed: str
    steps: tuple

    def __str__(self):
        return "\n".join(f"  {number:2} {step.text}" for number, step in enumerate(self.steps))


def simple(*statements, pins=""):
    sql = "; ".join(statements)
    return Step(f"Q {sql}", (query(sql),), statements=statements, pins=pins)


def extended(*requests, pins=""):
    """Each request a list of (text, message); a Sync behind each."""
    pieces, words = [], []
    for request in requests:
        pieces += [piece for _, piece in request] + [SYNC]
        words += [word for word, _ in request] + ["Sync"]
    return Step("X " + " | ".join(words), tuple(pieces), readies=len(requests), pins=pins)


def said_parse(sql, name=""):
    return (f"Parse {name!r} {sql}", parse(sql, name))


def said_bind(portal="", statement="", *values):
    return (f"Bind {portal!r} {statement!r} {values}", bind(portal, statement, *(v.encode() for v in values)))


def said_execute(portal="", rows=0):
    return (f"Execute {portal!r} {rows}", execute(portal, rows))


def said_describe(kind, name=""):
    return (f"Describe {kind.decode()} {name!r}", describe(kind, name))


def said_close(kind, name=""):
    return (f"Close {kind.decode()} {name!r}", close(kind, name))


def said_data(data):
    return (f"CopyData {data!r}", copy_data(data))


def one(sql, *values, name=""):
    return [said_parse(sql, name), said_bind("", name, *values), said_describe(b"P"), said_execute()]


def observers(table):
    return (dataclasses.replace(simple(STATE), text="Q (settings, channels)"),
            dataclasses.replace(extended(one(PREPARED)), text="X (prepared statements)"),
            dataclasses.replace(simple(rows_of(table)), text="Q (rows)"))


# Of a session that may be in a failed transaction.
ROLLBACK = simple("ROLLBACK")


class Writer:
    """Writes one script. What it believes of the session only makes its statements likely to mean something."""

    def __init__(self, seed, table, length=12):
        self._random = random.Random(seed)
        self._table = table
        self._next_id = 0
        self._in_transaction = False
        self._parsed = {}    # names of protocol statements: the number of their parameters
        self._prepared = {}  # likewise, of SQL
        self._portals = []
        self._cursors = []
        self._may_pin = self._random.random() < 0.2
        self._temporary = []  # tables
        self._steps = []
        while len(self._steps) < length:
            self._write_some()
        if self._in_transaction:
            self._say(self._pick(["COMMIT", "COMMIT", "ROLLBACK", "END"]))
        self._steps += [extended([said_close(b"P", "")]), *observers(table)]
        self.script = Script(str(seed), tuple(self._steps))

    # ---- What is chosen from

    def _pick(self, choices):
        return self._random.choice(choices)

    def _chance(self, probability):
        return self._random.random() < probability

    def _id(self):
        self._next_id += 1
        return self._next_id

    def _write_some(self):
        r = self._random
        transaction = [(self._end, 3), (self._savepoints, 4), (self._portal, 4), (self._cursor, 3), (self._lock, 1)]
        outside = [(self._begin, 7), (self._discard, 2), (self._let_go, 3 if self._temporary else 0)]
        both = [(self._write, 6), (self._read, 3), (self._set, 6), (self._show, 3), (self._several, 3),
                (self._sql_prepared, 3), (self._protocol_prepared, 4), (self._channels, 3), (self._error, 2),
                (self._copy_out, 1), (self._copy_in, 3), (self._pipeline, 3), (self._syncs, 3), (self._flush, 2),
                (self._oddity, 1), (self._pin, 3 if self._may_pin else 0),
                (self._let_some_go, 2 if self._temporary else 0)]
        choices = both + (transaction if self._in_transaction else outside)
        action = r.choices([action for action, _ in choices], [weight for _, weight in choices])[0]
        action()

    def _say(self, sql, *values, pins=""):
        """By whichever protocol."""
        if values or self._chance(0.4):
            name = self._pick(["", "", "s9"])
            request = one(sql, *values, name=name)
            if name:
                request.insert(0, said_close(b"S", name))
                request.append(said_close(b"S", name))
            self._steps.append(extended(request, pins=pins))
        else:
            self._steps.append(simple(sql, pins=pins))

    # ---- Rows

    def _insert(self):
        n = self._id()
        word = self._pick(["plain", "quote''d", "Größe", ""])
        return self._pick([
            f"INSERT INTO {self._table} VALUES ({n}, '{word}')",
            f"INSERT INTO {self._table} VALUES ({n}, '{word}') RETURNING id, v",
            f"INSERT INTO {self._table} SELECT {n} + i * 1000, 'many' FROM generate_series(1, 3) i",
            f"WITH w AS (INSERT INTO {self._table} VALUES ({n}, 'with') RETURNING id) SELECT id + 1 FROM w"])

    def _change(self):
        last = max(1, self._next_id)
        return self._pick([
            f"UPDATE {self._table} SET v = v || 'x' WHERE id = {self._random.randint(1, last)}",
            f"UPDATE {self._table} SET v = v || '+'",
            f"DELETE FROM {self._table} WHERE id = {self._random.randint(1, last)}"])

    def _query(self):
        return self._pick([
            f"SELECT id, v FROM {self._table} ORDER BY id, v COLLATE \"C\"",
            f"SELECT count(*), sum(id) FROM {self._table}",
            "SELECT i, repeat('r', i) FROM generate_series(1, 40) i",
            "SELECT '2024-01-02'::date, interval '1 day 2 hours', 1.1::float8 / 3, '2024-01-01 00:00+00'::timestamptz",
            "SELECT '\\x00ff'::bytea, 'a\\b'",
            f"SELECT v FROM {self._table} WHERE false"])

    def _write(self):
        if self._chance(0.3):
            return self._say(f"INSERT INTO {self._table} VALUES ($1, $2)", str(self._id()), "bound")
        return self._say(self._insert() if self._chance(0.65) else self._change())

    def _read(self):
        self._say(self._query())

    def _lock(self):
        self._say(f"SELECT id FROM {self._table} ORDER BY id FOR UPDATE")

    # ---- Settings

    def _setting(self):
        r = self._random
        name, value = self._pick([
            ("timezone", "'Asia/Kathmandu'"), ("timezone", "'America/New_York'"), ("datestyle", "'German, DMY'"),
            ("datestyle", "'SQL, MDY'"), ("intervalstyle", "'iso_8601'"), ("statement_timeout", "'77s'"),
            ("statement_timeout", "'88s'"), ("work_mem", "'5MB'"), ("extra_float_digits", "-3"),
            ("search_path", "public, nowhere"), ("search_path", "nowhere, pg_catalog, public"),
            ("default_transaction_isolation", "'repeatable read'"), ("lock_timeout", "'66s'"),
            ("bytea_output", "'escape'"), ("application_name", None), ("my.a", "'one'"), ("my.a", "'two'"),
            ("my.b", "'it''s'"), ("MY.B", "'upper'"), ("client_min_messages", "'error'"), ("role", ROLE)])
        if name == "application_name":
            return self._pick(["SET TIME ZONE 'Europe/Berlin'", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION "
                               "LEVEL SERIALIZABLE", f"SET SESSION AUTHORIZATION {ROLE}", "SET TIME ZONE LOCAL",
                               "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "SET NAMES 'UTF8'"])
        forms = [f"SET {name} = {value}", f"SET {name} TO {value}", f"SET SESSION {name} = {value}"]
        if name.lower() != "search_path" and name != "role":
            forms += [f"SELECT set_config('{name}', {value if value[0] == chr(39) else repr(value)}, false)"]
        if self._in_transaction or r.random() < 0.2:
            forms += [f"SET LOCAL {name} = {value}"] * 2
            if name not in ("search_path", "role"):
                forms += [f"SELECT set_config('{name}', {value if value[0] == chr(39) else repr(value)}, true)"]
        return self._pick(forms)

    def _set(self):
        if self._chance(0.25):
            return self._say(self._pick(["RESET ALL", "RESET timezone", "RESET my.a", "SET my.b TO DEFAULT",
                                         "RESET ROLE", "SET statement_timeout TO DEFAULT",
                                         "RESET SESSION AUTHORIZATION",
                                         "SET LOCAL timezone TO DEFAULT", "SET ROLE NONE", "RESET search_path",
                                         "SET SESSION AUTHORIZATION DEFAULT"]))
        setting = self._setting()
        if self._chance(0.15):
            return self._say(f"DO $$BEGIN {setting.replace('SELECT', 'PERFORM')}; END$$")
        return self._say(setting)

    def _show(self):
        name = self._pick([*SETTINGS, "transaction_isolation", "transaction_read_only"])
        self._say(self._pick([f"SHOW {name}", f"SELECT current_setting('{name}')", "SELECT current_user, session_user",
                              "SELECT coalesce(current_setting('my.a', true), '')", STATE, PREPARED]))

    # ---- Transactions

    def _begin(self):
        self._in_transaction = True
        self._say(self._pick(["BEGIN"] * 4 + ["START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                              "BEGIN ISOLATION LEVEL SERIALIZABLE", "begin work",
                                              "BEGIN READ ONLY" if self._chance(0.5) else "BEGIN READ WRITE"]))

    def _end(self):
        chain = self._chance(0.12)
        self._in_transaction = chain
        self._portals.clear()
        self._cursors.clear()
        ends = ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"] if chain else ["COMMIT"] * 5 + ["END", "ROLLBACK", "ABORT"]
        self._say(self._pick(ends))

    def _savepoints(self):
        name = self._pick(["a", "b", '"A b"'])
        self._say(self._pick([f"SAVEPOINT {name}"] * 4 + [f"RELEASE {name}", f"ROLLBACK TO SAVEPOINT {name}",
                                                          f"ROLLBACK TO {name}"]))

    # ---- Several statements, one Query

    def _several(self):
        self._steps.append(simple(*self._pick([
            lambda: (self._insert(), self._query(), self._change()),
            lambda: (self._setting(), self._insert()),
            lambda: ("BEGIN", self._insert(), self._setting(), "COMMIT"),
            lambda: ("BEGIN", self._insert(), "ROLLBACK", self._insert()),
            lambda: (self._insert(), "COMMIT", self._insert()),
            lambda: (self._insert(), "SELECT 1 / 0", self._insert()),
            lambda: ("BEGIN", self._setting(), "SAVEPOINT a", self._insert(), "ROLLBACK TO a", "COMMIT"),
            lambda: (self._setting(), self._query()),
            lambda: ("SELECT 1", "SELECT 2", self._query()),
            lambda: ("BEGIN", self._insert(), "COMMIT", "BEGIN", self._change(), "COMMIT"),
            lambda: ("LISTEN news", self._insert()),
            lambda: ("", "SELECT 1", ""),
        ])()))
        if any(word in self._steps[-1].text for word in ("COMMIT", "ROLLBACK;")):
            self._in_transaction = False

    # ---- Prepared statements, portals, cursors

    def _sql_prepared(self):
        name = self._pick(["p1", "p2", '"P 3"'])
        texts = [(f"PREPARE {name} (int) AS SELECT $1 * 2", 1),
                 (f"PREPARE {name} AS SELECT count(*) FROM {self._table}", 0),
                 (f"PREPARE {name} (int, text) AS INSERT INTO {self._table} VALUES ($1, $2)", 2)]
        if name not in self._prepared or self._chance(0.15):
            text, count = self._pick(texts)
            self._prepared.setdefault(name, count)
            return self._say(text)
        if self._chance(0.25):
            if self._chance(0.2):
                self._prepared.clear()
                self._parsed.clear()
                return self._say("DEALLOCATE ALL")
            del self._prepared[name]
            return self._say(f"DEALLOCATE {name}")
        values = [str(self._id()), "'prepared'"][:self._prepared[name]]
        if self._chance(0.25) and not name.startswith('"'):
            plain = [value.strip("'") for value in values]
            return self._steps.append(extended([said_bind("", name, *plain), said_describe(b"P"), said_execute()]))
        return self._say(f"EXECUTE {name}" + (f"({', '.join(values)})" if values else ""))

    def _protocol_prepared(self):
        name = self._pick(["s1", "s2", ""])
        texts = [("SELECT $1::int + 1", 1), (f"INSERT INTO {self._table} VALUES ($1, $2)", 2), (self._query(), 0),
                 (f"UPDATE {self._table} SET v = v || $1", 1), ("SELECT 1 / $1::int", 1)]
        if name not in self._parsed or self._chance(0.2):
            text, count = self._pick(texts)
            request = [said_parse(text, name)]
            if name in self._parsed and name and self._chance(0.8):
                request.insert(0, said_close(b"S", name))
            self._parsed[name] = count
            if self._chance(0.5):
                request.append(said_describe(b"S", name))
            return self._steps.append(extended(request))
        if self._chance(0.15):
            del self._parsed[name]
            return self._steps.append(extended([said_close(b"S", name)]))
        count = self._parsed[name]
        values = [str(self._id() if count == 2 else self._random.randint(0, 3)), "by name"][:count]
        request = [said_bind("", name, *values), said_execute()]
        if self._chance(0.4):
            request.insert(1, said_describe(b"P"))
        return self._steps.append(extended(request))

    def _portal(self):
        if self._portals and self._chance(0.7):
            name = self._pick(self._portals)
            if self._chance(0.2):
                self._portals.remove(name)
                return self._steps.append(extended([said_close(b"P", name)]))
            return self._steps.append(extended([said_execute(name, self._random.randint(1, 4))]))
        name = self._pick(["c1", "c2"])
        self._portals.append(name)
        sql = self._pick(["SELECT i, repeat('p', i) FROM generate_series(1, 12) i",
                          f"SELECT id, v FROM {self._table} ORDER BY id, v COLLATE \"C\"",
                          f"INSERT INTO {self._table} VALUES ({self._id()}, 'portal'), ({self._id()}, 'portal')"
                          " RETURNING id"])
        return self._steps.append(extended([said_parse(sql), said_bind(name), said_describe(b"P", name),
                                            said_execute(name, self._random.randint(1, 3))]))

    def _cursor(self):
        name = self._pick(["k1", '"K 2"'])
        if name not in self._cursors:
            self._cursors.append(name)
            scroll = self._pick(["", "SCROLL ", "NO SCROLL "])
            return self._say(f"DECLARE {name} {scroll}CURSOR FOR SELECT i FROM generate_series(1, 9) i")
        if self._chance(0.15):
            self._cursors.remove(name)
            return self._say(f"CLOSE {name}")
        return self._say(self._pick([f"FETCH 2 FROM {name}", f"FETCH {name}", f"MOVE 1 IN {name}",
                                     f"FETCH ALL {name}"]))

    # ---- Pipelines

    def _pipeline(self):
        """One Sync, several statements."""
        request = []
        for _ in range(self._random.randint(2, 4)):
            sql = self._pick([self._insert, self._query, self._change, self._setting])()
            request += one(sql, name=self._pick(["", "", "s8"]))
            if "s8" in request[-4][0]:
                request.append(said_close(b"S", "s8"))
        if self._chance(0.2):
            request += one("SELECT 1 / 0")
        if self._chance(0.25) and not self._in_transaction:
            request = [*one("BEGIN"), *request, *one("COMMIT")]
        self._steps.append(extended(request))

    def _syncs(self):
        """Several requests at once."""
        texts = [self._pick([self._insert, self._query, self._change, self._setting])()
                 for _ in range(self._random.randint(2, 4))]
        if self._chance(0.5):
            texts = ["BEGIN", *texts, self._pick(["COMMIT", "COMMIT", "ROLLBACK"])]
            if self._chance(0.3):
                texts.append(self._pick([self._insert, self._query])())
            self._in_transaction = False
        if self._chance(0.15):
            texts.insert(self._random.randint(0, len(texts)), "SELECT * FROM no_such_table")
        if self._chance(0.3):
            step = Step("Q " + " || Q ".join(texts), tuple(query(text) for text in texts), readies=len(texts))
            return self._steps.append(step)
        return self._steps.append(extended(*[one(text) for text in texts]))

    def _flush(self):
        """Waits for answers without a Sync; that comes with the next step."""
        sql = self._pick([self._insert, self._query])()
        request = one(sql)
        self._steps.append(Step("X " + " | ".join(word for word, _ in request) + " | Flush",
                                (*(piece for _, piece in request), FLUSH), readies=0, completions=1))
        more = one(self._pick([self._insert, self._query])()) if self._chance(0.5) else []
        self._steps.append(extended(more))

    # ---- COPY

    def _copy_out(self):
        self._say(f"COPY (SELECT id, v FROM {self._table} ORDER BY id, v COLLATE \"C\") TO STDOUT")

    def _copy_in(self):
        sql = f"COPY {self._table} FROM STDIN"
        data = [f"{self._id()}\tcopied\n".encode() for _ in range(self._random.randint(1, 3))]
        if self._chance(0.15):
            data.append(b"not a number\tcopied\n")
        end = ("CopyDone", COPY_DONE) if self._chance(0.8) else ("CopyFail", message(b"f", b"changed its mind\0"))
        rest = [*(said_data(one_line) for one_line in data), end]
        by_query = self._chance(0.6)
        if not by_query:
            self._parsed.pop("", None)  # executed again without its data it would wait for them
        words = [word for word, _ in rest]
        pieces = tuple(piece for _, piece in rest)
        if self._chance(0.5):  # does not wait to be asked
            if by_query:
                first = (f"Q {sql}", query(sql))
                self._steps.append(Step(" | ".join([first[0], *words]), (first[1], *pieces)))
            else:
                self._steps.append(extended([*one(sql)[:2], said_execute(), *rest]))
            return
        if by_query:
            self._steps.append(Step(f"Q {sql}", (query(sql),), readies=0, copies=True))
            self._steps.append(Step(" | ".join(words), pieces, copy_follows=True))
        else:
            request = [*one(sql)[:2], said_execute(), ("Flush", FLUSH)]
            self._steps.append(Step("X " + " | ".join(word for word, _ in request),
                                    tuple(piece for _, piece in request), readies=0, copies=True))
            self._steps.append(Step("X " + " | ".join([*words, "Sync"]), (*pieces, SYNC), copy_follows=True))

    # ---- The rest

    def _channels(self):
        channel = self._pick(CHANNELS)
        quoted = '"Other channel"' if channel != "news" else "news"
        self._say(self._pick([f"LISTEN {quoted}"] * 3 + [f"UNLISTEN {quoted}", "UNLISTEN *", f"NOTIFY {quoted}, 'x'",
                                                         f"SELECT pg_notify('{channel}', 'called')"]))

    def _discard(self):
        sql = self._pick(["DISCARD ALL", "DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP"])
        if sql == "DISCARD ALL":
            self._parsed.clear()
            self._prepared.clear()
        self._say(sql)

    def _error(self):
        out_of_place = "DISCARD ALL" if self._in_transaction else "SAVEPOINT outside"
        self._say(self._pick(["SELECT 1 / 0", "SELECT * FROM no_such_table", "SELEC 1", "SET timezone = 'Nowhere/None'",
                              "SELECT 'x'::int", f"INSERT INTO {self._table} VALUES (1 / 0, 'never')",
                              "EXECUTE nothing", "SET work_mem = 'lots'", "DEALLOCATE nothing", out_of_place]))

    def _oddity(self):
        add = b"\0\0\0\xb1" + b"\0\0" + b"\0\2" + b"\0\0\0\1" + b"2" + b"\0\0\0\1" + b"3" + b"\0\0"
        self._steps.append(self._pick([
            Step("FunctionCall int4pl(2, 3)", (message(b"F", add),)),
            extended([]),
            extended([said_execute("no such portal")]),
            extended([said_bind("", "no such statement")]),
            extended([said_describe(b"S", "no such statement")]),
            simple(""),
            extended(one("")),
            simple("SELECT repeat('long ', 40000)"),
        ]))

    def _pin(self):
        name = f"temporary_{self._id()}"
        held = f"held_{self._next_id}"
        self._say(*self._pick([(f"CREATE TEMP TABLE {name} (n int)",), (f"SELECT pg_advisory_lock({self._next_id})",),
                               (f"DECLARE {held} CURSOR WITH HOLD FOR SELECT 1",),
                               (f"DO 'BEGIN CREATE TEMP TABLE {name} (n int); END'",),
                               (f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT 1 AS n",)]),
                  pins="temporary table|advisory lock|WITH HOLD")
        self._temporary.append(name)  # or so

    def _let_some_go(self):
        name = self._pick(self._temporary)
        number = name.rpartition("_")[2]
        self._say(self._pick([f"DROP TABLE IF EXISTS {name}", f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE",
                              f"SELECT pg_advisory_unlock({number})", "SELECT pg_advisory_unlock_all()",
                              f"CLOSE held_{number}", "CLOSE ALL", "DISCARD TEMP"]))

    def _let_go(self):
        tables = ", ".join(self._temporary)
        statements = [f"DROP TABLE IF EXISTS {tables}", "SELECT pg_advisory_unlock_all()", "CLOSE ALL"]
        self._steps.append(dataclasses.replace(simple(*self._random.sample(statements, 3)), lets_go=True))


def make_script(seed, table):
    return Writer(seed, table).script
