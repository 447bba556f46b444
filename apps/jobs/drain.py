"""For tests: run what is due, in order, in this process, without a broker."""

from __future__ import annotations

import asyncio
from datetime import datetime

from django.db import connection

from apps.jobs import ledger, life
from apps.jobs.models import Job
from apps.jobs.settling import settle
from apps.jobs.statements import statements
from apps.jobs.task import get_task

MOST = 10_000


class DrainError(RuntimeError):
    """The ledger did not run empty: something enqueues itself for ever."""


def drain(*, until: datetime | None = None) -> int:
    """Run every job that is due, and what they enqueue, one at a time; return how many runs that were.

    `until` also runs what is due by then, as if the time had come. Raises DrainError after 10,000 runs.
    """
    for run in range(MOST):
        job_id = ledger.next_due(until=until)
        if job_id is None:
            return run
        if until is not None:
            _make_due(job_id)
        run_one(job_id, worker=0)
    raise DrainError(f"still not empty after {MOST} runs; waiting: {Job.objects.waiting().first()}")


def run_one(job_id: int, *, worker: int) -> bool:
    """Run this one job from claim to promotion; False if it could not be claimed."""
    job = ledger.claim_one(job_id, worker=worker)
    if job is None:
        return False
    task = get_task(job.task)
    ready, outcomes = life.begin(task, [job])
    for one in life.mark(ready, worker=worker) if worker else ready:
        if task.is_async:
            outcomes.append(asyncio.run(life.call_async(task, one)))
        else:
            outcomes.append(life.call(task, one))
    ledger.promote(settle(task, outcomes, worker=worker).lanes)
    return True


def _make_due(job_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE jobs_job SET run_at = {statements().now} WHERE id = %s AND run_at > {statements().now}",  # noqa: S608
            [job_id],
        )
