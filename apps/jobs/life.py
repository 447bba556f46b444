"""A job's life, step by step, for one group of jobs of one task:

1. `begin`   what is too old or malformed ends here; `read` says what each call needs. No transaction is held.
2. `call`    the outside world, one job at a time, side by side; what it raises becomes an ending.
3. `settle`  one transaction: the outcomes under the fence, then effects and next jobs of those that matched,
             what follows from giving up, attempts and counters. When a group can't be written, each is tried alone.
4. The lanes are promoted after the commit, by the caller.

`apps/jobs/line.py` does this in a worker, `apps/jobs/drain.py` in a test, `apps/jobs/quarantine.py` for a suspect.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import is_away
from apps.jobs.endings import Complete, Ending, Fail, Postponed, Unknown, from_exception, in_time, words_of
from apps.jobs.outside import outside
from apps.jobs.payloads import PayloadError
from apps.jobs.task import JobTask
from apps.reliability.encryption import DecryptionError
from apps.reliability.errors import SwitchboardError

log = structlog.get_logger(__name__)

HELD = 5.0
"""Seconds after the sending mark from which a call does not begin any more: its process was held (stopped, swapped
out), its lease may be over, and somebody else may have decided about the job. As long as heartbeats come in time, a
lease has at least that left at the mark."""
NOTHING: Any = object()
"""Stands for the item of a job that `read` ended: there is nothing to write for it."""


class DatabaseAway(Exception):
    """The database did not take the group: nothing is wrong with it, try again."""


@dataclass(slots=True)
class Ready:
    """A job whose call may begin."""

    job: ClaimedJob
    item: Any
    marked: bool = False
    """Whether the sending mark is on it: its call is not repeatable."""
    marked_at: float | None = None
    """When that was asked for (monotonic)."""


@dataclass(slots=True)
class Outcome:
    job: ClaimedJob
    item: Any
    ending: Ending


# --- 1. begin -------------------------------------------------------------------------------------


def begin(task: JobTask, jobs: Sequence[ClaimedJob]) -> tuple[list[Ready], list[Outcome]]:
    """Read what the calls of `jobs` need. Returns those that may be called, and those that have already ended."""
    fit, over = [], []
    for job in jobs:
        if ending := _unfit(job):
            over.append(Outcome(job, NOTHING, ending))
        else:
            fit.append(job)
    ready: list[Ready] = []
    for job, item in _read(task, fit):
        if isinstance(item, Ending):
            over.append(Outcome(job, NOTHING, in_time(job, item)))
        elif job.result is not None:  # its call was made by an earlier run; only the writing failed
            over.append(Outcome(job, item, Complete(job.result["value"])))
        elif task.call is None:
            over.append(Outcome(job, item, Complete()))
        else:
            try:
                ready.append(Ready(job, item, marked=not task.repeatable(item)))
            except Exception as error:
                over.append(Outcome(job, NOTHING, in_time(job, from_exception(task, job, error))))
    return ready, over


def _unfit(job: ClaimedJob) -> Ending | None:
    if job.time_left is not None and job.time_left <= 0:
        return Fail("not done in time", "expired", reason="expired")
    try:
        job.data  # noqa: B018 - loaded here, so that no task meets a payload that does not fit
    except (PayloadError, DecryptionError) as error:
        return Fail(str(error), "malformed")
    except Exception as error:  # not even of the shape that our readers expect; never the value in the words
        return Fail(f"{job.task}: the payload can't be read ({type(error).__name__})", "malformed")
    return None


def _read(task: JobTask, jobs: list[ClaimedJob]) -> list[tuple[ClaimedJob, Any]]:
    if not jobs:
        return []
    try:
        items = task.read(jobs)
        return [(job, items.get(job.id, Fail("read() returned nothing for it", "left_out"))) for job in jobs]
    except Exception as error:
        if is_away(error):
            raise DatabaseAway(str(error)) from error
        if len(jobs) > 1:
            return [pair for job in jobs for pair in _read(task, [job])]
        return [(jobs[0], from_exception(task, jobs[0], error))]


def mark(ready: Sequence[Ready], *, worker: int) -> list[Ready]:
    """Put the sending mark on those that need one; return those that are still ours."""
    to_mark = [one.job for one in ready if one.marked]
    if not to_mark:
        return list(ready)
    asked_at = time.monotonic()
    ours = ledger.mark_sending(to_mark, worker=worker)
    for one in ready:
        one.marked_at = asked_at if one.marked else None
    return [one for one in ready if not one.marked or one.job.key in ours]


def _held(ready: Ready) -> Outcome | None:
    """The outcome of a call that must not begin any more; None: it may. It has not been made, so nothing is unknown."""
    if ready.marked_at is None or time.monotonic() - ready.marked_at < HELD:
        return None
    log.warning("held_before_call", task=ready.job.task, job=ready.job.id, fence=ready.job.fence)
    return Outcome(ready.job, ready.item, Postponed(0.0, "its worker was held before the call began", "held"))


# --- 2. call --------------------------------------------------------------------------------------


def call(task: JobTask, ready: Ready) -> Outcome:
    """Make a sync call; never raises an Exception. A library that would end the process ends its call."""
    if held := _held(ready):
        return held
    try:
        with outside(task.name):
            result = task.call(ready.item)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        return Outcome(ready.job, ready.item, _ending(task, ready, error))
    return Outcome(ready.job, ready.item, Complete(result))


async def call_async(task: JobTask, ready: Ready) -> Outcome:
    """Make an async call, cut off at its limit; never raises but for cancellation."""
    if held := _held(ready):
        return held
    left = ready.job.seconds_left
    limit = task.time_limit if left is None else max(0.0, min(task.time_limit, left))
    try:
        with outside(task.name):
            async with asyncio.timeout(limit):
                result = await task.call(ready.item)
    except asyncio.CancelledError as error:
        if (me := asyncio.current_task()) and me.cancelling():
            raise
        return Outcome(ready.job, ready.item, _ending(task, ready, error))  # by something inside of the call
    except (Exception, SystemExit) as error:
        if isinstance(error, TimeoutError) and not str(error):
            error = TimeoutError(f"no answer within {limit:.1f} s")
        return Outcome(ready.job, ready.item, _ending(task, ready, error))
    return Outcome(ready.job, ready.item, Complete(result))


def _ending(task: JobTask, ready: Ready, error: BaseException) -> Ending:
    if ready.marked and not isinstance(error, SwitchboardError):
        # Cut off, or a bug after the call: it may have arrived.
        return Unknown(f"{type(error).__name__}: {words_of(error)}"[:500], type(error).__name__)
    return in_time(ready.job, from_exception(task, ready.job, error))
