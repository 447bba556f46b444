"""Dedupe keys, debouncing, priority: what is made, and what is claimed first."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.jobs import bell
from apps.jobs.enqueueing import NewJob, enqueue, enqueue_many
from apps.jobs.models import PARKED, Job
from tests.factories.jobs import JobFactory, seconds_until_due
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def rung(monkeypatch):
    bells = []
    monkeypatch.setattr(bell, "ring_all", lambda names: bells.append(set(names)))
    return bells


def age(job, seconds):
    """Make `job` older than it is."""
    Job.objects.filter(pk=job.id).update(created_at=timezone.now() - timedelta(seconds=seconds))


# --- dedupe ------------------------------------------------------------------------------------------


def test_one_job_per_key_that_has_not_begun():
    first = enqueue("test.script", {"n": 1}, dedupe_key="k")
    again = enqueue("test.script", {"n": 2}, dedupe_key="k")
    other = enqueue("test.script", {"n": 3}, dedupe_key="other")
    assert first.id == again.id != other.id
    assert Job.objects.count() == 2


def test_a_hit_takes_the_earlier_time():
    later = enqueue("test.script", dedupe_key="k", delay=100)
    enqueue("test.script", dedupe_key="k", delay=50)
    assert 49 < seconds_until_due(later.id) <= 50
    enqueue("test.script", dedupe_key="k", delay=80)
    assert 49 < seconds_until_due(later.id) <= 50
    enqueue("test.script", dedupe_key="k")
    assert seconds_until_due(later.id) <= 0


def test_a_hit_on_a_parked_job_does_not_break_the_lane():
    enqueue("test.script", lane="a")
    enqueue("test.script", lane="a", dedupe_key="k")
    claim()
    enqueue("test.script", lane="a", dedupe_key="k")
    assert claim() == []
    assert Job.objects.get(dedupe_key="k").run_at == PARKED


def test_a_key_is_free_again_at_the_first_claim(script):
    first = enqueue("test.script", dedupe_key="k")
    jobs = claim()
    second = enqueue("test.script", dedupe_key="k")
    assert second.id != first.id
    run(jobs)
    assert Job.objects.values_list("status", flat=True).get(pk=first.id) == "completed"


def test_the_same_key_twice_in_one_call_is_one_job():
    made = enqueue_many(
        [NewJob("test.script", dedupe_key="k"), NewJob("test.script"), NewJob("test.script", dedupe_key="k")]
    )
    assert made[0].id == made[2].id != made[1].id
    assert Job.objects.count() == 2


def test_ids_come_back_in_the_order_of_what_was_asked():
    enqueue("test.script", {"n": 2}, dedupe_key="k2")
    made = enqueue_many(
        [
            NewJob("test.script", {"n": n}, dedupe_key=f"k{n}", debounce=5 if n % 3 == 0 else None)
            for n in range(9)
        ]
    )
    rows = Job.objects.in_bulk([one.id for one in made])
    assert [rows[one.id].payload["n"] for one in made] == list(range(9))


@pytest.mark.django_db(transaction=True)
def test_a_hit_rings_too_and_only_after_the_commit(rung):
    enqueue("test.script", dedupe_key="k")
    rung.clear()
    with transaction.atomic():
        enqueue("test.script", dedupe_key="k")
        assert rung == []
    assert rung == [{("test.script", "maintenance")}]


@pytest.mark.django_db(transaction=True)
def test_what_is_not_due_does_not_ring_and_one_call_rings_once(rung):
    enqueue("test.script", delay=5)
    enqueue("test.script", dedupe_key="k", debounce=5)
    assert rung == []
    enqueue_many([NewJob("test.script"), NewJob("test.script"), NewJob("test.writes_only")])
    assert rung == [{("test.script", "maintenance"), ("test.writes_only", "maintenance")}]


# --- debounce ----------------------------------------------------------------------------------------


def test_each_further_one_moves_it_by_the_quiet_time():
    first = enqueue("test.script", dedupe_key="k", debounce=2)
    assert 1 < seconds_until_due(first.id) <= 2
    age(first, 1)
    again = enqueue("test.script", dedupe_key="k", debounce=5)
    assert again.id == first.id
    assert 4 < seconds_until_due(first.id) <= 5


def test_at_most_half_a_minute_after_the_first():
    first = enqueue("test.script", dedupe_key="k", debounce=5)
    age(first, 28)
    enqueue("test.script", dedupe_key="k", debounce=5)
    assert 1 < seconds_until_due(first.id) <= 2
    age(first, 31)
    enqueue("test.script", dedupe_key="k", debounce=5)
    assert seconds_until_due(first.id) <= 0


def test_no_quiet_time_is_longer_than_half_a_minute():
    job = enqueue("test.script", dedupe_key="k", debounce=300)
    assert seconds_until_due(job.id) <= 30


def test_whoever_keeps_writing_does_not_make_it_too_old_before_it_may_begin():
    """Its age counts from the moment it is due, and that moment has moved."""
    first = enqueue("test.script", dedupe_key="k", debounce=10, expires_in=5)
    for _ in range(2):
        Job.objects.filter(pk=first.id).update(
            created_at=timezone.now() - timedelta(seconds=9),
            run_at=timezone.now() + timedelta(seconds=1),
            due_at=timezone.now() + timedelta(seconds=1),
            expires_at=timezone.now() + timedelta(seconds=6),
        )
        enqueue("test.script", dedupe_key="k", debounce=10, expires_in=5)
    row = Job.objects.get(pk=first.id)
    assert row.due_at == row.run_at
    assert (row.expires_at - row.due_at).total_seconds() == pytest.approx(5, abs=0.01)


def test_debounce_needs_a_key():
    with pytest.raises(ValueError, match="dedupe_key"):
        enqueue("test.script", debounce=1)


# --- priority ----------------------------------------------------------------------------------------


def test_the_best_priority_is_claimed_first_and_within_it_the_oldest():
    made = [JobFactory(priority=priority).pk for priority in (5, 9, 1, 5, 0, 1)]
    claimed = []
    while jobs := claim(places=1):
        claimed += [job.id for job in jobs]
    assert claimed == [made[4], made[2], made[5], made[0], made[3], made[1]]


def test_what_is_due_longer_comes_first_whatever_its_id():
    younger = JobFactory(run_at=timezone.now() - timedelta(seconds=10))
    older = JobFactory(run_at=timezone.now() - timedelta(seconds=20))
    assert [job.id for job in claim(places=1)] == [older.pk]
    assert [job.id for job in claim(places=1)] == [younger.pk]


def test_never_more_than_the_places():
    for _ in range(7):
        JobFactory()
    assert [len(claim(places=3)) for _ in range(4)] == [3, 3, 1, 0]


@pytest.mark.parametrize("priority", [-1, 10])
def test_a_priority_that_is_none_is_refused(priority):
    with pytest.raises(ValueError, match="0 \\(first\\) to 9"):
        enqueue("test.script", priority=priority)


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(LookupError, match=r"pipeline\.recieve_message"):
        enqueue("pipeline.recieve_message")


def test_a_rolled_back_transaction_leaves_no_job():
    with transaction.atomic():
        enqueue("test.script")
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_many_jobs_are_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        enqueue_many([NewJob("test.script", {"n": n}, lane=f"l{n}") for n in range(200)])
    assert Job.objects.count() == 200
