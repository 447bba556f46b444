"""How a run ends: by what its call raises, by its age."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs.drain import drain
from apps.jobs.endings import Complete, Fail, Postponed, Retry, backoff, from_exception, in_time
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import PARKED, Job, JobAttempt
from apps.jobs.sweeper import Sweeper
from apps.jobs.task import get_task
from apps.reliability.errors import PermanentError, Postpone, TransientError
from tests.factories.jobs import JobFactory, seconds_until_due, state
from tests.jobs.running import claim, run
from tests.jobs.scripts import raising

pytestmark = pytest.mark.django_db


class StubCrew:
    """A crew with nothing but an id, for the sweeper."""

    worker_id, stopping, lines = 0, False, {}

    def wake_promoted(self, tasks):
        self.woken = set(tasks)

    def wake(self, task):
        return False


# --- retry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "least"),
    [(0, 1), (1, 2), (2, 4), (3, 8), (9, 512), (10, 900), (11, 900), (200, 900)],
)
def test_the_backoff_doubles_up_to_its_maximum_and_adds_at_most_a_fifth(attempts, least):
    task = get_task("test.script")
    waits = [backoff(task, attempts) for _ in range(200)]
    assert all(least <= wait <= least * 1.2 for wait in waits)
    assert max(waits) - min(waits) > least * 0.05  # what failed together does not come back together


def test_what_the_other_side_asks_for_is_a_floor_that_no_maximum_cuts():
    task = get_task("test.script")
    assert all(3600 <= backoff(task, 0, retry_after=3600) <= 4320 for _ in range(50))
    assert all(8 <= backoff(task, 3, retry_after=2) <= 9.6 for _ in range(50))


def test_a_task_has_a_backoff_of_its_own():
    task = get_task("test.patient")
    assert [int(backoff(task, attempts) / 1.2) <= least <= backoff(task, attempts) for attempts, least in
            ((0, 2), (1, 4), (2, 8), (3, 9), (30, 9))] == [True] * 5  # fmt: skip


def test_three_tries_with_one_and_two_seconds_between_them(script):
    script.call = raising(*[TransientError("away", code="503")] * 3)
    job = enqueue("test.script", {"n": 1})
    drain()
    assert state(job.id) == ("retry", "")
    assert 0 < seconds_until_due(job.id) <= 1.2
    assert drain() == 0  # not before its time
    drain(until=timezone.now() + timedelta(seconds=2))
    assert 1 < seconds_until_due(job.id) <= 2.4
    drain(until=timezone.now() + timedelta(seconds=4))
    row = Job.objects.get(pk=job.id)
    assert (row.status, row.failure_reason, row.error, row.error_code) == (
        "failed",
        "exhausted",
        "away",
        "503",
    )
    assert (row.attempts, row.finished_at is None, row.closed_at) == (3, False, None)
    assert script.called == [{"n": 1}] * 3
    assert script.buried == [(job.id, "exhausted")]
    assert list(row.failed_attempts.values_list("number", "ending", "error", "traceback")) == [
        (1, "retry", "away", ""), (2, "retry", "away", ""), (3, "failed", "away", "")
    ]  # fmt: skip


def test_a_try_that_succeeds_ends_it(script):
    script.call = raising(TransientError("away"))
    job = enqueue("test.script")
    drain(until=timezone.now() + timedelta(seconds=5))
    assert Job.objects.values_list("status", "attempts").get(pk=job.id) == ("completed", 2)
    assert script.written == [(job.id, {"ok": True})]


def test_an_error_outside_the_tree_is_our_bug_and_keeps_its_traceback(script):
    script.call = raising(*[KeyError("customer")] * 3)
    job = enqueue("test.script")
    drain(until=timezone.now() + timedelta(minutes=1))
    assert state(job.id) == ("failed", "exhausted")
    row = Job.objects.get(pk=job.id)
    assert row.error.startswith("KeyError")
    assert row.error_code == "KeyError"
    stories = list(JobAttempt.objects.filter(job=row).values_list("traceback", flat=True))
    assert len(stories) == 3
    assert all("Traceback" in story and "raise left.pop(0)" in story for story in stories)


def test_an_error_that_the_task_expects_needs_no_traceback(script):
    script.call = raising(ConnectionResetError("by peer"))
    job = enqueue("test.patient")
    drain()
    assert state(job.id) == ("retry", "")
    assert JobAttempt.objects.values_list("traceback", flat=True).get() == ""


def test_a_permanent_error_fails_at_once(script):
    script.call = raising(PermanentError("blocked by the person", code="blocked"))
    job = enqueue("test.script")
    drain(until=timezone.now() + timedelta(hours=1))
    assert Job.objects.values_list("status", "failure_reason", "error_code", "attempts").get(pk=job.id) == (
        "failed", "permanent", "blocked", 1
    )  # fmt: skip
    assert script.buried == [(job.id, "permanent")]


def test_postponing_costs_no_attempt_and_leaves_no_story(script):
    script.call = raising(*[Postpone(30, "limit")] * 20)
    job = enqueue("test.script")
    for _ in range(20):
        drain()
        assert 29 < seconds_until_due(job.id) <= 30
        Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))
    drain()
    assert Job.objects.values_list("status", "attempts").get(pk=job.id) == ("completed", 1)
    assert not JobAttempt.objects.exists()


def test_read_may_end_a_job_and_leave_another(script):
    first, second, third, fourth = (JobFactory() for _ in range(4))
    script.read = lambda jobs: {
        job.id: ending
        for job, ending in zip(
            jobs, [Complete(), Fail("gone", "gone"), Retry(5, "later"), {"item": 4}], strict=True
        )
    }
    run(claim())
    assert [state(job) for job in (first, second, third, fourth)] == [
        ("completed", ""), ("failed", "permanent"), ("retry", ""), ("completed", "")
    ]  # fmt: skip
    assert script.called == [{"item": 4}]
    assert script.groups == [[fourth.pk]]  # nothing to write for one that read() completed
    assert script.buried == [(second.pk, "permanent")]


def test_a_job_that_read_forgets_is_a_dead_letter_and_not_lost(script):
    job = JobFactory()
    script.read = lambda jobs: {}
    run(claim())
    assert Job.objects.values_list("status", "error_code").get(pk=job.pk) == ("failed", "left_out")


def test_one_bad_job_does_not_take_the_others_reading_down(script):
    good, bad, other = (JobFactory(payload={"n": n}) for n in range(3))

    def read(jobs):
        return {job.id: 10 // (1 - job.data["n"]) for job in jobs}

    script.read = read
    run(claim())
    assert [state(job)[0] for job in (good, bad, other)] == ["completed", "retry", "completed"]
    assert "ZeroDivisionError" in Job.objects.get(pk=bad.pk).error


# --- too old -----------------------------------------------------------------------------------------


def test_too_old_at_the_claim_is_not_called(script):
    job = JobFactory(expires_at=timezone.now() - timedelta(seconds=1))
    run(claim())
    assert state(job) == ("failed", "expired")
    assert script.called == []
    assert script.buried == [(job.pk, "expired")]
    assert Job.objects.get(pk=job.pk).attempts == 0


@pytest.mark.parametrize("error", [TransientError("away", retry_after=60), Postpone(60)])
def test_a_retry_that_would_come_too_late_is_the_end(script, error):
    script.call = raising(error)
    job = enqueue("test.script", expires_in=30)
    drain()
    assert state(job.id) == ("failed", "expired")
    assert script.buried == [(job.id, "expired")]


def test_a_retry_in_time_is_left_alone():
    job = claim_of(JobFactory(expires_at=timezone.now() + timedelta(seconds=60)))
    assert isinstance(in_time(job, Retry(30)), Retry)
    assert isinstance(in_time(job, Postponed(30)), Postponed)
    assert in_time(job, Retry(61)).reason == "expired"
    assert isinstance(in_time(claim_of(JobFactory()), Postponed(10**6)), Postponed)


def claim_of(row):
    return next(job for job in claim() if job.id == row.pk)


def test_the_sweeper_buries_what_is_too_old_parked_or_waiting_and_wakes_the_lane(script):
    past = timezone.now() - timedelta(seconds=1)
    head = JobFactory(lane="a", status="retry", run_at=timezone.now() + timedelta(minutes=5), expires_at=past)
    parked = JobFactory(lane="a", run_at=PARKED, expires_at=past)
    heir = JobFactory(lane="a", run_at=PARKED)
    young = JobFactory(expires_at=timezone.now() + timedelta(minutes=1))
    crew = StubCrew()
    Sweeper(crew)._bury_expired()
    assert [state(job) for job in (head, parked)] == [("failed", "expired")] * 2
    assert sorted(script.buried) == [(head.pk, "expired"), (parked.pk, "expired")]
    assert state(young) == ("pending", "")
    assert seconds_until_due(heir) <= 0
    assert crew.woken == {"test.script"}


def test_the_age_counts_from_the_first_moment_it_was_due(script):
    script.call = raising(*[Postpone(20)] * 9)
    job = enqueue("test.script", delay=100, expires_in=50)
    row = Job.objects.get(pk=job.id)
    assert (row.expires_at - row.due_at).total_seconds() == pytest.approx(50, abs=0.01)
    assert (row.due_at - row.created_at).total_seconds() == pytest.approx(100, abs=0.5)
    drain(until=timezone.now() + timedelta(seconds=101))
    after = Job.objects.get(pk=job.id)
    assert (after.due_at, after.expires_at) == (row.due_at, row.expires_at)


def test_a_job_without_a_limit_of_tries_ends_by_its_age(script):
    script.call = raising(*[TransientError("away")] * 100)
    job = enqueue("test.patient", expires_in=60)
    for _ in range(8):
        drain()
        Job.objects.filter(status="retry").update(run_at=timezone.now() - timedelta(seconds=1))
    assert Job.objects.get(pk=job.id).attempts == 8
    Job.objects.update(expires_at=timezone.now() + timedelta(seconds=1))
    drain()
    assert state(job.id) == ("failed", "expired")


def test_an_async_call_is_cut_off_when_its_job_gets_too_old(script):
    async def never(item):
        await asyncio.Event().wait()

    script.call = never
    job = enqueue("test.script_async", expires_in=0.2)
    drain()
    assert state(job.id) == ("failed", "expired")
    assert "no answer within" in Job.objects.get(pk=job.id).error


def test_words_and_codes_are_cut_to_their_columns(script):
    task, job = get_task("test.script"), claim_of(JobFactory())
    ending = from_exception(task, job, TransientError("x" * 10_000, code="y" * 500))
    assert (len(ending.error), len(ending.code)) == (2000, 64)
