"""What tasks, libraries and databases do that nobody asked for: no place leaks, nothing runs in a circle, no secret
is kept, and nobody is blamed who has finished."""

import asyncio
import time
from contextlib import suppress

import pytest
from django.db import InterfaceError, OperationalError, transaction

from apps.jobs import leases, ledger
from apps.jobs.crew import Crew
from apps.jobs.enqueueing import enqueue
from apps.jobs.flight import Flight
from apps.jobs.life import Complete, Outcome
from apps.jobs.line import SYNC_CALLS, Line
from apps.jobs.models import Job, JobAttempt, JobCounter
from apps.jobs.sweeper import Sweeper
from apps.jobs.task import get_task
from apps.jobs.watchman import Watchman
from tests.factories.jobs import JobFactory, WorkerFactory, state
from tests.jobs.running import claim, run
from tests.jobs.scripts import raising
from tests.jobs.test_handover import Taker
from tests.jobs.test_taking_back import StubCrew, ended, running

pytestmark = pytest.mark.django_db
TOKEN = "123456789:" + "A" * 35


@pytest.fixture
def idle_crew():
    """A crew whose threads have not begun."""
    crew = Crew(["maintenance"])
    crew.worker_id = WorkerFactory().pk
    yield crew
    crew.loop.close()


def test_a_call_claimed_under_a_former_name_is_not_begun(script):
    """Its worker was declared gone meanwhile: whoever takes the job back would call it a second time."""
    script.repeatable = lambda item: False
    before, now = ended("lease"), WorkerFactory()
    job = JobFactory()
    jobs = claim(worker=before.pk)
    assert ledger.mark_sending(jobs, worker=now.pk) == set()
    assert Job.objects.get(pk=job.pk).sending_at is None


@pytest.mark.parametrize("broken", [False, True])
def test_no_secret_is_kept_of_a_send_that_was_cut_off(script, broken):
    script.repeatable = lambda item: False
    script.call = raising(ConnectionError(f"POST https://api.telegram.org/bot{TOKEN}/sendMessage"))
    if broken:
        script.dead = raising(ValueError(f"bot{TOKEN}"))
    worker = WorkerFactory()
    job = JobFactory()
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(job) == ("failed", "unknown")
    assert TOKEN not in Job.objects.get(pk=job.pk).error
    assert TOKEN not in JobAttempt.objects.get().error


@pytest.mark.parametrize("task", ["test.script", "test.script_async"])
@pytest.mark.parametrize("error", [SystemExit(), asyncio.CancelledError()])
def test_a_library_that_ends_more_than_the_call_costs_an_attempt(script, task, error):
    script.call = raising(error)
    job = JobFactory(task=task)
    run(claim(task), task=task)
    assert Job.objects.values_list("status", "attempts", "error_code").get(pk=job.pk) == (
        "retry",
        1,
        type(error).__name__,
    )


def test_a_may_repeat_that_raises_does_not_stop_the_sweep(script, monkeypatch):
    worker = ended("dead")
    running(worker, sending_at="2026-01-01T00:00Z"), (other := running(worker))

    def may_repeat(self, jobs):
        raise KeyError("a bug of the task")

    monkeypatch.setattr(type(get_task("test.script")), "may_repeat", may_repeat)
    Sweeper(StubCrew())._take_back()
    assert state(other)[0] == "retry"
    assert Job.objects.filter(status="failed", failure_reason="unknown").count() == 1


def test_what_a_write_took_back_is_not_handed_over(script):
    """A savepoint that was rolled back took the row along; its call must not go out."""
    taker = Taker(test__writes_only=2)

    def write(done):
        with suppress(RuntimeError), transaction.atomic():
            enqueue("test.writes_only", {"n": 1})
            raise RuntimeError("not this one")
        enqueue("test.writes_only", {"n": 2})

    JobFactory()
    script.write = write
    handed = run(claim(worker=taker.worker_id), worker=taker.worker_id, taker=taker).handed
    assert [job.payload for job in handed] == [{"n": 2}]
    assert taker.places == {"test.writes_only": 1}


