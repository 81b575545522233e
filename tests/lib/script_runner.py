"""Runs session scripts (session_scripts.py) and judges what a loss of the server on the way does to their output: it is
the same, or a documented error after which the session and the table are as if the transaction had, or had not, been.
"""

import collections
import dataclasses
import random
import re
import socket
import struct
import time

from raw_session import SYNC, TERMINATE, RawSession, error_fields, parse, query, startup
from session_scripts import ROLE, ROLLBACK, Step, observers, rows_of, simple
from waiting import await_condition

LONGEST_WAIT_S = 15
LONGEST_NOTICING_S = 0.5  # for the proxy to have another server; a session that cannot move has none
TERMINATED = "terminating connection due to administrator command"
DOCUMENTED = ("40001", "08007", "57P01", "08006")


class Hung(Exception):
    pass


@dataclasses.dataclass
class Answer:
    """What a step was answered. Asides (notices, notifications, settings) come when they come: apart from the rest."""
    shown: list
    settings: dict
    notices: list
    notifications: list
    ended: bool = False
    broken: bool = False  # in the middle of a message

    @property
    def status(self):
        return next((payload.decode() for kind, payload in reversed(self.shown) if kind == b"Z"), "?")

    def __str__(self):
        return "  ".join(_show(kind, payload) for kind, payload in self.shown) + (
            " (end, in the middle of a message)" if self.broken else " (end)" if self.ended else "")


def _show(kind, payload):
    if kind == b"E":
        [fields] = error_fields([(kind, payload)])
        return f"E[{fields.get('S')} {fields.get('C')}: {fields.get('M')} / {fields.get('D', '')}]"
    text = payload if len(payload) < 200 else payload[:200] + b"..."
    return f"{kind.decode()}{str(text)[1:] if payload else ''}"


class Conversation:
    """One session of a script, direct or by the proxy."""

    def __init__(self, port, mark, timeout_s=LONGEST_WAIT_S):
        self._session = RawSession(port, login=False, timeout_s=timeout_s)
        self._session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._settings = {}
        self.was_asked_for_data = False
        self.is_unsynced = False
        self._session.send(startup(user="postgres", database="postgres", application_name=mark))
        self.greeting = self.receive(Step("(login)", ()))

    def send(self, step):
        """Returns False when there is nothing to be sent: a COPY that did not begin."""
        pieces = step.pieces
        if step.copy_follows and not self.was_asked_for_data:
            pieces = tuple(piece for piece in pieces if piece == SYNC)
            if not pieces:
                return False
        self.is_unsynced = step.is_open and step.text.startswith("X")
        try:
            self._session.send(*pieces)
        except OSError:
            pass  # what was said before the end is still to be read
        return True

    def receive(self, step):
        answer = Answer([], {}, [], [])
        readies = done = 0
        try:
            while True:
                received = self._session.next()
                if received is None or received[1] is None:
                    answer.ended = True
                    answer.broken = received is not None or self._session.is_inside_message
                    break
                kind, payload = received
                self._take(answer, kind, payload)
                readies += kind == b"Z"
                done += kind in (b"C", b"I", b"s", b"E")
                if step.readies and readies >= step.readies:
                    break
                if step.completions and (done >= step.completions or readies):
                    break
                if step.copies and (kind in b"GZ" or (kind == b"E" and self.is_unsynced)):
                    break
        except TimeoutError as error:
            raise Hung(f"{step.text}: only {answer}") from error
        self.was_asked_for_data = bool(answer.shown) and answer.shown[-1][0] == b"G"
        answer.settings = dict(self._settings)
        return answer

    def ask(self, step):
        if not self.send(step):
            return Answer([], dict(self._settings), [], [])
        return self.receive(step)

    def leave(self):
        """What comes after all was answered: nothing but asides."""
        try:
            self._session.send(TERMINATE)
            answer = Answer([], {}, [], [])
            for kind, payload in self._session.to_end():
                self._take(answer, kind, payload)
            return answer.shown
        except OSError:
            return []
        finally:
            self.close()

    def close(self):
        self._session.socket.close()

    def _take(self, answer, kind, payload):
        if kind == b"N":
            answer.notices.append(error_fields([(b"E", payload)])[0].get("M"))
        elif kind == b"A":
            answer.notifications.append(payload[4:])  # without the process
        elif kind == b"S":
            name, value = payload.split(b"\0")[:2]
            self._settings[name.decode()] = value.decode()
        elif kind not in (b"K", b"R"):
            answer.shown.append((kind, payload))


# ---- What should come

