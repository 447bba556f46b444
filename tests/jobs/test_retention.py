"""What is removed, when, and what never is."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import retention
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job, JobAttempt, JobCounter
from tests.factories.jobs import JobFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _from_the_start():
    retention._cursor.clear()
    yield
    retention._cursor.clear()


def old(status, *, hours=0.0, **columns):
    moment = timezone.now() - timedelta(hours=hours)
    closed = {"closed_at": moment} if columns.pop("closed", False) else {}
    return JobFactory(status=status, created_at=moment, finished_at=moment, **closed, **columns)


def left():
    return set(Job.objects.values_list("pk", flat=True))


def test_completed_an_hour_failed_a_fortnight_and_never_one_that_nobody_reviewed():
    kept = {
        old("completed", hours=0.9).pk,
        old("failed", hours=24 * 13, closed=True).pk,
        old("failed", hours=24 * 400).pk,
        old("pending", hours=24 * 400).pk,
        old("retry", hours=24 * 400).pk,
        old("processing", hours=24 * 400).pk,
    }
    old("completed", hours=1.1)
    old("failed", hours=24 * 15, closed=True)
    assert retention.prune() == 2
    assert left() == kept


def test_each_queue_has_its_own(settings):
    from dataclasses import replace

    page = settings.QUEUES["maintenance"]
    settings.QUEUES = {**settings.QUEUES, "keeping": replace(page, name="keeping", keep_completed=86400 * 14)}
    kept = old("completed", hours=100, queue="keeping").pk
    old("completed", hours=100)
    retention.prune()
    assert left() == {kept}


def test_its_attempts_go_with_it_and_its_counters_stay():
    job = old("failed", hours=24 * 15, closed=True)
    JobAttempt.objects.create(job=job, number=1, ending="failed")
    JobCounter.objects.create(minute=timezone.now() - timedelta(days=30), worker=1, task="test.script")
    gone = JobCounter.objects.create(minute=timezone.now() - timedelta(days=91), worker=1, task="test.script")
    retention.prune()
    assert not JobAttempt.objects.exists()
    assert JobCounter.objects.count() == 1
    assert not JobCounter.objects.filter(pk=gone.pk).exists()


def test_a_parent_may_go_before_its_children():
    parent = old("completed", hours=2)
    child = old("pending", hours=2, parent=parent)
    retention.prune()
    assert left() == {child.pk}


def test_what_is_kept_at_the_low_end_does_not_hide_what_lies_behind_a_gap(monkeypatch):
    """A thousand unreviewed failures, then ids that were pruned long ago, then a new day's jobs."""
    monkeypatch.setattr(retention, "BATCH", 5)
    kept = {old("failed", hours=24 * 400).pk for _ in range(5)}
    last = max(kept)
    for number in range(8):
        old("completed", hours=2, pk=last + 50 + number)
    retention.prune()
    assert left() == kept


def test_the_walk_goes_on_where_it_stopped_and_comes_back(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)
    rows = [old("completed", hours=2) for _ in range(10)]
    young = old("completed")
    assert retention.prune(seconds=0) == 0
    assert retention.prune() == 10
    assert left() == {young.pk}
    Job.objects.filter(pk=young.pk).update(finished_at=timezone.now() - timedelta(hours=2))
    assert retention.prune() == 1
    assert rows


def test_it_runs_as_a_job():
    old("completed", hours=2)
    job = enqueue("jobs.prune")
    drain()
    assert left() == {job.id}
