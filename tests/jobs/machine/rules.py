"""What a row may do, and what must hold after every step. Each broken promise is called by its name.

`Watch.look(step)` compares the table with what it was before the step, and knows from the step who may have changed
what. It reads the table and the upstream's record; it asks the ledger nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from apps.jobs.endings import Complete, Ending, Fail, Postponed, Retry
from apps.jobs.models import PARKED
from tests.jobs.machine.upstream import ASK, DEAD, DONE, ECHO, SEND, Upstream

ONE_AT_A_TIME = "one at a time in a lane"
ORDER = "in order within a lane"
FENCE = "nothing is written under a stale fence"
LOST = "nothing is lost"
TWICE = "never twice where a person is to be asked"
UNSEEN = "completed only what was seen outside"
ACCOUNTS = "attempts and crashes are counted right"
REASON = "given up for a true reason"
EFFECTS = "one effect for each job that ended"
LIVING = "a living worker keeps its jobs"
PRIORITY = "the better priority goes first"
LIMBO = "nobody waits for ever"

WAITING, LIVE = ("pending", "retry"), ("pending", "retry", "processing")


class Broken(AssertionError):
    def __init__(self, invariant: str, what: object) -> None:
        super().__init__(f"BROKEN [{invariant}] {what}")


def hold(condition: object, invariant: str, what: object) -> None:
    if not condition:
        raise Broken(invariant, what)


class Row(NamedTuple):
    """As the driver gives it: moments without a zone on SQLite."""

    id: int
    task: str
    status: str
    failure_reason: str
    fence: int
    attempts: int
    crashes: int
    max_retries: int | None
    priority: int
    lane: str | None
    run_at: datetime
    expires_at: datetime | None
    sending_at: datetime | None
    lease_until: datetime | None
    worker_id: int | None
    parent_id: int | None
    correlation_id: str
    closed_at: datetime | None

    @property
    def key(self) -> tuple[int, int]:
        return self.id, self.fence


Table = dict[int, Row]
Account = tuple[str, str, int, int]
"""What became of a claim: status, reason, attempts more, crashes more."""


@dataclass
class Step:
    """What has just been done, as far as it decides which changes are right."""

    kind: str
    worker: int = 0
    endings: dict[tuple[int, int], Ending] = field(default_factory=dict)
    """Outcomes offered to the ledger, by claim."""
    claims: set[tuple[int, int]] = field(default_factory=set)
    """Claims that were marked or handed back."""
    blamed: tuple[int, int] | None = None
    job: int = 0


def as_stored(moment: datetime) -> datetime:
    """`moment` as `Row` has it."""
    return moment if connection.vendor == "postgresql" else moment.replace(tzinfo=None)


def rows_of(query: str) -> list[tuple[Any, ...]]:
    """Plain SQL: the ORM would take longer to write the question than the database to answer it."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def table() -> Table:
    found = rows_of(f"SELECT {', '.join(Row._fields)} FROM jobs_job ORDER BY id")
    return {row[0]: Row(*row) for row in found}