@dataclasses.dataclass(frozen=True)
class Remains:
    """What is left of a session and its table."""
    state: str
    prepared: str
    rows: str
    settings: str  # as the server has told the client


def observe(conversation, table):
    answers = [conversation.ask(step) for step in observers(table)]
    return Remains(*(str(answer) for answer in answers), str(sorted(answers[-1].settings.items())))


class Reference:
    """A script run on the server itself: what each step is answered; and what remains if it ends early."""

    def __init__(self, script, stage):
        self.script = script
        self._stage = stage
        self._remains = {}
        stage.clear()
        conversation = stage.converse_directly()
        self.greeting = conversation.greeting
        try:
            self.answers = [conversation.ask(step) for step in script.steps]
        finally:
            conversation.close()

    def status_before(self, number):
        while number and not self.script.steps[number - 1].readies:
            number -= 1
        return self.answers[number - 1].status if number else "I"

    def is_let_go(self, number):
        """Whether a step that lets go of all that pins did: it succeeded, outside of a transaction."""
        answer = self.answers[number]
        failed = any(kind == b"E" for kind, _ in answer.shown)
        return self.status_before(number) == "I" and answer.status == "I" and not failed

    def unit(self, number):
        """The steps around this one that the client sends from one ReadyForQuery to another: first, past the last."""
        steps = self.script.steps
        first, past = number, number + 1
        while first and steps[first - 1].is_open:
            first -= 1
        while steps[past - 1].is_open and past < len(steps):
            past += 1
        return first, past

    def cuts(self, number):
        """Ways in which the unit around a step can have been executed in part, each with how many of its requests were
        whole: (whole requests, messages, ReadyForQuery due)."""
        first, past = self.unit(number)
        steps = self.script.steps[first:past]
        yield 0, (), 0
        if len(steps) == 1 and len(steps[0].statements) > 1:
            statements = steps[0].statements
            for length in range(1, len(statements)):
                yield 0, (query("; ".join([*statements[:length], "SELECT 1 / 0"])),), 1
        elif not any(step.copies or "Copy" in step.text for step in steps):
            pieces = [piece for step in steps for piece in step.pieces]
            for length in range(1, len(pieces)):
                part = tuple(pieces[:length])
                whole = sum(piece == SYNC or piece[:1] in b"QF" for piece in part)
                if part[-1] == SYNC or part[-1][:1] in b"QF":
                    yield whole, part, whole
                else:  # an error ends what is open, and nothing of it remains that a lost session would not leave
                    yield whole, (*part, parse("broken ("), SYNC), whole + 1
        yield 99, tuple(piece for step in steps for piece in step.pieces), sum(step.readies for step in steps)

    def remains(self, number):
        """[(whole requests, what remains if so much of the unit was executed, and then the session was lost)]"""
        first, _ = self.unit(number)
        if first not in self._remains:
            self._remains[first] = [(whole, self._run(first, pieces, readies))
                                    for whole, pieces, readies in self.cuts(number)]
        return self._remains[first]

    def _run(self, first, pieces, readies):
        self._stage.clear()
        conversation = self._stage.converse_directly()
        for step in self.script.steps[:first]:
            conversation.ask(step)
        if pieces:
            conversation.was_asked_for_data = True
            conversation.ask(Step("(a part)", pieces, readies=readies))
        conversation.ask(ROLLBACK)
        remains = observe(conversation, self._stage.table)
        conversation.close()
        return remains


# ---- What goes wrong on the way

@dataclasses.dataclass(frozen=True)
class Disturbance:
    """`kind`: "cut", "terminate", "hush" (before the step), "requests", "replies" (after so many bytes of it),
    "terminate_in_flight"; "failover", "failover_in_flight": the primary's power is lost, and a replica promoted."""
    step: int
    kind: str
    share: float = 0      # of the bytes that are expected, let through before the cut
    pause_s: float = 0
    settles: bool = False  # the proxy has noticed before the step is sent
    how: str = "reset"
    lingers: bool = False
    again_bytes: int = 0

    @property
    def is_in_flight(self):
        """May be, as the proxy sees it."""
        return self.kind != "failover" and not self.settles


def between(step, chance):
    kind = chance.choice(["cut", "cut", "terminate"])
    return Disturbance(step, kind, settles=chance.random() < 0.5)


