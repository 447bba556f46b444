"""A call that was cut off after it may have arrived: the owner's choice decides."""

import time

import pytest

from apps.jobs import desk, ledger, life
from apps.jobs.models import Job
from apps.jobs.settling import settle
from apps.jobs.taking_back import take_back_abandoned
from apps.jobs.task import get_task
from apps.reliability.errors import OutcomeUnknown, TransientError
from tests.factories.jobs import JobFactory, WorkerFactory, state
from tests.jobs.running import claim, run
from tests.jobs.scripts import raising

pytestmark = pytest.mark.django_db


@pytest.fixture
def unrepeatable(script):
    script.repeatable = lambda item: False
    return script


@pytest.mark.parametrize("error", [OutcomeUnknown("cut off"), ValueError("our bug after the call")])
def test_an_unknown_outcome_is_for_a_person_where_the_owner_wants_one(unrepeatable, error):
    unrepeatable.call = raising(error)
    worker = WorkerFactory()
    job = JobFactory()
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(job) == ("failed", "unknown")
    assert Job.objects.get(pk=job.pk).error.startswith("may have arrived")
    assert unrepeatable.buried == [(job.pk, "unknown")]


def test_an_unknown_outcome_is_sent_again_where_the_owner_wants_that_while_tries_are_left(unrepeatable):
    unrepeatable.send_again = True
    unrepeatable.call = raising(*[OutcomeUnknown("cut off")] * 3)
    worker = WorkerFactory()
    job = JobFactory()
    for attempts in (1, 2):
        run(claim(worker=worker.pk), worker=worker.pk)
        assert Job.objects.values_list("status", "attempts").get(pk=job.pk) == ("retry", attempts)
        assert Job.objects.get(pk=job.pk).sending_at is None
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(job) == ("failed", "unknown")


def test_a_known_failure_of_an_unrepeatable_call_is_an_ordinary_one(unrepeatable):
    unrepeatable.call = raising(TransientError("refused before anything was sent"))
    worker = WorkerFactory()
    job = JobFactory()
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(job) == ("retry", "")


def test_a_call_is_marked_before_it_is_made_and_only_if_it_is_not_repeatable(unrepeatable):
    seen = []
    unrepeatable.repeatable = lambda item: item["again"]
    unrepeatable.call = lambda item: None
    worker = WorkerFactory()
    marked, free = JobFactory(payload={"again": False}), JobFactory(payload={"again": True})
    unrepeatable.write = lambda done: seen.extend(
        Job.objects.order_by("pk").values_list("sending_at", flat=True)
    )
    run(claim(worker=worker.pk), worker=worker.pk)
    assert [moment is not None for moment in seen] == [True, False]
    assert {state(marked), state(free)} == {("completed", "")}


def test_a_call_that_comes_long_after_its_mark_is_not_made(unrepeatable, monkeypatch):
    """The process was held in between: its lease may be over, and its job somebody else's."""
    worker = WorkerFactory()
    job = JobFactory()
    kind = get_task("test.script")
    ready, _ = life.begin(kind, claim(worker=worker.pk))
    [one] = life.mark(ready, worker=worker.pk)
    now = time.monotonic()
    monkeypatch.setattr(life.time, "monotonic", lambda: now + life.HELD)
    settle(kind, [life.call(kind, one)], worker=worker.pk)
    assert unrepeatable.called == []
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.attempts, row.sending_at, row.error_code) == ("retry", 0, None, "held")


# --- a late success ------------------------------------------------------------------------------------


def stale(script, job, *, send_again):
    """The call of a worker that was thought gone: its job was taken back while it was being sent. Settle to wake it."""
    script.send_again = send_again
    asleep = WorkerFactory()
    kind = get_task("test.script")
    ready, _ = life.begin(kind, claim(worker=asleep.pk))
    [one] = life.mark(ready, worker=asleep.pk)
    ledger.end_worker(asleep.pk, how="lease")
    ledger.promote(take_back_abandoned(me=0)[1])
    return lambda: settle(kind, [life.call(kind, one)], worker=asleep.pk)


def test_a_late_success_resolves_what_a_person_was_to_be_asked(unrepeatable):
    job = JobFactory()
    wake = stale(unrepeatable, job, send_again=False)
    assert state(job) == ("failed", "unknown")
    wake()
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.failure_reason, row.error, row.attempts) == ("completed", "", "", 1)
    assert unrepeatable.written == [(job.pk, {"ok": True})]
    assert row.failed_attempts.get().ending == "unknown"  # its story keeps what happened


def test_a_late_success_spares_a_second_sending(unrepeatable):
    job = JobFactory(lane="a")
    behind = JobFactory(lane="a")
    wake = stale(unrepeatable, job, send_again=True)
    assert state(job) == ("retry", "")
    settled = wake()
    assert state(job) == ("completed", "")
    ledger.promote(settled.lanes)
    assert [one.id for one in claim()] == [behind.pk]


def test_once_somebody_has_claimed_it_again_a_late_success_changes_nothing(unrepeatable):
    job = JobFactory()
    wake = stale(unrepeatable, job, send_again=True)
    [again] = claim(worker=WorkerFactory().pk)
    wake()
    assert Job.objects.values_list("status", "fence").get(pk=job.pk) == ("processing", again.fence)
    assert unrepeatable.written == []


@pytest.mark.parametrize("act", [desk.retry, desk.discard])
def test_once_a_person_has_decided_a_late_success_changes_nothing(unrepeatable, act):
    job = JobFactory()
    wake = stale(unrepeatable, job, send_again=False)
    act(job=Job.objects.get(pk=job.pk), by="me", why="asked them")
    wake()
    assert state(job) == ("failed", "unknown")
    assert unrepeatable.written == []


def test_a_late_success_does_not_revive_what_failed_for_another_reason(unrepeatable):
    job = JobFactory()
    wake = stale(unrepeatable, job, send_again=False)
    Job.objects.filter(pk=job.pk).update(failure_reason="expired")
    wake()
    assert state(job) == ("failed", "expired")
