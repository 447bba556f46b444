"""The finishing transaction: outcomes, effects and next jobs together, and what happens when one can't be written."""

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from apps.jobs import ledger
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.life import DatabaseAway, Ready, mark
from apps.jobs.models import Job
from apps.jobs.taking_back import take_back_abandoned
from apps.reliability.errors import PermanentError, TransientError
from tests.factories.jobs import JobFactory, WorkerFactory, make_due, state
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db


def make_effects(done):
    for one in done:
        JobFactory(task="test.effect", payload={"of": one.job.id}, run_at=timezone.now())


def effects():
    return [
        row["of"]
        for row in Job.objects.filter(task="test.effect").order_by("pk").values_list("payload", flat=True)
    ]


def test_those_that_end_together_are_written_together(script):
    jobs = [JobFactory() for _ in range(5)]
    run(claim())
    assert script.groups == [[job.pk for job in jobs]]


def test_of_two_claims_of_one_job_only_the_later_is_marked():
    """A worker that was held for longer than its lease may claim its own job again."""
    worker = WorkerFactory()
    JobFactory()
    [old] = claim(worker=worker.pk)
    ledger.hand_back([old])
    [new] = claim(worker=worker.pk)
    ready = mark([Ready(one, {}, marked=True) for one in (old, new)], worker=worker.pk)
    assert [one.job.fence for one in ready] == [new.fence]


def test_one_that_cannot_be_written_is_alone_with_it_and_its_call_is_not_repeated(script):
    good, bad, other = (JobFactory(payload={"n": n}) for n in range(3))
    script.call = lambda item: {"answer": item["n"]}
    broken = [True]

    def write(done):
        if broken and any(one.job.id == bad.pk for one in done):
            raise RuntimeError("no such column")
        make_effects(done)

    script.write = write
    run(claim())
    assert script.groups == [[good.pk, bad.pk, other.pk], [good.pk], [bad.pk], [other.pk]]
    assert [state(job)[0] for job in (good, bad, other)] == ["completed", "retry", "completed"]
    assert effects() == [good.pk, other.pk]
    assert Job.objects.get(pk=bad.pk).result == {"value": {"answer": 1}}
    assert Job.objects.get(pk=bad.pk).attempts == 1

    broken.clear()
    make_due()
    run(claim())
    assert state(bad) == ("completed", "")
    assert len(script.called) == 3  # each was called once
    assert script.written[-1] == (bad.pk, {"answer": 1})


def test_a_result_that_is_nothing_is_kept_as_well(script):
    job = JobFactory()
    script.call = lambda item: None
    script.write = lambda done: 1 / 0
    run(claim())
    script.write = lambda done: None
    make_due()
    run(claim())
    assert state(job) == ("completed", "")
    assert len(script.called) == 1


def test_a_kept_result_outlives_a_second_failure_and_a_crash(script):
    worker = WorkerFactory()
    job = JobFactory(max_retries=9)
    script.write = lambda done: 1 / 0
    for _ in range(2):
        run(claim(worker=worker.pk), worker=worker.pk)
        make_due()
    claim(worker=worker.pk)
    ledger.end_worker(worker.pk, how="dead")
    take_back_abandoned(me=0)
    script.write = lambda done: None
    run(claim())
    assert state(job) == ("completed", "")
    assert len(script.called) == 1


def test_a_write_that_never_works_ends_as_a_dead_letter(script):
    job = JobFactory()
    script.write = lambda done: 1 / 0
    for _ in range(3):
        run(claim())
        make_due()
    assert state(job) == ("failed", "exhausted")
    assert script.buried == [(job.pk, "exhausted")]
    assert len(script.called) == 1
    assert "ZeroDivisionError" in Job.objects.get(pk=job.pk).failed_attempts.last().traceback


def test_a_write_that_says_never_fails_at_once(script):
    def write(done):
        raise PermanentError("the conversation is gone", code="gone")

    script.write = write
    job = JobFactory()
    run(claim())
    assert Job.objects.values_list("failure_reason", "error_code").get(pk=job.pk) == ("permanent", "gone")


