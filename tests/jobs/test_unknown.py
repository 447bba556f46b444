"""A call that was cut off after it may have arrived: the owner's choice decides."""

import pytest

from apps.jobs.models import Job
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
