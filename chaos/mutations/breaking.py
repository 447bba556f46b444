"""How each promise is broken, from outside of the code that keeps it. The texts and functions that are replaced must
be there: a mutation that changes nothing is an error, not a mutation that nobody caught."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from apps.frontdoor import inbox
from apps.jobs import leases, ledger, life
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending, Unknown
from apps.jobs.share_statements import share_statements
from apps.jobs.statements import HEAD, statements
from apps.jobs.sweeper import Sweeper
from apps.reliability import breaker


def hurry(seconds: float) -> None:
    """Breaks nothing: leases of this length."""
    leases.LEASE, leases.HEARTBEAT = seconds, seconds / 4


def _rewrite(texts: Any, names: Sequence[str], change: Callable[[str], str]) -> None:
    for name in names:
        before = getattr(texts, name)
        after = change(before)
        if after == before:
            raise RuntimeError(
                f"the statement {name} has nothing to break; look at chaos/mutations/breaking.py"
            )
        setattr(texts, name, after)


def fence_off() -> None:
    """Who finishes a job says its id, and neither whose claim it was nor whether it is still running."""

    def without_fence(text: str) -> str:
        # Of the pairs only the first column is left.
        text = re.sub(
            r"\(id, fence\) IN \(SELECT (.+?), \(?(?:v->>1|json_extract)[^F]* FROM",
            r"id IN (SELECT \1 FROM",
            text,
        )
        return text.replace("AND fence = %(fence)s", "").replace("AND status = 'processing'", "")

    _rewrite(statements(), ["complete", "put_back", "fail"], without_fence)
    complete = ledger.complete

    def complete_all(jobs: Sequence[ClaimedJob]) -> set[tuple[int, int]]:
        complete(jobs)
        return {job.key for job in jobs}

    ledger.complete = complete_all


def lane_index_off() -> None:
    """The database would take two running jobs of one lane."""

    def drop(**_: Any) -> None:
        if "jobs_job" in connection.introspection.table_names():
            with connection.cursor() as cursor:
                cursor.execute("DROP INDEX IF EXISTS job_lane_running")

    connection_created.connect(drop, dispatch_uid="mutation", weak=False)
    post_migrate.connect(drop, dispatch_uid="mutation", weak=False)


def lane_off() -> None:
    """Any job of a lane may be claimed, whoever is before it."""
    lane_index_off()

    def without_head(text: str) -> str:
        return text.replace(HEAD, "(1 = 1)")

    _rewrite(statements(), ["claim", "claim_one"], without_head)
    _rewrite(share_statements(), ["claim"], without_head)


def inbox_off() -> None:
    """The inbox takes an event that it has already."""
    insert = inbox.insert_new

    def insert_all(
        model: Any, rows: Sequence[Mapping[str, Any]], returning: Sequence[str]
    ) -> set[tuple[object, ...]]:
        # SQLite can't be told to drop the constraint: no two are the same.
        insert(
            model, [{**row, "event_id": f"{row['event_id']}#{uuid.uuid4().hex}"} for row in rows], returning
        )
        return {tuple(row[name] for name in returning) for row in rows}

    inbox.insert_new = insert_all


def sweeper_off() -> None:
    """Nobody looks for what is due without a bell, nor for what others left behind."""
    Sweeper.wake_due = Sweeper.round = lambda self: None  # type: ignore[method-assign]


def lease_off() -> None:
    """What a dead worker held stays its own."""
    ledger.abandoned = lambda **_: []


def mark_off() -> None:
    """A call that can't be repeated begins without a mark."""
    life.mark = lambda ready, *, worker: list(ready)


def permit_off() -> None:
    """When a breaker's time is over, everybody goes to see whether it works again."""
    admit = breaker.admit

    def admit_all(calls: Sequence[breaker.Call], policy: Any = None) -> list[breaker.Admission]:
        return [
            breaker.GO if answer.code == "breaker_open" and not _open(call, policy) else answer
            for call, answer in zip(calls, admit(calls, policy), strict=True)
        ]

    def _open(call: breaker.Call, policy: Any) -> bool:
        return any(one.state is breaker.State.OPEN for one in breaker.states(call.breakers, policy))

    breaker.admit = admit_all


def unknown_is_success() -> None:
    """No answer is taken for a good one."""
    ending_of = life._ending

    def good(*args: Any) -> Ending:
        ending = ending_of(*args)
        known = not isinstance(ending, Unknown)
        return ending if known else Complete({"provider_message_id": "", "moved_to": None})

    life._ending = good


BREAKING: dict[str, Callable[[], None]] = {
    "fence_off": fence_off,
    "lane_off": lane_off,
    "lane_index_off": lane_index_off,
    "inbox_off": inbox_off,
    "sweeper_off": sweeper_off,
    "lease_off": lease_off,
    "mark_off": mark_off,
    "permit_off": permit_off,
    "unknown_is_success": unknown_is_success,
}