def test_a_collision_is_tried_again_as_a_group(script):
    failures = [IntegrityError("somebody was quicker")]

    def write(done):
        if failures:
            raise failures.pop()

    script.write = write
    jobs = [JobFactory().pk for _ in range(3)]
    run(claim())
    assert script.groups == [jobs, jobs]
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_a_deadlock_repeats_the_group(script):
    class Deadlock(Exception):
        sqlstate = "40P01"

    failures = [1]

    def write(done):
        if failures:
            failures.clear()
            raise OperationalError("deadlock detected") from Deadlock()

    script.write = write
    jobs = [JobFactory().pk for _ in range(3)]
    run(claim())
    assert script.groups == [jobs, jobs]


def test_when_the_database_is_away_nobody_is_blamed(script):
    script.write = lambda done: (_ for _ in ()).throw(OperationalError("server closed the connection"))
    job = JobFactory()
    with pytest.raises(DatabaseAway):
        run(claim())
    assert Job.objects.values_list("status", "attempts").get(pk=job.pk) == ("processing", 0)


def test_dead_that_raises_leaves_a_dead_letter_that_says_so(script):
    def dead(jobs, reason):
        raise LookupError("no message")

    script.dead = dead
    script.call = lambda item: (_ for _ in ()).throw(PermanentError("blocked", code="blocked"))
    job, other = JobFactory(lane="a"), JobFactory()
    run(claim())
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.failure_reason, row.error_code) == ("failed", "permanent", "blocked")
    assert "blocked" in row.error
    assert "dead() failed: LookupError" in row.error
    assert state(other) == ("failed", "permanent")


def test_one_whose_dead_raises_does_not_take_the_others_effects(script):
    good, bad = JobFactory(payload={"n": 1}), JobFactory(payload={"n": 2})

    def call(item):
        if item["n"] == 2:
            raise PermanentError("blocked")
        return {}

    script.call, script.write, script.dead = call, make_effects, lambda jobs, reason: 1 / 0
    run(claim())
    assert effects() == [good.pk]
    assert [state(job)[0] for job in (good, bad)] == ["completed", "failed"]


def test_effects_of_a_job_that_is_somebody_elses_by_now_are_left_out(script):
    mine, lost = JobFactory(), JobFactory()
    jobs = claim()
    Job.objects.filter(pk=lost.pk).update(fence=2)
    script.write = make_effects
    run(jobs)
    assert effects() == [mine.pk]
    assert Job.objects.values_list("status", "fence").get(pk=lost.pk) == ("processing", 2)


def test_neither_does_it_die_for_somebody_else(script):
    lost = JobFactory()
    jobs = claim()
    Job.objects.filter(pk=lost.pk).update(fence=2)
    script.call = lambda item: (_ for _ in ()).throw(PermanentError("blocked"))
    run(jobs)
    assert script.buried == []
    assert not lost.failed_attempts.exists()
    assert state(lost) == ("processing", "")


def test_effects_and_next_jobs_vanish_with_an_outcome_that_is_not_committed(script):
    job = JobFactory()

    def write(done):
        enqueue("test.writes_only", {"next": True})
        make_effects(done)
        raise TransientError("something else was locked")

    script.write = write
    run(claim())
    assert state(job) == ("retry", "")
    assert effects() == []
    assert not Job.objects.filter(task="test.writes_only").exists()


def test_a_task_without_a_call_only_writes(script):
    job = enqueue("test.writes_only", {"n": 1})
    assert drain() == 1
    assert script.written == [(job.id, None)]


def test_drain_runs_what_its_jobs_enqueue_in_order(script):
    script.write = lambda done: [
        enqueue("test.writes_only", {}) for one in done if one.job.task == "test.script"
    ]
    first, second = enqueue("test.script", {}), enqueue("test.script", {})
    assert drain() == 4
    assert [job_id for job_id, _ in script.written][:2] == [first.id, second.id]
    assert drain() == 0


@pytest.mark.parametrize("task", ["test.letter", "test.script"])
def test_a_result_is_kept_where_the_task_asks_for_it(script, task):
    script.call = lambda item: {"id": "77"}
    payload = {"recipient": 1, "password": "p"} if task == "test.letter" else {}
    job = enqueue(task, payload)
    drain()
    assert Job.objects.get(pk=job.id).result == ({"id": "77"} if task == "test.letter" else None)
