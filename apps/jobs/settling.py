"""The last step of a job's life: one transaction for a group of outcomes.

First the outcomes, under the fence; then effects and next jobs of those that matched, what follows from giving up,
attempts and counters. When a group can't be written, each of its jobs is tried alone: one bad item never takes its
group down, and what a call brought is kept for the next try.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import IntegrityError, OperationalError, connection, transaction

from apps.jobs import handover, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import is_away
from apps.jobs.endings import ERROR_LENGTH, Complete, Ending, Fail, Unknown, from_exception, in_time
from apps.jobs.failures import log_failure, write_failures
from apps.jobs.life import NOTHING, DatabaseAway, Outcome
from apps.jobs.tally import Tally
from apps.jobs.task import Done, JobTask
from apps.reliability.redaction import redact_text

log = structlog.get_logger(__name__)

DEADLOCK = ("40P01", "40001")


@dataclass(slots=True)
class Settled:
    """What a settled group leaves to do: lanes to promote, jobs handed over."""

    lanes: set[str] = field(default_factory=set)
    handed: list[ClaimedJob] = field(default_factory=list)


def settle(
    task: JobTask, outcomes: Sequence[Outcome], *, worker: int, taker: handover.Taker | None = None
) -> Settled:
    """Write how these ended. Raises DatabaseAway when the database did not take them; then nothing is written."""
    try:
        try:
            return _settle(task, outcomes, worker, taker)
        except (OperationalError, IntegrityError) as error:
            if (
                isinstance(error, OperationalError)
                and getattr(error.__cause__, "sqlstate", "") not in DEADLOCK
            ):
                raise
            log.debug(
                "settle_again", task=task.name, reason="a lane was taken meanwhile, or a write collided"
            )
        return _settle(task, outcomes, worker, None)
    except Exception as error:
        if is_away(error):
            raise DatabaseAway(str(error)) from error
        if len(outcomes) > 1:
            return _each_alone(task, outcomes, worker)
        return _settle_alone(task, outcomes[0], worker, error)


def _each_alone(task: JobTask, outcomes: Sequence[Outcome], worker: int) -> Settled:
    """One bad item never takes its group down."""
    together = Settled()
    for outcome in outcomes:
        try:
            together.lanes |= settle(task, [outcome], worker=worker).lanes
        except DatabaseAway:
            raise
        except Exception:
            # A bug of the ledger itself. This one comes back when its lease is over.
            log.exception("settle_broken", task=task.name, job=outcome.job.id)
    return together


def _settle_alone(task: JobTask, outcome: Outcome, worker: int, error: Exception) -> Settled:
    """Its own effects can't be written: keep what its call brought for the next try, or give up where people see it."""
    try:
        return _give_way(task, outcome, worker, error)
    except Exception as broken:
        if is_away(broken):
            raise DatabaseAway(str(broken)) from broken
        raise


def _give_way(task: JobTask, outcome: Outcome, worker: int, error: Exception) -> Settled:
    ending = in_time(outcome.job, from_exception(task, outcome.job, error))
    if isinstance(outcome.ending, Complete):
        if task.call is not None:
            outcome.job.result = {"value": outcome.ending.result}
        try:
            return _settle(task, [Outcome(outcome.job, outcome.item, ending)], worker, None)
        except Exception as second:
            if is_away(second) or not isinstance(ending, Fail | Unknown):
                raise
            error, outcome = second, Outcome(outcome.job, outcome.item, ending)
    # dead() itself failed: a dead letter that says so is better than a job that can't even die.
    was = outcome.ending
    last = Fail(
        redact_text(f"{was.error} — and dead() failed: {type(error).__name__}: {error}")[:ERROR_LENGTH],
        was.code or "dead_failed",
        "unknown" if isinstance(was, Unknown) else getattr(was, "reason", "permanent"),
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
    settled, committed = Settled(), threading.Event()
    with handover.to(taker) as handed:
        try:
            with transaction.atomic():
                transaction.on_commit(committed.set)
                if handed:
                    handed.depth = len(connection.savepoint_ids)
                failures = _write_outcomes(task, outcomes, settled, worker, with_dead)
        except Exception:
            if not committed.is_set():
                raise
            log.exception("after_commit_failed", task=task.name)  # what a task's own hooks do can't undo it
        if handed:
            settled.handed = handed.jobs
    for job, ending in failures:
        log_failure(job, ending)
    return settled


def _complete_late(task: JobTask, jobs: list[ClaimedJob]) -> set[tuple[int, int]]:
    """Calls that succeeded after their worker was thought gone resolve what is unknown, and spare a second try."""
    late = ledger.complete_late(jobs) if jobs else set()
    if late:
        log.info("late_success", task=task.name, jobs=sorted(job_id for job_id, _ in late))
    return late


def _write_outcomes(
    task: JobTask, outcomes: Sequence[Outcome], settled: Settled, worker: int, with_dead: bool
) -> list[tuple[ClaimedJob, Ending]]:
    good = [outcome for outcome in outcomes if isinstance(outcome.ending, Complete)]
    ours = ledger.complete([outcome.job for outcome in good])
    ours |= _complete_late(task, [outcome.job for outcome in good if outcome.job.key not in ours])
    tally = Tally(worker, task.name)
    done = []
    for outcome in good:
        if outcome.job.key not in ours:
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
    failures = write_failures(task, bad, tally, worker, with_dead) if bad else []
    # Also of those that were fenced off: when the database cut us off in the commit, it may have got through, and
    # then nobody has promoted for it yet. Promoting a lane that is busy does nothing.
    waiting = {job.id for job, ending in failures if not isinstance(ending, Fail)}
    settled.lanes |= {one.job.lane for one in outcomes if one.job.lane and one.job.id not in waiting}
    tally.write()
    return failures
