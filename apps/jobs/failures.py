"""What failing means: the rows of those that failed, what follows from giving up, their story and their log line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from django.db import transaction

from apps.jobs import ledger, storable
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import is_away
from apps.jobs.endings import ERROR_LENGTH, Ending, Fail, Postponed, Retry, Unknown, in_time
from apps.jobs.models import Job, JobAttempt
from apps.jobs.tally import Tally
from apps.jobs.task import JobTask, registry
from apps.reliability.redaction import redact, redact_text

if TYPE_CHECKING:
    from apps.jobs.life import Outcome

log = structlog.get_logger(__name__)


def write_failures(
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
        return in_time(
            job, Retry(0.0, f"may have arrived, sent again: {ending.error}", ending.code or "unknown")
        )
    return Fail(f"may have arrived: {ending.error}", ending.code or "unknown", reason="unknown")


def _write_failure(job: ClaimedJob, ending: Ending) -> bool:
    match ending:
        case Retry():
            return _put_back(job, ending, spent=1)
        case Postponed():
            return _put_back(job, ending, spent=0)
        case Fail():
            spent = 0 if ending.reason in ("expired", "cancelled") else 1
            return ledger.fail(job, reason=ending.reason, spent=spent, error=ending.error, code=ending.code)
    raise TypeError(f"not an ending: {ending!r}")


def _put_back(job: ClaimedJob, ending: Retry | Postponed, *, spent: int) -> bool:
    # What its call brought, if only the writing failed, is kept: the call is not made again.
    return ledger.put_back(
        job, delay=ending.delay, spent=spent, error=ending.error, code=ending.code, result=job.result
    )


def bury(task: JobTask, dead: list[tuple[ClaimedJob, Fail]], *, with_dead: bool = True) -> None:
    """Run what follows from giving up, by reason, in the transaction that gives up."""
    by_reason: dict[str, list[ClaimedJob]] = defaultdict(list)
    for job, ending in dead:
        by_reason[ending.reason].append(job)
    if with_dead:
        for reason, jobs in by_reason.items():
            task.dead(jobs, reason)


def bury_each(task: JobTask, dead: list[tuple[ClaimedJob, Fail]]) -> None:
    """The same for the sweeper, which buries jobs of many tasks at once: a `dead` that raises is noted on its job,
    and holds nobody else's. Inside a transaction."""
    try:
        with transaction.atomic():
            bury(task, dead)
    except Exception as error:
        if is_away(error):
            raise
        if len(dead) > 1:
            for one in dead:
                bury_each(task, [one])
            return
        job, ending = dead[0]
        ending.error = f"{ending.error} — and dead() failed: {type(error).__name__}: {error}"[:ERROR_LENGTH]
        Job.objects.filter(pk=job.id).update(error=storable.text(redact_text(ending.error)))


def record_attempts(rows: Sequence[tuple[ClaimedJob, str, Ending]], *, worker: int) -> None:
    """Keep failed attempts as rows: a dead letter's story."""
    if rows:
        JobAttempt.objects.bulk_create(
            JobAttempt(
                job_id=job.id,
                number=job.attempts + 1,
                ending=how,
                error_code=storable.code(ending.code),
                error=storable.text(ending.error),
                traceback=storable.text(ending.traceback),
                worker_id=worker or None,
            )
            for job, how, ending in rows
        )


def log_failure(job: ClaimedJob, ending: Ending) -> None:
    if isinstance(ending, Postponed):
        return
    dead = isinstance(ending, Fail)
    # A task that is gone from the code leaves nobody who knows which fields are secret.
    payload = registry()[job.task].payload_type.masked(job.payload) if job.task in registry() else {}
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
        payload=redact(payload),
    )
