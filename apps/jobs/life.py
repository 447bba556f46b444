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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction

from apps.jobs import handover, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending, Fail, Postponed, Retry, Unknown, from_exception, in_time
from apps.jobs.models import JobAttempt
from apps.jobs.outside import outside
from apps.jobs.payloads import PayloadError
from apps.jobs.task import Done, JobTask
from apps.reliability.encryption import DecryptionError
from apps.reliability.errors import SwitchboardError
from apps.reliability.redaction import redact

log = structlog.get_logger(__name__)

NOTHING: Any = object()
"""Stands for the item of a job that `read` ended: there is nothing to write for it."""
DEADLOCK = ("40P01", "40001")


class DatabaseAway(Exception):
    """The database did not take the group: nothing is wrong with it, try again."""


@dataclass(slots=True)
class Ready:
    """A job whose call may begin."""

    job: ClaimedJob
    item: Any
    marked: bool = False
    """Whether the sending mark is on it: its call is not repeatable."""


@dataclass(slots=True)
class Outcome:
    job: ClaimedJob
    item: Any
    ending: Ending


@dataclass(slots=True)
class Settled:
    """What a settled group leaves to do: lanes to promote, jobs handed over."""

    lanes: set[str] = field(default_factory=set)
    handed: list[ClaimedJob] = field(default_factory=list)


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
            ready.append(Ready(job, item, marked=not task.repeatable(item)))
    return ready, over


def _unfit(job: ClaimedJob) -> Ending | None:
    if job.time_left is not None and job.time_left <= 0:
        return Fail("not done in time", "expired", reason="expired")
    try:
        job.data  # noqa: B018 - loaded here, so that no task meets a payload that does not fit
    except (PayloadError, DecryptionError) as error:
        return Fail(str(error), "malformed")
    return None


def _read(task: JobTask, jobs: list[ClaimedJob]) -> list[tuple[ClaimedJob, Any]]:
    if not jobs:
        return []
    try:
        items = task.read(jobs)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(str(error)) from error
    except Exception as error:
        if len(jobs) > 1:
            return [pair for job in jobs for pair in _read(task, [job])]
        return [(jobs[0], from_exception(task, jobs[0], error))]
    left_out = Fail("read() returned nothing for it", "left_out")
    return [(job, items.get(job.id, left_out)) for job in jobs]


def mark(ready: Sequence[Ready], *, worker: int) -> list[Ready]:
    """Put the sending mark on those that need one; return those that may be called (the others are not ours any more)."""
    to_mark = [one.job for one in ready if one.marked]
    if not to_mark:
        return list(ready)
    ours = ledger.mark_sending(to_mark, worker=worker)
    return [one for one in ready if not one.marked or one.job.id in ours]


# --- 2. call --------------------------------------------------------------------------------------


def call(task: JobTask, ready: Ready) -> Outcome:
    """Make a sync call; never raises an Exception."""
    try:
        with outside(task.name):
            result = task.call(ready.item)
    except Exception as error:
        return Outcome(ready.job, ready.item, _ending(task, ready, error))
    return Outcome(ready.job, ready.item, Complete(result))


async def call_async(task: JobTask, ready: Ready) -> Outcome:
    """Make an async call, cut off at its limit; never raises but for cancellation."""
    left = ready.job.seconds_left
    limit = task.time_limit if left is None else max(0.0, min(task.time_limit, left))
    try:
        with outside(task.name):
            async with asyncio.timeout(limit):
                result = await task.call(ready.item)
    except Exception as error:
        if isinstance(error, TimeoutError) and not str(error):
            error = TimeoutError(f"no answer within {limit:.1f} s")
        return Outcome(ready.job, ready.item, _ending(task, ready, error))
    return Outcome(ready.job, ready.item, Complete(result))


def _ending(task: JobTask, ready: Ready, error: Exception) -> Ending:
    if ready.marked and not isinstance(error, SwitchboardError):
        # Cut off, or a bug after the call: it may have arrived.
        return Unknown(f"{type(error).__name__}: {error}"[:500], type(error).__name__[:64])
    return in_time(ready.job, from_exception(task, ready.job, error))


# --- 3. settle ------------------------------------------------------------------------------------


