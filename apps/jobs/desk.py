"""What a person does with a dead letter: try again, discard; and cancel what has not begun.

A dead letter is a failed job whose `closed_at` is empty. Every act closes it and says who and why.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.jobs import failures, ledger
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
