from apps.jobs.models.desk_pages import DeadLetter, QueueOverview
from apps.jobs.models.idempotency import IdempotencyKey
from apps.jobs.models.job import PARKED, Job, JobAttempt
from apps.jobs.models.worker import JobCounter, QueueState, Seat, Worker

__all__ = [
    "PARKED",
    "DeadLetter",
    "IdempotencyKey",
    "Job",
    "JobAttempt",
    "JobCounter",
    "QueueOverview",
    "QueueState",
    "Seat",
    "Worker",
]