def in_flight(step, chance):
    kind = chance.choice(["requests", "requests", "replies", "replies", "replies", "hush", "terminate_in_flight"])
    share = chance.choice([0, 1, chance.random(), chance.random(), chance.random()])
    return Disturbance(step, kind, share, how=chance.choice(["reset", "end"]), lingers=chance.random() < 0.4,
                       pause_s=chance.choice([0, 0.0005, 0.002]),
                       again_bytes=chance.randint(1, 1500) if chance.random() < 0.12 else 0)


# ---- The verdict

@dataclasses.dataclass
class Verdict:
    """`kind`: "same", an SQLSTATE, or "wrong"."""
    kind: str
    why: str = ""
    step: int = -1
    expected: str = ""
    got: str = ""
    notices_lost: int = 0
    notifications_lost: int = 0
    fired: bool = True


class Stage:
    """A cluster behind relays and a proxy before it, one session at a time."""

    def __init__(self, proxy, cluster, table):
        self.proxy = proxy
        self.cluster = cluster
        self.table = table
        self._primary = self._control = None
        self.execute(f"CREATE TABLE IF NOT EXISTS public.{table} (id int, v text)")
        if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            self.execute(f"CREATE ROLE {ROLE}")
        self.execute(f"GRANT ALL ON public.{table} TO {ROLE}")

    @property
    def relay(self):
        return self.cluster.primary.relay

    def execute(self, sql, values=None):
        if self._primary is not self.cluster.primary:
            self._primary = self.cluster.primary
            self._control = self._primary.connect()
        return self._control.execute(sql, values)

    def converse_directly(self):
        return Conversation(self.cluster.primary.server.port, self.table, timeout_s=4)

    def await_gone(self):
        """No session that was lost is at work any more."""
        lost = self.relay.abandon(self.table)
        if lost:
            await_condition(lambda: not self._at_work(lost),
                            lambda: f"sessions lost ({lost}) to end: {self._at_work(lost)}", 30)

    def _at_work(self, lost):
        """Of those that were cut, (port, when): what is there still."""
        ports, times = zip(*lost)
        return self.execute("SELECT client_port, application_name, backend_type, backend_start, state, wait_event, query"
                            " FROM pg_stat_activity JOIN unnest(%s::int[], %s::float8[]) AS lost (port, at)"
                            " ON client_port = port AND backend_start <= to_timestamp(at)",
                            [list(ports), list(times)]).fetchall()

    def clear(self):
        """Nobody is at work, and the table is empty: servers kept for the next client have said DISCARD ALL."""
        self.await_gone()
        busy = "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY(%s) AND state <> 'idle'"
        end = time.monotonic() + 2
        while (ports := self.relay.ports(self.table)) and self.execute(busy, [ports]).fetchone()[0]:
            if time.monotonic() > end:  # a client that hung has left it behind
                self.relay.cut(self.table)
                self.await_gone()
                break
            time.sleep(0.002)
        self.execute(f"TRUNCATE public.{self.table}")

    def rows(self):
        conversation = self.converse_directly()
        rows = str(conversation.ask(simple(rows_of(self.table))))
        conversation.close()
        return rows

    def reference(self, script):
        return Reference(script, self)

    def run(self, reference, disturbance=None, timeout_s=LONGEST_WAIT_S):
        self.clear()
        conversation = None
        try:
            conversation = Conversation(self.proxy.port, self.table, timeout_s)
            return Run(self, reference, conversation, disturbance).verdict()
        except Hung as hung:
            return Verdict("wrong", f"hung: {hung}")
        finally:
            self.relay.disarm(self.table)
            if conversation:
                conversation.close()

    def terminate(self):
        for port in self.relay.ports(self.table):
            self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = %s", [port])

    def fail_over(self):
        self.cluster.kill_primary()
        self.cluster.take_over()


