"""What a person does with a dead letter: try again, discard, say that it arrived; and cancel what has not begun.

A dead letter is a failed job whose `closed_at` is empty. Every act closes it and says who and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.jobs import failures, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.endings import Fail
from apps.jobs.enqueueing import Enqueued, enqueue
from apps.jobs.models import Job
from apps.jobs.task import get_task


class NotADeadLetter(ValueError):
    """The job is not a dead letter (any more): somebody else was quicker, or it never failed."""


def retry(*, job: Job, by: str, why: str = "") -> Enqueued:
    """Close this dead letter and put a new job in its place, which names it. Raises NotADeadLetter."""
    task = get_task(job.task)
    with transaction.atomic():
        _close(job, by=by, why=why or "tried again")
        return enqueue(
            job.task,
            task.payload_type.load(job.payload),
            lane=job.lane,
            priority=job.priority,
            customer=job.customer_id,
            correlation_id=job.correlation_id,
            parent=job.parent_id,
            redrive_of=job.pk,
            max_retries=job.max_retries,
            expires_in=(job.expires_at - job.due_at).total_seconds() if job.expires_at else None,
            metadata=job.metadata,
        )


def discard(*, job: Job, by: str, why: str) -> None:
    """Close this dead letter for good. Raises NotADeadLetter."""
    with transaction.atomic():
        _close(job, by=by, why=why)


def arrived(*, job: Job, by: str, why: str = "") -> None:
    """Somebody knows that this dead letter, whose outcome is unknown, arrived: close it, with what follows from that.

    Raises NotADeadLetter, ValueError where no outcome is unknown, and LookupError where the task is gone.
    """
    task = get_task(job.task)
    if job.failure_reason != Job.Reason.UNKNOWN:
        raise ValueError(f"job {job.pk} can't have arrived: it failed as {job.failure_reason}")
    with transaction.atomic():
        _close(job, by=by, why=f"it arrived: {why}" if why else "it arrived")
        task.arrived([task.payload_type.load(job.payload)])


def close_arrived(*, task: str, by: str, why: str, **payload: Any) -> int:
    """Close the dead letters of `task` whose outcome is unknown and whose payload is like that (`field__in=…`), because
    it is known now; what follows has been written already. Returns how many."""
    unknown = Job.objects.dead_letters().filter(task=task, failure_reason=Job.Reason.UNKNOWN)
    about = {f"payload__{name}": value for name, value in payload.items()}
    return unknown.filter(**about).update(
        closed_at=timezone.now(), closed_by=by[:150], closed_why=f"it arrived: {why}"
    )


def close_at_once(jobs: Sequence[ClaimedJob], *, code: str, why: str) -> None:
    """In a task's `dead`: nobody can do anything about those of these that failed with `code`; they stay on record."""
    failed = Job.objects.dead_letters().filter(pk__in=[job.id for job in jobs], error_code=code)
    failed.update(closed_at=timezone.now(), closed_by="switchboard", closed_why=why)


def cancel(*, job: Job, by: str, why: str = "") -> bool:
    """Cancel a job that waits; its consequences follow as with any failure. False if it has begun or ended."""
    with transaction.atomic():
        buried = ledger.bury_waiting(
            [job.pk], reason="cancelled", error=why or f"cancelled by {by}", code="cancelled"
        )
        if not buried:
            return False
        Job.objects.filter(pk=job.pk).update(
            closed_at=timezone.now(), closed_by=by[:150], closed_why=why or "cancelled"
        )
        failures.bury(get_task(job.task), [(buried[0], Fail("cancelled", "cancelled", "cancelled"))])
    if job.lane:
        ledger.promote([job.lane])
    return True


def _close(job: Job, *, by: str, why: str) -> None:
    closed = (
        Job.objects.dead_letters()
        .filter(pk=job.pk)
        .update(closed_at=timezone.now(), closed_by=by[:150], closed_why=why)
    )
    if not closed:
        raise NotADeadLetter(
            f"job {job.pk} is not an open dead letter; reload the page to see what became of it"
        )
