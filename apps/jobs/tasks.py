"""The ledger's own housekeeping."""

from __future__ import annotations

from apps.jobs import retention
from apps.jobs.task import JobTask

LONGEST_WALK = 2.0
"""Seconds a minute: it holds a ledger thread, on SQLite the only one. The next run goes on where this one stopped."""


class Prune(JobTask):
    """Remove what is past its retention. Scheduled every minute; small batches, each its own transaction."""

    name = "jobs.prune"
    queue = "maintenance"
    max_retries = 0
    time_limit = 55

    def read(self, jobs):  # type: ignore[no-untyped-def]
        # Not in write(): the batches must not share a transaction, nor the outcome's.
        retention.prune(seconds=LONGEST_WALK)
        return {job.id: None for job in jobs}
