"""Pages of the admin that look at a table from one side: proxies, with permissions of their own."""

from __future__ import annotations

from apps.jobs.models.job import Job
from apps.jobs.models.worker import QueueState


class DeadLetter(Job):
    """A failed job, for the desk: who may change it may try it again or discard it."""

    class Meta:
        proxy = True
        verbose_name = "dead letter"


class QueueOverview(QueueState):
    """Every queue of the page with what stands in it now."""

    class Meta:
        proxy = True
        verbose_name = "queue"
