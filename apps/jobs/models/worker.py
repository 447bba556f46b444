"""The worker processes and what they share: leases, seats, queue states, counters."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """One worker process. Its heartbeat carries the lease of every job it holds."""

    class Ending(models.TextChoices):
        STOPPED = "stopped", "stopped in good order"
        DEAD = "dead", "its process is gone"
        LEASE = "lease", "its lease ran out"

    host = models.CharField(max_length=120)
    """Boot id and pid namespace: who can see this process by its pid."""
    hostname = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    process_start = models.CharField(max_length=40)
    queues = models.JSONField(default=list)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_how = models.CharField(max_length=10, choices=Ending, blank=True, db_default="")

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"


class QueueState(models.Model):
    """What operators set for a queue while it runs; what is empty is as the page of queues says."""

    queue = models.CharField(max_length=100, unique=True)
    paused_at = models.DateTimeField(null=True)
    rate = models.CharField(max_length=20, blank=True)
    concurrency = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "queue limit"

    def __str__(self) -> str:
        return self.queue


class Seat(models.Model):
    """Work that one process at a time does: whoever moves `free_at` forward has it until then."""

    name = models.CharField(max_length=60, primary_key=True)
    free_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class JobCounter(models.Model):
    """How the jobs of one task ended in one minute in one worker, by customer. Outlives the jobs' retention.

    A row per worker, so that no two processes ever wait for each other's count. Times in milliseconds.
    """

    minute = models.DateTimeField()
    worker = models.BigIntegerField()
    task = models.CharField(max_length=120)
    customer = models.BigIntegerField(default=0)  # 0: nobody's. Null would escape the unique constraint.
    completed = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    retried = models.IntegerField(default=0)
    postponed = models.IntegerField(default=0)
    run_ms = models.BigIntegerField(default=0)
    run_ms_max = models.IntegerField(default=0)
    wait_ms = models.BigIntegerField(default=0)
    wait_ms_max = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("minute", "worker", "task", "customer", name="job_counter_once"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.minute:%H:%M}"
