"""The ledger: one row per thing that must happen.

    pending -> processing -> completed
                  |-> retry    (attempt spent; or postponed: none spent) -> processing
                  |-> failed   (a dead letter until somebody closes it)

The rules are kept by the statements of `apps/jobs/statements.py`; nothing else writes this table.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

PARKED = datetime(9000, 1, 1, tzinfo=UTC)
"""`run_at` of a job that waits behind another of its lane. Not `infinity`: Django can't read that back."""


class JobQuerySet(models.QuerySet["Job"]):
    def waiting(self) -> JobQuerySet:
        return self.filter(status__in=Job.WAITING)

    def live(self) -> JobQuerySet:
        return self.filter(status__in=Job.LIVE)

    def dead_letters(self) -> JobQuerySet:
        """Failed jobs that nobody has closed yet."""
        return self.filter(status=Job.Status.FAILED, closed_at=None)


class Job(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending"
        PROCESSING = "processing"
        RETRY = "retry"
        COMPLETED = "completed"
        FAILED = "failed"

    class Reason(models.TextChoices):
        PERMANENT = "permanent", "it will never work"
        EXHAUSTED = "exhausted", "tried as often as allowed"
        EXPIRED = "expired", "too old to be worth doing"
        UNKNOWN = "unknown", "cut off after it may have happened"
        POISON = "poison", "it killed its worker three times"
        CANCELLED = "cancelled", "cancelled by a person or program"

    WAITING = (Status.PENDING, Status.RETRY)
    LIVE = (Status.PENDING, Status.RETRY, Status.PROCESSING)

    # Only jobs that an API names carry one: an index entry more at every insert, claim and finish is not free.
    public_id = models.UUIDField(null=True, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer",
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    queue = models.CharField(max_length=100)
    task = models.CharField(max_length=120)
    payload = models.JSONField(default=dict)
    payload_version = models.PositiveSmallIntegerField(default=1, db_default=1)
    priority = models.PositiveSmallIntegerField(default=5, db_default=5)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    failure_reason = models.CharField(max_length=10, choices=Reason, blank=True, db_default="")
    error_code = models.CharField(max_length=64, blank=True, db_default="")
    error = models.TextField(blank=True, db_default="")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    max_retries = models.PositiveSmallIntegerField(null=True)  # null: until expires_at
    crashes = models.PositiveSmallIntegerField(default=0, db_default=0)
    fence = models.PositiveIntegerField(default=0, db_default=0)
    lane = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is "no lane", left out of the index
    dedupe_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - likewise
    run_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    time_limit = models.FloatField(default=60, db_default=60)
    sending_at = models.DateTimeField(null=True)
    worker = models.ForeignKey(
        "jobs.Worker", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    lease_until = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    progress = models.JSONField(null=True)
    parent = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="children"
    )
    redrive_of = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="redrives"
    )
    correlation_id = models.CharField(max_length=64, blank=True, db_default="")
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=150, blank=True, db_default="")
    closed_why = models.TextField(blank=True, db_default="")

    objects = JobQuerySet.as_manager()

    class Meta:
        # None on worker, fence, attempts, finished_at or error: an update of an indexed column can't stay on its
        # page (HOT), and the desk's questions are about failed rows only.
        indexes = [
            models.Index(
                "task",
                "priority",
                "run_at",
                "id",
                name="job_due",
                condition=Q(status__in=["pending", "retry"]),
            ),
            # Who waits, customer by customer (apps/jobs/share_statements.py). Without what is parked.
            models.Index(
                "task",
                "priority",
                Coalesce("customer_id", 0),
                "run_at",
                "id",
                name="job_share",
                condition=Q(status__in=["pending", "retry"], run_at__lt=PARKED),
            ),
            models.Index(
                "lane",
                "id",
                name="job_lane",
                condition=Q(lane__isnull=False, status__in=["pending", "retry", "processing"]),
            ),
            models.Index(
                "expires_at",
                name="job_expiry",
                condition=Q(expires_at__isnull=False, status__in=["pending", "retry"]),
            ),
            models.Index(
                "task",
                "run_at",
                name="job_suspect",
                condition=Q(crashes__gte=2, status__in=["pending", "retry"]),
            ),
            models.Index("id", name="job_dead", condition=Q(status="failed", closed_at__isnull=True)),
            models.Index("parent", name="job_parent", condition=Q(parent__isnull=False)),
        ]
        constraints = [
            # Rows without a lane are in it too: it also answers "what is running".
            models.UniqueConstraint("lane", name="job_lane_running", condition=Q(status="processing")),
            # Never-claimed jobs only: over waiting ones a running job that fails would collide, and so
            # would the sweep that takes back expired leases.
            models.UniqueConstraint(
                "dedupe_key",
                name="job_dedupe",
                condition=Q(dedupe_key__isnull=False, status="pending", fence=0),
            ),
            models.UniqueConstraint("public_id", name="job_public_id", condition=Q(public_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.task} #{self.pk}"

    @property
    def is_parked(self) -> bool:
        return self.status in self.WAITING and self.run_at == PARKED


class JobAttempt(models.Model):
    """One attempt that did not succeed: a line of a dead letter's story."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="failed_attempts")
    number = models.PositiveSmallIntegerField()
    ending = models.CharField(max_length=12)
    error_code = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    worker = models.ForeignKey(
        "jobs.Worker", models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    ended_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.ending}"
