"""Run claimed jobs through their life in this thread, as a group, step by step."""

import asyncio
from collections.abc import Sequence

from apps.jobs import ledger, life
from apps.jobs.claimed import ClaimedJob
from apps.jobs.settling import Settled, settle
from apps.jobs.task import get_task


def claim(task: str = "test.script", *, worker: int = 0, places: int = 100) -> list[ClaimedJob]:
    jobs, _ = ledger.claim(task, places=places, worker=worker)
    return jobs


def run(jobs: Sequence[ClaimedJob], *, worker: int = 0, taker=None, task: str = "test.script") -> Settled:
    """Begin, mark, call and settle these as one group, then promote."""
    kind = get_task(task)
    ready, outcomes = life.begin(kind, jobs)
    for one in life.mark(ready, worker=worker) if worker else ready:
        outcomes.append(asyncio.run(life.call_async(kind, one)) if kind.is_async else life.call(kind, one))
    settled = settle(kind, outcomes, worker=worker, taker=taker)
    ledger.promote(settled.lanes)
    return settled
