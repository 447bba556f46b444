"""Rows of the ledger, for tests: workers, and jobs in any state without going through `enqueue`."""

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.models import Job, Worker


class WorkerFactory(DjangoModelFactory[Worker]):
    """A worker on another host whose lease holds."""

    class Meta:
        model = Worker

    host = "another-host"
    hostname = "another"
    pid = factory.Sequence(lambda number: 100_000 + number)
    process_start = "1"
    lease_until = factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=5))


class JobFactory(DjangoModelFactory[Job]):
    """A job that is due."""

    class Meta:
        model = Job

    task = "test.script"
    queue = "maintenance"
    max_retries = 2


def claimed(*jobs: Job, worker: int = 0, task: str = "test.script") -> list[ClaimedJob]:
    """Claim all that is due of `task`; it must be exactly `jobs`. In the order of their ids."""
    found, _ = ledger.claim(task, places=100, worker=worker)
    assert [job.id for job in found] == sorted(job.pk for job in jobs)
    return found


def state(job: Job | int) -> tuple[str, str]:
    """Status and failure reason as they stand in the table."""
    pk = job if isinstance(job, int) else job.pk
    return Job.objects.values_list("status", "failure_reason").get(pk=pk)


def seconds_until_due(job: Job | int) -> float:
    """How far `run_at` lies ahead; negative: due."""
    pk = job if isinstance(job, int) else job.pk
    return (Job.objects.get(pk=pk).run_at - timezone.now()).total_seconds()


def make_due() -> None:
    """Let the backoff of every retry be over."""
    Job.objects.filter(status="retry").update(run_at=timezone.now() - timedelta(seconds=1))
