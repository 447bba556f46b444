"""How long rows are kept, by queue: completed jobs an hour, failed ones 14 days, and never one that nobody reviewed.

Rows are walked from the low end of the primary key: ids are nearly in the order of time, and an index on
`finished_at` would cost more at every finish than this walk.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.jobs.models import IdempotencyKey, Job, JobAttempt, JobCounter, Worker

BATCH = 1000
KEEP_WORKERS = timedelta(days=1)
KEEP_COUNTERS = timedelta(days=90)
_cursor: dict[str, int] = {}
"""Where the last walk stopped, in this process. Losing it costs one walk from the start."""


def prune(*, seconds: float = 25.0) -> int:
    """Remove rows past their retention for at most `seconds`; return how many jobs."""
    until = time.monotonic() + seconds
    removed = 0
    position = _cursor.get("job", 0)
    while time.monotonic() < until:
        window = list(Job.objects.filter(pk__gt=position).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not window:
            position = 0
            break
        removed += _prune_window(window[0], window[-1])
        position = window[-1]
        if not _anything_old_after(position):
            position = 0
            break
    _cursor["job"] = position
    now = timezone.now()
    IdempotencyKey.objects.filter(expires_at__lte=now).delete()
    JobCounter.objects.filter(minute__lt=now - KEEP_COUNTERS).delete()
    _forget_workers(now - KEEP_WORKERS)
    return removed


def _past_retention() -> Q:
    now = timezone.now()
    past = Q(pk__in=[])
    for name, queue in settings.QUEUES.items():
        past |= Q(
            queue=name,
            status=Job.Status.COMPLETED,
            finished_at__lt=now - timedelta(seconds=queue.keep_completed),
        )
        past |= Q(
            queue=name,
            status=Job.Status.FAILED,
            closed_at__isnull=False,
            finished_at__lt=now - timedelta(seconds=queue.keep_failed),
        )
    return past


def _prune_window(first: int, last: int) -> int:
    old = list(
        Job.objects.filter(_past_retention(), pk__gte=first, pk__lte=last).values_list("pk", flat=True)
    )
    if not old:
        return 0
    with transaction.atomic():
        JobAttempt.objects.filter(job_id__in=old).delete()
        # Not QuerySet.delete(): it would look for children of each row, and a completed parent may go first.
        count = Job.objects.filter(pk__in=old)._raw_delete("default")
    return int(count)


def _anything_old_after(position: int) -> bool:
    """Whether the job after `position` was made long enough ago for something behind it to be past its time."""
    soonest = min((queue.keep_completed for queue in settings.QUEUES.values()), default=3600)
    # The next row, however far away: behind rows that are kept there may be a gap of any width.
    oldest = Job.objects.filter(pk__gt=position).order_by("pk").values_list("created_at", flat=True).first()
    return oldest is not None and oldest < timezone.now() - timedelta(seconds=soonest)


def _forget_workers(before: object) -> None:
    running = Job.objects.filter(status=Job.Status.PROCESSING).values("worker_id")
    Worker.objects.filter(ended_at__lt=before).exclude(pk__in=running).delete()
