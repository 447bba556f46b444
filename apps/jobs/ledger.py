"""The ledger's moves, one function each: what the statements of `apps/jobs/statements.py` do.

None of them begins a transaction of its own: a single statement is one, and what belongs together is put
together by `apps/jobs/life.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from apps.jobs import storable
from apps.jobs.claimed import ClaimedJob
from apps.jobs.statements import LARGEST_CLAIM, numbers, statements
from apps.reliability.prepared import preparing_cursor

Parameters = dict[str, Any] | list[Any]


def ask(text: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Run one of the ledger's statements; return its rows."""
    with preparing_cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall()


def _pairs(jobs: Sequence[ClaimedJob]) -> str:
    return json.dumps([job.key for job in jobs])


def insert(text: str, *, rows: str, worker: int | None) -> list[tuple[int, int]]:
    """Insert jobs (a JSON list of NEW_JOB_COLUMNS); return (id, fence) in their order. `worker` takes some at once."""
    return ask(text, {"rows": rows, "worker": worker})


def _marks(values: Sequence[Any], one: str = "%s") -> str:
    return ", ".join([one] * len(values))


def claim(task: str, *, places: int, worker: int) -> tuple[list[ClaimedJob], int]:
    """Claim up to `places` due jobs of `task` (at most LARGEST_CLAIM), best priority first, and park those behind
    another of their lane.

    Returns the jobs, and how many rows were looked at: as many as places means that there may be more.
    Raises IntegrityError when another worker claimed a job of the same lane meanwhile: claim again.
    """
    found = {"task": task, "places": min(places, LARGEST_CLAIM), "worker": worker}
    return claimed_by(statements().claim, found)


def claimed_by(text: str, parameters: Parameters) -> tuple[list[ClaimedJob], int]:
    """What a claiming statement took, oldest first, and how many rows it looked at."""
    found = ask(text, parameters)
    jobs = [ClaimedJob.from_row(row) for row in found if row[1] == "processing"]
    jobs.sort(key=lambda job: job.id)
    return jobs, len(found)


def claim_alone(queue: str) -> bool:
    """Until the end of this transaction nobody else that asks for it claims from `queue`; False: somebody else does.

    Nobody waits: a worker that is frozen in the middle of its claim would hold up the ledger threads of all others.
    """
    if connection.vendor != "postgresql":  # SQLite: a transaction has the database to itself
        return True
    return bool(ask(statements().claim_alone, {"queue": queue})[0][0])


def in_flight(queue: str) -> int:
    """How many jobs of `queue` all workers together have running."""
    return int(ask(statements().in_flight, {"queue": queue})[0][0])


def claim_one(job_id: int, *, worker: int | None) -> ClaimedJob | None:
    """Claim this very job if it is due and the head of its lane."""
    rows = ask(statements().claim_one, {"id": job_id, "worker": worker})
    return ClaimedJob.from_row(rows[0]) if rows else None


def next_suspect(tasks: Sequence[str]) -> int | None:
    """Return the id of a due job of these tasks that has been running in two crashes."""
    rows = ask(statements().suspects.format(tasks=_marks(tasks)), list(tasks))
    return rows[0][0] if rows else None


def next_due(*, until: Any = None) -> int | None:
    """Return the id of the best job that is due now, or by `until`."""
    texts = statements()
    if until is None:
        rows = ask(texts.due.format(until=texts.now), [])
    else:
        rows = ask(texts.due.format(until="%s"), [connection.ops.adapt_datetimefield_value(until)])
    return rows[0][0] if rows else None


def tasks_with_due_jobs(tasks: Sequence[str]) -> list[str]:
    """Return those of `tasks` that have a job due. Some tens of index probes, whatever waits."""
    rows = ask(statements().tasks_with_due.format(tasks=_marks(tasks, "(%s)")), list(tasks))
    return [task for (task,) in rows]


def mark_sending(jobs: Sequence[ClaimedJob], *, worker: int) -> set[tuple[int, int]]:
    """Mark these as about to be called; return the keys that are still ours and under a lease that holds."""
    return set(ask(statements().mark_sending, {"pairs": _pairs(jobs), "worker": worker}))


def complete(jobs: Sequence[ClaimedJob]) -> set[tuple[int, int]]:
    """Complete these; return the keys (id, fence) of those whose fence matched.

    Not the ids: two runs of one job, of which one was taken back, may end in the same group."""
    if not jobs:
        return set()
    return set(ask(statements().complete, {"pairs": _pairs(jobs)}))


def complete_late(jobs: Sequence[ClaimedJob]) -> set[tuple[int, int]]:
    """Complete those of these that were taken back from us, or given up as unknown, and that nobody has touched since.

    Returns their keys."""
    return set(ask(statements().complete_late, {"pairs": _pairs(jobs)}))


