"""The last step of a job's life: one transaction for a group of outcomes.

First the outcomes, under the fence; then effects and next jobs of those that matched, what follows from giving up,
attempts and counters. When a group can't be written, each of its jobs is tried alone: one bad item never takes its
group down, and what a call brought is kept for the next try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction

from apps.jobs import handover, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Complete, Ending, Fail, Retry, Unknown, from_exception, in_time
from apps.jobs.failures import log_failure, write_failures
from apps.jobs.life import NOTHING, DatabaseAway, Outcome
from apps.jobs.tally import Tally
from apps.jobs.task import Done, JobTask

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
    failures = write_failures(task, bad, tally, worker, with_dead) if bad else []
    # Also of those that were fenced off: when the database cut us off in the commit, it may have got through, and
    # then nobody has promoted for it yet. Promoting a lane that is busy does nothing.
    waiting = {job.id for job, ending in failures if not isinstance(ending, Fail)}
    settled.lanes |= {one.job.lane for one in outcomes if one.job.lane and one.job.id not in waiting}
    tally.write()
    return failures
