"""What a person does with a dead letter, and that nobody does it twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import desk
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import PARKED, Job
from tests.factories.accounts import CustomerFactory
from tests.factories.jobs import JobFactory, seconds_until_due, state

pytestmark = pytest.mark.django_db


def dead(**columns):
    return JobFactory(status="failed", failure_reason="exhausted", finished_at=timezone.now(), **columns)


def test_retry_closes_the_letter_and_makes_a_new_job_that_names_it(script):
    customer = CustomerFactory().pk
    letter = dead(
        payload={"n": 1}, lane="a", priority=3, customer_id=customer, correlation_id="c", metadata={"m": 1}
    )
    made = desk.retry(job=letter, by="ada", why="the provider is back")
    row, new = Job.objects.get(pk=letter.pk), Job.objects.get(pk=made.id)
    assert row.closed_at is not None
    assert (row.status, row.closed_by, row.closed_why) == ("failed", "ada", "the provider is back")
    assert new.redrive_of_id == letter.pk
    assert (new.payload, new.lane, new.priority, new.customer_id, new.correlation_id, new.metadata) == (
        {"n": 1}, "a", 3, customer, "c", {"m": 1}
    )  # fmt: skip
    assert (new.status, new.attempts, new.fence) == ("pending", 0, 0)
    assert not Job.objects.dead_letters().exists()
    drain()
    assert script.called == [{"n": 1}]


def test_a_secret_survives_a_retry(script):
    job = enqueue("test.letter", {"recipient": 1, "password": "swordfish-0815"})
    Job.objects.update(status="failed")
    desk.retry(job=Job.objects.get(pk=job.id), by="ada")
    drain()
    assert script.called[0].password == "swordfish-0815"


@pytest.mark.parametrize("second", ["retry", "discard"])
@pytest.mark.parametrize("first", ["retry", "discard"])
def test_a_second_click_is_refused_in_words(script, first, second):
    letter = dead()
    getattr(desk, first)(job=letter, by="ada", why="x")
    with pytest.raises(desk.NotADeadLetter, match="reload the page"):
        getattr(desk, second)(job=letter, by="bob", why="y")
    assert Job.objects.get(pk=letter.pk).closed_by == "ada"
    assert Job.objects.count() == (2 if first == "retry" else 1)


@pytest.mark.parametrize("status", ["pending", "processing", "retry", "completed"])
def test_only_a_dead_letter_can_be_retried_or_discarded(status):
    job = JobFactory(status=status)
    for act in (desk.retry, desk.discard):
        with pytest.raises(desk.NotADeadLetter):
            act(job=job, by="ada", why="x")
    assert Job.objects.count() == 1


def test_discard_closes_it_for_good():
    letter = dead()
    desk.discard(job=letter, by="ada", why="nobody needs it")
    row = Job.objects.get(pk=letter.pk)
    assert (row.status, row.closed_by, row.closed_why) == ("failed", "ada", "nobody needs it")


def test_cancel_ends_what_waits_with_its_consequences_and_lets_the_lane_go_on(script):
    job = JobFactory(lane="a", run_at=timezone.now() + timedelta(hours=1))
    behind = JobFactory(lane="a", run_at=PARKED)
    assert desk.cancel(job=job, by="ada", why="wrong person")
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.failure_reason, row.closed_by) == ("failed", "cancelled", "ada")
    assert script.buried == [(job.pk, "cancelled")]
    assert not Job.objects.dead_letters().exists()  # never an alarm
    assert seconds_until_due(behind) <= 0
    assert not desk.cancel(job=job, by="bob")


@pytest.mark.parametrize("status", ["processing", "completed", "failed"])
def test_what_has_begun_or_ended_cannot_be_cancelled(script, status):
    job = JobFactory(status=status)
    assert desk.cancel(job=job, by="ada") is False
    assert state(job)[0] == status
    assert script.buried == []


def test_a_retry_has_the_patience_and_the_tries_of_the_first(script):
    letter = dead(max_retries=7)
    Job.objects.filter(pk=letter.pk).update(
        due_at=timezone.now(), expires_at=timezone.now() + timedelta(seconds=20)
    )
    letter.refresh_from_db()
    new = Job.objects.get(pk=desk.retry(job=letter, by="ada").id)
    assert (new.expires_at - new.due_at).total_seconds() == pytest.approx(20, abs=0.5)
    assert new.max_retries == 7