class Run:
    """One run of a script by the proxy."""

    def __init__(self, stage, reference, conversation, disturbance):
        self._stage = stage
        self._reference = reference
        self._conversation = conversation
        self._disturbance = disturbance
        self._pinned = ""
        self._notices_lost = self._notifications_lost = 0
        self._fired = disturbance is None

    def verdict(self):
        found = self._play()
        found.notices_lost = self._notices_lost
        found.notifications_lost = self._notifications_lost
        found.fired = self._fired
        return found

    def _play(self):
        steps = self._reference.script.steps
        let_go_at = len(steps)
        difference = self._difference(self._conversation.greeting, self._reference.greeting)
        if difference:
            return Verdict("wrong", f"greeting: {difference}")
        for number, step in enumerate(steps):
            if step.pins:
                self._pinned, let_go_at = step.pins, len(steps)
            elif step.lets_go and self._reference.is_let_go(number):
                let_go_at = number
            expected = self._reference.answers[number]
            answer = self._ask(number, step)
            difference = self._difference(answer, expected)
            if not difference:
                if number > let_go_at:  # the proxy has asked the server before it passed this one on
                    self._pinned = ""
                continue
            found = self._judge(number, answer, expected, difference)
            found.step, found.expected, found.got = number, str(expected), str(answer)
            return found
        rest = self._conversation.leave()
        if self._disturbance and [one[0] for one in rest] == [b"E"] and self._may_be_late(len(steps)):
            return self._judge_fatal(len(steps) - 1, Answer(rest, {}, [], []), error_fields(rest)[0], 0)
        if rest:
            return Verdict("wrong", f"after the end: {[_show(*one) for one in rest]}")
        return Verdict("same")

    # ---- Disturbing

    def _ask(self, number, step):
        disturbance = self._disturbance
        if disturbance is None or disturbance.step != number:
            return self._conversation.ask(step)
        stage, mark = self._stage, self._stage.table
        self._fired = True
        if disturbance.kind in ("cut", "terminate"):
            before = stage.relay.ports(mark)
            stage.relay.cut(mark) if disturbance.kind == "cut" else stage.terminate()
            end = time.monotonic() + LONGEST_NOTICING_S
            while disturbance.settles and time.monotonic() < end and stage.relay.ports(mark) in (before, []):
                time.sleep(0.001)
            return self._conversation.ask(step)
        if disturbance.kind == "failover":
            stage.fail_over()
            return self._conversation.ask(step)
        if disturbance.kind == "failover_in_flight":
            is_sent = self._conversation.send(step)
            time.sleep(disturbance.pause_s)
            stage.fail_over()
        elif disturbance.kind == "hush":
            stage.relay.hush(mark)
            is_sent = self._conversation.send(step)
            time.sleep(0.01)
            stage.relay.cut(mark)
        elif disturbance.kind == "terminate_in_flight":
            is_sent = self._conversation.send(step)
            time.sleep(disturbance.pause_s)
            stage.terminate()
        else:
            expected = sum(len(payload) + 5 for _, payload in self._reference.answers[number].shown)
            length = len(step.bytes) if disturbance.kind == "requests" else expected
            stage.relay.cut_after(mark, disturbance.kind, int(disturbance.share * length), disturbance.how,
                                  disturbance.lingers, disturbance.again_bytes)
            is_sent = self._conversation.send(step)
        answer = self._conversation.receive(step) if is_sent else Answer([], {}, [], [])
        if disturbance.kind in ("requests", "replies"):
            self._fired = stage.relay.disarm(mark)
        return answer

    # ---- Comparing

    def _difference(self, answer, expected):
        if answer.shown != expected.shown or answer.ended != expected.ended:
            return "another answer"
        if answer.shown and answer.settings != expected.settings:
            return f"ParameterStatus: {sorted(set(answer.settings.items()) ^ set(expected.settings.items()))}"
        extra = collections.Counter(answer.notifications) - collections.Counter(expected.notifications)
        if extra:
            return f"notified of {extra}"
        lost = len(expected.notifications) - len(answer.notifications)
        if lost and (self._disturbance is None):
            return f"{lost} notifications lost"
        self._notifications_lost += lost
        self._notices_lost += answer.notices != expected.notices
        return ""

    def _judge(self, number, answer, expected, difference):
        """Whether another answer than expected is an error that may be, and the rest as it should be after it."""
        disturbance = self._disturbance
        if disturbance is None:
            return Verdict("wrong", f"undisturbed: {difference}")
        at = next((i for i, (a, b) in enumerate(zip(answer.shown, expected.shown)) if a != b),
                  min(len(answer.shown), len(expected.shown)))
        if at == len(answer.shown) and answer.ended and self._pinned:
            return self._judge_end(number, answer, "57P01", at)  # a reset took the words along
        if at == len(answer.shown) and answer.ended and disturbance.kind.startswith("terminate"):
            return self._judge_end(number, answer, "terminated", at)
        if at == len(answer.shown) and answer.broken:
            return self._judge_end(number, answer, "broken", at)
        if at >= len(answer.shown) or answer.shown[at][0] != b"E":
            return Verdict("wrong", difference)
        [error] = error_fields([answer.shown[at]])
        if error["C"] not in DOCUMENTED:
            return Verdict("wrong", f"{difference}: {error['C']} {error['M']}")
        if not self._may_be_late(number):
            return Verdict("wrong", f"{error['C']} long after the loss")
        if error["S"] == "FATAL":
            return self._judge_fatal(number, answer, error, at)
        # A COPY that was begun is in flight until its end is told.
        in_flight_before = disturbance.is_in_flight or self._reference.unit(number)[0] < disturbance.step
        if error["C"] == "08007" and not in_flight_before:
            return Verdict("wrong", "08007, but nothing was in flight")
        rest = answer.shown[at + 1:]
        alien = [_show(*one) for one in rest if one[0] not in (b"E", b"Z")]
        if alien:
            return Verdict("wrong", f"after the error: {alien}")
        if answer.ended:
            return Verdict("wrong", f"the end after {error['C']}")
        return self._judge_after(number, answer, error, at)

    def _may_be_late(self, number):
        first, past = self._reference.unit(self._disturbance.step)
        return first <= number <= past

    def _judge_fatal(self, number, answer, error, at):
        detail = error.get("D", "")
        if error["C"] == "57P01" and self._pinned and re.search(self._pinned, detail):
            return self._judge_end(number, answer, "57P01", at)
        # Whoever ended the session by its server's process meant the client: the server itself is still there.
        if self._disturbance.kind.startswith("terminate") and error["M"] == TERMINATED:
            return self._judge_end(number, answer, "terminated", at)
        return Verdict("wrong", f"FATAL {error['C']}: {error['M']} / {detail}"
                       + (f" (pinned by {self._pinned})" if self._pinned else ""))

    def _judge_end(self, number, answer, kind, at):
        self._stage.await_gone()
        rows = self._stage.rows()
        whole = sum(one[0] == b"Z" for one in answer.shown[:at])
        allowed = {remains.rows for done, remains in self._reference.remains(number)
                   if done >= whole and (self._disturbance.is_in_flight or done == 0)}
        if rows not in allowed:
            return Verdict("wrong", f"after {kind}: rows {rows}; may be {allowed}")
        return Verdict(kind, "the session ended")

    def _judge_after(self, number, answer, error, at):
        state = error["C"]
        conversation = self._conversation
        status = answer.status
        if conversation.is_unsynced:
            status = conversation.ask(Step("(Sync)", (SYNC,))).status
        probe = conversation.ask(simple("SELECT 1"))
        failed = probe.shown[:1] and probe.shown[0][0] == b"E"
        if failed and status == "T":  # told at the next request that the transaction is gone
            pass
        elif bool(failed) != (status == "E") or probe.ended:
            return Verdict("wrong", f"after {state} with status {status}: {probe}")
        rolled_back = str(conversation.ask(ROLLBACK))
        if "ROLLBACK" not in rolled_back:
            return Verdict("wrong", f"ROLLBACK after {state}: {rolled_back}")
        remains = observe(conversation, self._stage.table)
        whole = sum(one[0] == b"Z" for one in answer.shown[:at])
        candidates = self._reference.remains(number)
        if state == "08007":
            rows = {one.rows for done, one in candidates if done >= whole}
        else:
            rows = {one.rows for done, one in candidates if done == whole}
        wrong = []
        if remains.rows not in rows:
            wrong.append(f"rows {remains.rows}; may be {rows}")
        for name in ("state", "prepared", "settings"):
            may_be = {getattr(one, name) for _, one in candidates}
            if getattr(remains, name) not in may_be:
                wrong.append(f"{name} {getattr(remains, name)}; may be {may_be}")
        if wrong:
            return Verdict("wrong", f"after {state} ({error['M']}): " + "; ".join(wrong))
        return Verdict(state, error["M"] + (f" / {error['D']}" if "D" in error else ""))


# ---- Fewer steps with the same failure

def without(script, first, past):
    return dataclasses.replace(script, steps=script.steps[:first] + script.steps[past:])


def shrink(stage, reference, disturbance, tries=3):
    """The script without the steps that the failure does not need."""
    def fails(script, moved):
        try:
            other = stage.reference(script)
        except (Hung, OSError):
            return None
        if any(answer.ended for answer in other.answers):
            return None
        for _ in range(tries):
            if stage.run(other, moved, timeout_s=3).kind == "wrong":
                return other
        return None

    number = len(reference.script.steps) - 1
    while number >= 0:
        first, past = reference.unit(number)
        if not first <= disturbance.step < past:
            moved = disturbance
            if past <= disturbance.step:
                moved = dataclasses.replace(disturbance, step=disturbance.step - (past - first))
            smaller = fails(without(reference.script, first, past), moved)
            if smaller:
                reference, disturbance = smaller, moved
        number = first - 1
    return reference, disturbance