@pytest.mark.django_db(transaction=True)
def test_what_fails_after_the_commit_does_not_undo_the_handing_over(script):
    taker = Taker(test__writes_only=1)

    def write(done):
        enqueue("test.writes_only", {"n": 1})
        transaction.on_commit(raising(RuntimeError("a page could not be told")))

    job = JobFactory()
    script.write = write
    handed = run(claim(worker=taker.worker_id), worker=taker.worker_id, taker=taker).handed
    assert state(job)[0] == "completed"
    assert len(handed) == 1
    assert taker.places == {"test.writes_only": 0}


def test_a_mishap_between_claim_and_call_frees_the_places(idle_crew, monkeypatch):
    monkeypatch.setattr("apps.jobs.line.connection.close", lambda: None)
    line: Line = idle_crew.lines["test.script"]
    JobFactory()
    line.reserve()
    monkeypatch.setattr(line, "_mark", raising(RuntimeError("a bug")))
    line.admit(claim(worker=idle_crew.worker_id))
    assert (line.in_flight, line.host.held, line.flights) == (0, 0, {})


def test_a_call_that_has_ended_has_not_overrun(idle_crew, script, monkeypatch):
    """The database is away, so its outcome waits: no reason to end the worker, and nobody to blame."""
    monkeypatch.setattr(idle_crew, "on_ledger", lambda work, *args: None)
    line: Line = idle_crew.lines["test.script"]
    JobFactory()
    line.reserve()
    [job] = claim(worker=idle_crew.worker_id)
    line.flights[job.key] = Flight(job, line, begun=time.monotonic() - 99)
    watchman = Watchman(idle_crew)
    assert watchman._overrun(time.monotonic()) == [job]
    line.finish([Outcome(job, None, Complete())])
    assert watchman._overrun(time.monotonic()) == []


def test_a_sync_call_never_waits_for_a_thread(idle_crew):
    """Its lease would run while it waits, and it would be blamed."""
    sync = [line for line in idle_crew.lines.values() if line.task.call and not line.task.is_async]
    assert sync
    assert all(line.places <= SYNC_CALLS for line in sync)
    assert idle_crew._calls._max_workers >= sum(line.places for line in sync)


@pytest.mark.parametrize("error", [InterfaceError("closed"), OperationalError("away"), RuntimeError("a bug")])
def test_nothing_ends_the_heartbeat(idle_crew, monkeypatch, error):
    beats = []

    def heartbeat(worker, lease):
        beats.append(worker)
        if len(beats) == 1:
            raise error
        idle_crew.stopped.set()
        return True

    monkeypatch.setattr(leases, "HEARTBEAT", 0.001)
    monkeypatch.setattr(ledger, "heartbeat", heartbeat)
    monkeypatch.setattr("apps.jobs.crew.connection.close", lambda: None)
    idle_crew._heartbeat()
    assert len(beats) == 2


def test_a_stopped_worker_keeps_the_lease_of_sends_that_go_on(idle_crew, monkeypatch):
    beats = []
    line: Line = idle_crew.lines["test.script"]
    JobFactory()
    [job] = claim(worker=idle_crew.worker_id)
    line.flights[job.key] = Flight(job, line, marked=True)

    def heartbeat(worker, lease):
        beats.append(worker)
        if len(beats) == 2:
            line.flights.clear()
        return True

    monkeypatch.setattr(leases, "HEARTBEAT", 0.001)
    monkeypatch.setattr(ledger, "heartbeat", heartbeat)
    idle_crew.stopped.set()
    idle_crew._heartbeat()
    assert len(beats) == 2


def test_two_runs_of_one_job_that_end_in_one_group_have_one_effect(script):
    """A worker that was frozen wakes up, claims again what was taken back from it, and both runs end together."""
    script.write = lambda done: [JobFactory(task="test.effect") for _ in done]
    worker = WorkerFactory()
    job = JobFactory()
    old = claim(worker=worker.pk)
    ledger.hand_back(old)
    new = claim(worker=worker.pk)
    run([*old, *new])
    assert Job.objects.filter(task="test.effect").count() == 1
    assert Job.objects.values_list("status", "fence").get(pk=job.pk) == ("completed", 2)
    assert JobCounter.objects.get(task=job.task).completed == 1