def keep_result(job: ClaimedJob, result: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            statements().keep_result,
            {"id": job.id, "fence": job.fence, "result": storable.as_json(result)},
        )


def put_back(
    job: ClaimedJob,
    *,
    delay: float,
    spent: int,
    crashed: int = 0,
    error: str = "",
    code: str = "",
    result: Any = None,
) -> bool:
    """Let `job` wait `delay` seconds; say whether its fence matched. `result`: of a call not to be made again."""
    found = {
        "id": job.id,
        "fence": job.fence,
        "delay": storable.delay(delay),
        "spent": spent,
        "crashed": crashed,
        "error": storable.text(error),
        "code": storable.code(code),
        "result": None if result is None else storable.as_json(result),
    }
    return bool(ask(statements().put_back, found))


def fail(job: ClaimedJob, *, reason: str, spent: int, crashed: int = 0, error: str, code: str) -> bool:
    """Make `job` a dead letter; say whether its fence matched."""
    found = {"id": job.id, "fence": job.fence, "reason": reason, "spent": spent, "crashed": crashed}
    return bool(ask(statements().fail, {**found, "error": storable.text(error), "code": storable.code(code)}))


def hand_back(jobs: Sequence[ClaimedJob]) -> None:
    """Give these up untouched: no attempt is spent."""
    if jobs:
        ask(statements().hand_back, {"pairs": _pairs(jobs)})


def promote(lanes: Iterable[str]) -> set[str]:
    """Wake the next job of each lane; return the tasks to wake. After the commit, never inside it."""
    names = sorted(set(lanes))
    if not names:
        return set()
    return {task for (task,) in ask(statements().promote, {"lanes": json.dumps(names)})}


def promote_orphans() -> set[str]:
    """Wake what is parked although its lane is free: its promoter was killed after the commit."""
    return {task for (task,) in ask(statements().promote_orphans, [])}


def abandoned(*, overdue: bool = True) -> list[tuple[ClaimedJob, bool, str]]:
    """Return running jobs that nobody runs any more, locked: (job, was it being sent, how its worker ended).

    `overdue`: also those of a living worker that are past their own lease (it forgot them).
    """
    rows = ask(statements().abandoned, {"overdue": int(overdue)})
    return [(ClaimedJob.from_row(row), bool(row[20]), row[21] or "") for row in rows]


def bury_expired() -> list[ClaimedJob]:
    """Fail waiting jobs that are past their longest age; return them. Inside a transaction."""
    ids = [job_id for (job_id,) in ask(statements().expired, [])]
    return bury_waiting(ids, reason="expired", error="not done in time", code="expired") if ids else []


def bury_waiting(ids: list[int], *, reason: str, error: str, code: str) -> list[ClaimedJob]:
    """Fail these if they still wait; return those that did."""
    text = statements().bury_waiting.format(ids=numbers(ids))
    rows = ask(text, {"reason": reason, "error": error, "code": code})
    return [ClaimedJob.from_row(row) for row in rows]


def register_worker(**columns: Any) -> int:
    """Enter a worker; return its id. `lease` in seconds, the rest as the table has it."""
    return int(ask(statements().register_worker, columns)[0][0])


def heartbeat(worker: int, *, lease: float) -> bool:
    """Renew the lease of `worker` for `lease` seconds; False: somebody declared it gone."""
    return bool(ask(statements().heartbeat, {"worker": worker, "lease": lease}))


def end_worker(worker: int, *, how: str) -> bool:
    return bool(ask(statements().end_worker, {"worker": worker, "how": how}))


def expire_leases() -> list[int]:
    """End the workers whose lease ran out; return their ids."""
    return [worker for (worker,) in ask(statements().expire_leases, [])]


def take_seat(name: str, *, seconds: float) -> bool:
    """Take the seat `name` for `seconds`, if nobody has it."""
    return bool(ask(statements().take_seat, {"name": name, "seconds": seconds}))


def count(rows: Sequence[Sequence[Any]]) -> None:
    """Add to the counters: worker, task, customer, four counts, then sum and maximum of running and of waiting."""
    texts = statements()
    text = texts.count.format(rows=_marks(rows, texts.count_row))
    with preparing_cursor() as cursor:
        cursor.execute(text, [value for row in rows for value in row])


def held_unmarked(worker: int) -> list[ClaimedJob]:
    """Return the jobs that `worker` has running, but for those with the sending mark and for suspects."""
    return [ClaimedJob.from_row(row) for row in ask(statements().held_unmarked, {"worker": worker})]


def running(job_id: int, *, worker: int) -> ClaimedJob | None:
    """Return this job if `worker` still has it running."""
    rows = ask(statements().running, {"id": job_id, "worker": worker})
    return ClaimedJob.from_row(rows[0]) if rows else None
