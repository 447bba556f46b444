"""Statistics: each finished group adds to one row per worker, task, customer and minute."""

import pytest
from django.db.models import Max, Sum

from apps.jobs.models import JobCounter
from apps.reliability.errors import PermanentError, Postpone, TransientError
from tests.factories.jobs import JobFactory, make_due
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db


def totals(**which):
    names = ("completed", "failed", "retried", "postponed")
    found = JobCounter.objects.filter(**which).aggregate(*(Sum(name) for name in names))
    return tuple(found[f"{name}__sum"] for name in names)


def endings(item):
    match item["n"]:
        case 0:
            raise PermanentError("never")
        case 1:
            raise TransientError("later")
        case 2:
            raise Postpone(0)
    return {}


def test_a_group_is_counted_by_customer_and_ending(script):
    script.call = endings
    for number in range(8):
        JobFactory(payload={"n": number}, customer_id=77 if number % 2 else None)
    run(claim(), worker=5)
    assert totals(customer=77) == (3, 0, 1, 0)
    assert totals(customer=0) == (2, 1, 0, 1)
    assert set(JobCounter.objects.values_list("worker", "task")) == {(5, "test.script")}


def test_groups_add_up(script):
    for size in (1, 4, 2):
        for _ in range(size):
            JobFactory(payload={"n": 9})
        run(claim(), worker=5)
    assert totals() == (7, 0, 0, 0)


def test_a_job_that_was_retried_counts_for_each_of_its_runs(script):
    script.call = endings
    JobFactory(payload={"n": 1})
    for _ in range(3):
        run(claim(), worker=5)
        make_due()
    assert totals() == (0, 1, 2, 0)


def test_what_was_not_committed_is_not_counted_and_what_is_tried_alone_counts_once(script):
    good, bad = JobFactory(payload={"n": 9}), JobFactory(payload={"n": 9})

    def write(done):
        if any(one.job.id == bad.pk for one in done):
            raise RuntimeError("bad")

    script.write = write
    run(claim(), worker=5)
    assert totals() == (1, 0, 1, 0)
    assert good


def test_what_belongs_to_somebody_else_is_not_counted(script):
    JobFactory(payload={"n": 9})
    jobs = claim()
    type(JobFactory()).objects.update(fence=9)
    run(jobs, worker=5)
    assert not JobCounter.objects.exists()


def test_times_are_milliseconds_sum_and_maximum(script):
    for _ in range(3):
        JobFactory(payload={"n": 9})
    jobs = claim()
    for job, waited in zip(jobs, (0.5, 2.0, 1.0), strict=True):
        job.waited = waited
        job.claimed_at -= 3
    run(jobs, worker=5)
    found = JobCounter.objects.aggregate(Sum("wait_ms"), Max("wait_ms_max"), Sum("run_ms"), Max("run_ms_max"))
    assert (found["wait_ms__sum"], found["wait_ms_max__max"]) == (3500, 2000)
    assert found["run_ms__sum"] >= 9000
    assert 3000 <= found["run_ms_max__max"] <= found["run_ms__sum"] / 3 + 60_000