def settle(
    task: JobTask, outcomes: Sequence[Outcome], *, worker: int, taker: handover.Taker | None = None
) -> Settled:
    """Write how these ended. Raises DatabaseAway when the database did not take them; then nothing is written."""
    try:
        return _settle(task, outcomes, worker, taker)
    except (OperationalError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", "") not in DEADLOCK:
            raise DatabaseAway(str(error)) from error
    except IntegrityError:
        log.debug("settle_again", task=task.name, reason="a lane was taken meanwhile, or a write collided")
    except Exception as error:
        if len(outcomes) == 1:
            return _settle_alone(task, outcomes[0], worker, error)
        return _each_alone(task, outcomes, worker)
    try:
        return _settle(task, outcomes, worker, None)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(str(error)) from error
    except Exception as error:
        if len(outcomes) == 1:
            return _settle_alone(task, outcomes[0], worker, error)
        return _each_alone(task, outcomes, worker)


def _each_alone(task: JobTask, outcomes: Sequence[Outcome], worker: int) -> Settled:
    """One bad item never takes its group down."""
    together = Settled()
    for outcome in outcomes:
        together.lanes |= settle(task, [outcome], worker=worker).lanes
    return together


def _settle_alone(task: JobTask, outcome: Outcome, worker: int, error: Exception) -> Settled:
    """Its own effects can't be written: keep what its call brought for the next try, or give up where people see it."""
    ending = in_time(outcome.job, from_exception(task, outcome.job, error))
    if isinstance(outcome.ending, Complete) and isinstance(ending, Retry):
        if task.call is not None:
            ending.result = {"value": outcome.ending.result}
        return _settle(task, [Outcome(outcome.job, outcome.item, ending)], worker, None)
    if isinstance(outcome.ending, Complete):
        try:
            return _settle(task, [Outcome(outcome.job, outcome.item, ending)], worker, None)
        except DatabaseError:
            raise
        except Exception as second:
            error, outcome = second, Outcome(outcome.job, outcome.item, ending)
    # dead() itself failed: a dead letter that says so is better than a job that can't even die.
    was = outcome.ending
    last = Fail(
        f"{was.error} — and dead() failed: {type(error).__name__}: {error}"[:2000],
        was.code or "dead_failed",
        getattr(was, "reason", "permanent"),
    )
    return _settle(task, [Outcome(outcome.job, outcome.item, last)], worker, None, with_dead=False)


def _settle(
    task: JobTask,
    outcomes: Sequence[Outcome],
    worker: int,
    taker: handover.Taker | None,
    *,
    with_dead: bool = True,
) -> Settled:
    settled = Settled()
    with handover.to(taker) as handed:
        with transaction.atomic():
            failures = _write_outcomes(task, outcomes, settled, worker, with_dead)
        if handed:
            settled.handed = handed.jobs
    for job, ending in failures:
        log_failure(job, ending)
    return settled


def _write_outcomes(
    task: JobTask, outcomes: Sequence[Outcome], settled: Settled, worker: int, with_dead: bool
) -> list[tuple[ClaimedJob, Ending]]:
    good = [outcome for outcome in outcomes if isinstance(outcome.ending, Complete)]
    ours = ledger.complete([outcome.job for outcome in good])
    tally = Tally(worker, task.name)
    done = []
    for outcome in good:
        if outcome.job.id not in ours:
            log.warning("fenced_off", task=task.name, job=outcome.job.id, fence=outcome.job.fence)
            continue
        result = outcome.ending.result if isinstance(outcome.ending, Complete) else None
        done.append(Done(outcome.job, outcome.item, result))
        tally.add(outcome.job, "completed")
        if task.keep_result and result is not None:
            ledger.keep_result(outcome.job, result)
    if effects := [one for one in done if one.item is not NOTHING]:
        task.write(effects)
    bad = [outcome for outcome in outcomes if not isinstance(outcome.ending, Complete)]
    failures = _write_failures(task, bad, tally, worker, with_dead) if bad else []
    settled.lanes |= {one.job.lane for one in done if one.job.lane}
    settled.lanes |= {job.lane for job, ending in failures if job.lane and isinstance(ending, Fail)}
    tally.write()
    return failures


def _write_failures(
    task: JobTask, outcomes: list[Outcome], tally: Tally, worker: int, with_dead: bool
) -> list[tuple[ClaimedJob, Ending]]:
    unknown = [outcome.job for outcome in outcomes if isinstance(outcome.ending, Unknown)]
    again = task.may_repeat(unknown) if unknown else set()
    written: list[tuple[ClaimedJob, Ending]] = []
    for outcome in outcomes:
        job, ending = outcome.job, outcome.ending
        if isinstance(ending, Unknown):
            ending = decide_unknown(job, ending, may_repeat=job.id in again)
        if _write_failure(job, ending):
            written.append((job, ending))
            tally.add(job, {Fail: "failed", Retry: "retried"}.get(type(ending), "postponed"))
        else:
            log.warning("fenced_off", task=task.name, job=job.id, fence=job.fence)
    bury(task, [(job, ending) for job, ending in written if isinstance(ending, Fail)], with_dead=with_dead)
    record_attempts(
        [
            (job, "failed" if isinstance(ending, Fail) else "retry", ending)
            for job, ending in written
            if not isinstance(ending, Postponed)
        ],
        worker=worker,
    )
    return written


def decide_unknown(job: ClaimedJob, ending: Unknown, *, may_repeat: bool) -> Ending:
    """What an unknown outcome becomes: sent again if its owner wants that and tries are left, else for a person."""
    if may_repeat and not job.is_last_attempt:
        return in_time(job, Retry(0.0, f"may have arrived, sent again: {ending.error}", ending.code or "unknown"))
    return Fail(f"may have arrived: {ending.error}", ending.code or "unknown", reason="unknown")


def _write_failure(job: ClaimedJob, ending: Ending) -> bool:
    match ending:
        case Retry():
            return ledger.put_back(
                job, delay=ending.delay, spent=1, error=ending.error, code=ending.code, result=ending.result
            )
        case Postponed():
            kept = job.result
            return ledger.put_back(
                job, delay=ending.delay, spent=0, error=ending.error, code=ending.code, result=kept
            )
        case Fail():
            spent = 0 if ending.reason in ("expired", "cancelled") else 1
            return ledger.fail(job, reason=ending.reason, spent=spent, error=ending.error, code=ending.code)
    raise TypeError(f"not an ending: {ending!r}")


def bury(task: JobTask, dead: list[tuple[ClaimedJob, Fail]], *, with_dead: bool = True) -> None:
    """Run what follows from giving up, by reason, in the transaction that gives up."""
    by_reason: dict[str, list[ClaimedJob]] = defaultdict(list)
    for job, ending in dead:
        by_reason[ending.reason].append(job)
    if with_dead:
        for reason, jobs in by_reason.items():
            task.dead(jobs, reason)


def record_attempts(rows: Sequence[tuple[ClaimedJob, str, Ending]], *, worker: int) -> None:
    """Keep failed attempts as rows: a dead letter's story."""
    if rows:
        JobAttempt.objects.bulk_create(
            JobAttempt(
                job_id=job.id,
                number=job.attempts + 1,
                ending=how,
                error_code=ending.code,
                error=ending.error,
                traceback=ending.traceback,
                worker_id=worker or None,
            )
            for job, how, ending in rows
        )


def log_failure(job: ClaimedJob, ending: Ending) -> None:
    from apps.jobs.task import get_task

    if isinstance(ending, Postponed):
        return
    dead = isinstance(ending, Fail)
    log.log(
        40 if dead else 30,
        "job_failed" if dead else "job_retries",
        job=job.id,
        task=job.task,
        attempt=job.attempts + 1,
        error=ending.error,
        code=ending.code,
        reason=getattr(ending, "reason", ""),
        retry_in=getattr(ending, "delay", None),
        correlation_id=job.correlation_id,
        payload=redact(get_task(job.task).payload_type.masked(job.payload)),
    )


class Tally:
    """What one group adds to the counters."""

    def __init__(self, worker: int, task: str) -> None:
        self.worker, self.task = worker, task
        self._rows: dict[int, dict[str, int]] = {}
        self._now = time.monotonic()

    def add(self, job: ClaimedJob, how: str) -> None:
        row = self._rows.setdefault(job.customer_id or 0, defaultdict(int))
        run, wait = int((self._now - job.claimed_at) * 1000), max(0, int(job.waited * 1000))
        row[how] += 1
        row["run"] += run
        row["run_max"] = max(row["run_max"], run)
        row["wait"] += wait
        row["wait_max"] = max(row["wait_max"], wait)

    def write(self) -> None:
        """Add them, in the order of customers so that two groups can't wait for each other."""
        columns = ("completed", "failed", "retried", "postponed", "run", "run_max", "wait", "wait_max")
        if self._rows:
            ledger.count(
                [
                    [self.worker, self.task, customer, *(row[column] for column in columns)]
                    for customer, row in sorted(self._rows.items())
                ]
            )
