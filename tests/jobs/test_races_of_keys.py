"""Two connections, step by step: dedupe keys, fences, leases. Each test fails without its guard."""

import threading

import pytest
from django.db import connection, transaction

from apps.jobs import bell, ledger
from apps.jobs.drain import run_one
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job, Worker
from apps.jobs.taking_back import take_back_abandoned
from tests.factories.jobs import JobFactory, WorkerFactory, claimed, state
from tests.waiting import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def claim(places=10):
    jobs, _ = ledger.claim("test.script", places=places, worker=1)
    return [job.id for job in jobs]


@pytest.fixture
def rung(monkeypatch):
    bells = []
    monkeypatch.setattr(bell, "ring_all", lambda names: bells.extend(names))
    return bells


def test_a_change_with_a_key_that_waits_is_seen_by_the_run_it_found(second, rung):
    """The claim passes over a row that an enqueuer has just found; so the run reads what the enqueuer wrote."""
    waiting = enqueue("test.script", {}, dedupe_key="k")
    rung.clear()
    second.begin()
    second.do(JobFactory, task="test.other")  # the change
    found = second.do(enqueue, "test.script", {}, dedupe_key="k")
    assert found.id == waiting.id
    assert claim() == []
    assert rung == []
    second.commit()
    assert rung == [("test.script", "maintenance")]  # the claim that passed over it must come again
    assert claim() == [waiting.id]
    assert Job.objects.filter(task="test.other").exists()


def test_a_key_whose_job_is_being_claimed_makes_a_new_job(second, third, rung):
    begun = enqueue("test.script", {}, dedupe_key="k")
    second.begin()
    assert second.do(claim) == [begun.id]
    enqueueing = third.start(enqueue, "test.script", {}, dedupe_key="k")
    third.waits()
    second.commit()
    made = enqueueing.result(10)
    assert made.id != begun.id
    assert state(made.id) == ("pending", "")
    assert claim() == [made.id]


def test_a_running_job_whose_key_waits_again_can_fail_and_be_taken_back(rung, script):
    """Over waiting jobs the key's index would stop the sweep for ever."""
    worker = WorkerFactory()
    first = enqueue("test.script", {}, dedupe_key="k")
    [running], _ = ledger.claim("test.script", places=1, worker=worker.pk)
    again = enqueue("test.script", {}, dedupe_key="k")
    assert again.id != first.id
    assert ledger.put_back(running, delay=0, spent=1)
    assert ledger.claim_one(first.id, worker=worker.pk)
    ledger.end_worker(worker.pk, how="dead")
    assert take_back_abandoned(me=0) == (1, set())
    assert state(first.id) == ("retry", "")
    assert sorted(claim()) == [first.id, again.id]


def test_who_lost_the_claim_writes_nothing(second, script):
    """A worker that was stopped for longer than its lease wakes up in the middle of its finishing."""
    gone, heir = WorkerFactory(), WorkerFactory()
    job = JobFactory()
    called, go_on = threading.Event(), threading.Event()

    def slow_call(item):
        called.set()
        assert go_on.wait(20)
        return {"from": "the zombie"}

    script.call = slow_call
    script.write = lambda done: JobFactory(task="test.effect")
    zombie = second.start(run_one, job.pk, worker=gone.pk)
    assert called.wait(20)
    ledger.end_worker(gone.pk, how="lease")
    take_back_abandoned(me=heir.pk)
    [mine] = claimed(job, worker=heir.pk)
    go_on.set()
    zombie.result(20)
    assert not Job.objects.filter(task="test.effect").exists()
    assert Job.objects.values_list("status", "fence", "worker_id").get(pk=job.pk) == (
        "processing",
        2,
        heir.pk,
    )
    assert ledger.complete([mine]) == {mine.key}


@pytest.mark.parametrize("move", ["complete", "put_back", "fail", "hand_back", "mark_sending"])
def test_no_move_under_an_old_fence(move):
    worker = WorkerFactory()
    job = JobFactory()
    [old] = claimed(job, worker=worker.pk)
    ledger.hand_back([old])
    claimed(job, worker=worker.pk)
    before = Job.objects.filter(pk=job.pk).values().get()
    moves = {
        "complete": lambda: ledger.complete([old]),
        "put_back": lambda: ledger.put_back(old, delay=0, spent=1),
        "fail": lambda: ledger.fail(old, reason="permanent", spent=1, error="x", code="x"),
        "hand_back": lambda: ledger.hand_back([old]),
        "mark_sending": lambda: ledger.mark_sending([old], worker=worker.pk),
    }
    assert not moves[move]()
    ledger.keep_result(old, {"from": "the zombie"})
    assert Job.objects.filter(pk=job.pk).values().get() == before


def test_a_send_does_not_begin_under_a_lease_that_is_over():
    worker = WorkerFactory()
    job = JobFactory()
    [mine] = claimed(job, worker=worker.pk)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_worker SET lease_until = now() - interval '1 second'")
    assert ledger.mark_sending([mine], worker=worker.pk) == set()
    assert ledger.heartbeat(worker.pk, lease=12)
    assert ledger.mark_sending([mine], worker=worker.pk) == {mine.key}


def test_neither_heartbeat_nor_sweep_waits_for_a_group_that_is_being_finished(second):
    """The lease is on the worker's row, the outcome on the jobs': nothing to wait for, so nothing to deadlock."""
    worker = WorkerFactory()
    jobs = claimed(JobFactory(), JobFactory(), worker=worker.pk)
    second.begin()
    second.do(ledger.complete, jobs)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        assert ledger.heartbeat(worker.pk, lease=12)
        ledger.end_worker(worker.pk, how="lease")
        assert ledger.abandoned() == []  # passes over what is locked
    second.commit()
    assert Job.objects.filter(status="completed").count() == 2
    assert Worker.objects.get().ended_how == "lease"


def test_two_sweepers_take_back_each_job_once(second):
    worker = WorkerFactory()
    jobs = [JobFactory() for _ in range(3)]
    claimed(*jobs, worker=worker.pk)
    ledger.end_worker(worker.pk, how="dead")
    second.begin()
    assert second.do(take_back_abandoned, me=1)[0] == 3
    assert take_back_abandoned(me=2) == (0, set())
    second.commit()
    assert take_back_abandoned(me=2) == (0, set())
    assert set(Job.objects.values_list("status", "crashes", "attempts")) == {("retry", 1, 0)}


def test_two_finishers_of_one_task_count_without_losing_one(second, script):
    """Each worker counts in a row of its own; two groups of one worker meet in one row and add up."""
    rows = [[1, "test.script", 0, 1, 0, 0, 0, 10, 10, 5, 5]]
    second.begin()
    second.do(ledger.count, rows)
    done = threading.Event()

    def count():
        ledger.count(rows)
        connection.close()
        done.set()

    thread = threading.Thread(target=count)
    thread.start()
    second.commit()
    wait_until(done.is_set, 10, "the second count")
    thread.join()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(completed), max(run_ms_max), sum(run_ms) FROM jobs_jobcounter")
        assert cursor.fetchone() == (2, 10, 20)
