from apps.jobs.models.idempotency import IdempotencyKey
from apps.jobs.models.job import PARKED, Job, JobAttempt
from apps.jobs.models.worker import JobCounter, QueueState, Seat, Worker

__all__ = ["PARKED", "IdempotencyKey", "Job", "JobAttempt", "JobCounter", "QueueState", "Seat", "Worker"]