class Watch:
    def __init__(self, upstream: Upstream, again: dict[int, bool]) -> None:
        self.upstream, self.again = upstream, again
        self.rows: Table = {}
        self.unwritable: set[int] = set()
        self.parked = as_stored(PARKED)

    def look(self, step: Step, now: datetime) -> None:
        before, self.rows = self.rows, table()
        self.before, self.step, self.now = before, step, now
        self.ended_how = dict(rows_of("SELECT id, ended_how FROM jobs_worker WHERE ended_at IS NOT NULL"))
        hold(before.keys() <= self.rows.keys(), LOST, f"rows are gone: {before.keys() - self.rows.keys()}")
        for row in self.rows.values():
            old = before.get(row.id)
            if old is None:
                self._born(row)
            elif old != row:
                self._changed(old, row)
        for key in step.endings:
            old = before[key[0]]
            if (old.status, old.fence) == ("processing", key[1]):
                hold(self.rows[old.id].status != "processing", LOST, f"the outcome of {old} was not written")
        self._lanes()
        self._consequences()

    # --- changes -----------------------------------------------------------------------------------

    def _born(self, new: Row) -> None:
        hold((new.attempts, new.crashes) == (0, 0), ACCOUNTS, new)
        if new.status == "processing":
            hold(new.fence == 1 and self.step.kind == "write", FENCE, f"nobody claimed {new}")
            others = [row for row in self._of_lane(self.rows, new.lane, LIVE) if row.id < new.id]
            hold(not others, ORDER, f"{new} was handed over past {others}")
        else:
            hold((new.status, new.fence) == ("pending", 0), FENCE, new)

    def _changed(self, old: Row, new: Row) -> None:
        way = (
            "waiting" if old.status in WAITING else old.status,
            "waiting" if new.status in WAITING else new.status,
        )
        match way:
            case ("waiting", "processing"):
                self._claimed(old, new)
            case ("waiting", "waiting"):
                hold(old._replace(run_at=new.run_at) == new, FENCE, f"{old} became {new}")
                if new.run_at == self.parked:
                    hold(self._is_behind(old), LIMBO, f"parked behind nobody: {new}")
            case ("waiting", "failed"):
                self._buried(old, new)
            case ("processing", "processing"):
                marked = old._replace(sending_at=new.sending_at) == new and new.key in self.step.claims
                hold(marked or self.step.kind == "alone", FENCE, f"{old} became {new}")
            case ("processing", _):
                self._ended(old, new)
            case ("failed", "failed"):
                closed = old._replace(closed_at=new.closed_at) == new and self.step.job == new.id
                hold(closed, FENCE, f"{old} became {new}")
            case _:
                self._late(old, new)
        if new.status == "completed" and old.status != "completed":
            hold(new.task == ECHO or self.upstream.arrived[new.id], UNSEEN, f"{new} never reached anybody")
        if new.status == "failed" and old.status != "failed":
            self._reason(old, new)

    def _claimed(self, old: Row, new: Row) -> None:
        hold(self.step.kind in ("claim", "alone") and old.run_at <= self.now, ORDER, f"{old} was not due")
        hold(new.fence == old.fence + 1, FENCE, f"claimed without a new fence: {new}")
        hold(new.worker_id == self.step.worker, FENCE, f"claimed for somebody else: {new}")
        hold((new.attempts, new.crashes) == (old.attempts, old.crashes), ACCOUNTS, f"{old} became {new}")
        hold(not self._runs_in(old.lane), ONE_AT_A_TIME, f"{new} beside {self._runs_in(old.lane)}")
        hold(not self._is_behind(old), ORDER, f"{new} before those it came after")
        hold(old.crashes < 2 or self.step.kind == "alone", LIVING, f"a suspect among others: {new}")
        if self.step.kind == "claim":
            better = [
                row
                for row in self.before.values()
                if row.status in WAITING and row.task == old.task and row.priority < old.priority
                if row.run_at <= self.now and row.crashes < 2 and not self._is_behind(row)
            ]
            hold(not better, PRIORITY, f"{new} before {better}")

    def _buried(self, old: Row, new: Row) -> None:
        if new.failure_reason == "expired":
            late = old.expires_at is not None and old.expires_at <= self.now
            hold(late and self.step.kind == "sweep", REASON, f"{old} had not expired")
        else:
            hold(self.step.kind == "cancel" and self.step.job == old.id, FENCE, f"{old} became {new}")
        hold((new.attempts, new.crashes) == (old.attempts, old.crashes), ACCOUNTS, f"{old} became {new}")

    def _ended(self, old: Row, new: Row) -> None:
        kind = self.step.kind
        if kind == "sweep" and new.failure_reason == "expired" and new.fence == old.fence + 1:
            # Two steps in one: taken back, and found to be too old.
            hold(old.expires_at <= self.now, REASON, f"{old} had not expired")
            allowed = {("failed", "expired", *counts) for _, _, *counts in self._swept(old)}
        else:
            hold(new.fence == old.fence, FENCE, f"{old} became {new}")
            allowed = self._allowed(old)
        happened = (
            new.status,
            new.failure_reason,
            new.attempts - old.attempts,
            new.crashes - old.crashes,
        )
        hold(happened in allowed, ACCOUNTS, f"{old} became {new}; allowed: {allowed}; {self.step}")

    def _allowed(self, old: Row) -> set[Account]:
        kind = self.step.kind
        if kind in ("write", "alone") and old.key in self.step.endings:
            return self._by_ending(old, self.step.endings[old.key])
        if old.key == self.step.blamed:
            return self._taken(old, crashed=True)
        if kind == "hand back" and old.key in self.step.claims:
            hold(old.sending_at is None, TWICE, f"handed back while it was being sent: {old}")
            return {("retry", "", 0, 0)}
        hold(kind == "sweep", FENCE, f"{old} was changed by {self.step}")
        return self._swept(old)

    def _late(self, old: Row, new: Row) -> None:
        """A success that comes after all may complete what was given up or put back, if nobody claimed it since."""
        ending = self.step.endings.get(old.key) if self.step.kind == "write" else None
        late = isinstance(ending, Complete) and new.status == "completed" and new.fence == old.fence
        hold(late and old.status != "completed", FENCE, f"{old} became {new}, by {self.step}")

    # --- what is right -----------------------------------------------------------------------------

    def _by_ending(self, old: Row, ending: Ending) -> set[Account]:
        expired = ("failed", "expired", 0, 0)
        match ending:
            case Complete() if old.id in self.unwritable and old.task != ECHO:
                return {("retry", "", 1, 0), ("failed", "exhausted", 1, 0), expired}
            case Complete():
                return {("completed", "", 1, 0)}
            case Retry():
                return {("retry", "", 1, 0)}
            case Postponed():
                return {("retry", "", 0, 0)}
            case Fail(reason="expired"):
                return {expired}
            case Fail():
                return {("failed", ending.reason, 1, 0)}
        return {("retry", "", 1, 0), expired} if self._may_repeat(old) else {("failed", "unknown", 1, 0)}

    def _swept(self, old: Row) -> set[Account]:
        how = self.ended_how.get(old.worker_id)
        overdue = old.lease_until < self.now
        if how is None and not overdue:
            adrift = old.key in self.step.claims and old.sending_at is None
            hold(adrift, LIVING, f"taken from a worker that lives: {old}")
            return {("retry", "", 0, 0)}
        allowed = self._taken(old, crashed=how in (None, "dead") and old.crashes < 2)
        return allowed | ({("retry", "", 0, 0)} if old.sending_at is None else set())

    def _taken(self, old: Row, *, crashed: bool) -> set[Account]:
        spent = int(old.sending_at is not None)
        if old.crashes + crashed >= 3:
            return {("failed", "poison", spent, 1)}
        if spent and not self._may_repeat(old):
            return {("failed", "unknown", 1, int(crashed))}
        return {("retry", "", spent, int(crashed))} | (
            {("failed", "expired", 1, int(crashed))} if spent else set()
        )

    def _may_repeat(self, row: Row) -> bool:
        return self.again.get(row.id, False) and row.attempts < row.max_retries

    def _reason(self, old: Row, new: Row) -> None:
        answers, reason = self.upstream.answers(new.id), new.failure_reason
        true = {
            "permanent": "never" in answers,
            "exhausted": new.max_retries is not None and new.attempts == new.max_retries + 1,
            "expired": new.expires_at is not None,
            "unknown": old.sending_at is not None or bool(answers & {"lost", "arrived, cut"}),
            "poison": new.crashes == 3,
            "cancelled": self.step.kind == "cancel",
        }
        hold(true.get(reason), REASON, f"{new}, which heard {answers}")

    # --- what holds at every moment --------------------------------------------------------------------

    def _of_lane(self, rows: Table, lane: str | None, statuses: Iterable[str]) -> list[Row]:
        return [row for row in rows.values() if lane and row.lane == lane and row.status in statuses]

    def _runs_in(self, lane: str | None) -> list[Row]:
        return self._of_lane(self.before, lane, ("processing",))

    def _is_behind(self, row: Row) -> bool:
        """Whether somebody older of its lane was alive, or anybody running, before this step."""
        return any(
            one.id < row.id or one.status == "processing"
            for one in self._of_lane(self.before, row.lane, LIVE)
        )

    def _lanes(self) -> None:
        running: dict[str, int] = defaultdict(int)
        for row in self.rows.values():
            if row.lane and row.status == "processing":
                running[row.lane] += 1
        hold(all(number == 1 for number in running.values()), ONE_AT_A_TIME, dict(running))

    def parked_heads(self) -> set[str]:
        """Lanes whose first live job is parked: nobody will claim it before somebody promotes it."""
        heads: dict[str, Row] = {}
        for row in self.rows.values():
            if row.lane and row.status in LIVE:
                heads.setdefault(row.lane, row)
        return {
            lane for lane, row in heads.items() if row.run_at == self.parked and row.status != "processing"
        }

    def _consequences(self) -> None:
        echoes: dict[tuple[int | None, str], int] = defaultdict(int)
        for row in self.rows.values():
            if row.task == ECHO:
                echoes[row.parent_id, row.correlation_id] += 1
        for row in self.rows.values():
            if row.task not in (ASK, SEND):
                continue
            done, dead = echoes[row.id, DONE], echoes[row.id, DEAD]
            match row.status:
                case "completed":  # if late, it may have been given up before
                    right = done == 1 and dead <= 1
                case "failed":
                    right = (done, dead) == (0, 1)
                case _:
                    right = (done, dead) == (0, 0)
            # Said in words only where they are needed: this is the loop that takes the machine's time.
            if not right:
                raise Broken(EFFECTS, f"{row}: {done} effects, {dead} of giving up")
            if row.task == SEND and not self.again[row.id] and self.upstream.arrived[row.id] > 1:
                raise Broken(TWICE, f"{row}: {self.upstream.calls}")
