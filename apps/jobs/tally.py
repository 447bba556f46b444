"""What one finished group adds to the counters."""

from __future__ import annotations

import time
from collections import defaultdict

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob


class Tally:
    """Adds up by customer; times in milliseconds."""

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
