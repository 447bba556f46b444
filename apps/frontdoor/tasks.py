"""What the front door does later: forget what came in long ago."""

from datetime import timedelta

from django.utils import timezone

from apps.frontdoor.models import InboundEvent
from apps.jobs.enqueueing import enqueue
from apps.jobs.task import Done, JobTask

KEPT = timedelta(days=8)
AT_ONCE = 1_000
"""Rows of one transaction: few enough that nobody at the door waits for it."""


class PruneInbox(JobTask):
    """Delete inbox rows older than eight days, a batch at a time; enqueues itself until none is left."""

    name = "frontdoor.prune_inbox"
    queue = "maintenance"
    batch = 1

    def write(self, done: list[Done]) -> None:
        deleted = InboundEvent.objects.all().delete_older(than=timezone.now() - KEPT, limit=AT_ONCE)
        if deleted == AT_ONCE:
            enqueue(self.name, {}, priority=9, dedupe_key=f"{self.name}:rest")
