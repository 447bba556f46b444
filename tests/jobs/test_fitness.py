"""What does not fit ends on its own: malformed payloads, a bug in the task's own words about an item."""

import pytest

from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.payloads import MASK, PayloadError
from apps.jobs.task import get_task
from apps.reliability import encryption
from tests.factories.jobs import JobFactory, WorkerFactory, state
from tests.jobs.running import claim, run
from tests.jobs.scripts import Letter

pytestmark = pytest.mark.django_db
SECRET = "swordfish-0815"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"recipient": "nobody", "password": "p"},
        {"recipient": 1, "password": "p", "words": "not a list"},
        {"recipient": 1, "password": None},
        [1, 2],
        "text",
    ],
    ids=["empty", "text for a number", "text for a list", "null", "a list", "a text"],
)
def test_a_payload_that_does_not_fit_is_refused_when_it_is_made(payload):
    with pytest.raises(PayloadError, match=r"test\.letter"):
        enqueue("test.letter", payload)
    assert not Job.objects.exists()


def test_the_refusal_says_which_field_and_never_the_value():
    with pytest.raises(PayloadError) as refusal:
        enqueue("test.letter", {"recipient": SECRET, "password": SECRET})
    assert "recipient" in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_a_task_without_a_type_takes_any_object_and_nothing_else():
    assert enqueue("test.script", {"any": ["thing"]})
    with pytest.raises(PayloadError, match="JSON object"):
        enqueue("test.script", [1])


@pytest.mark.parametrize(
    "payload",
    [{}, {"recipient": "x"}, [], "text", {"recipient": 1, "password": 7}, {"recipient": 1, "password": "no cipher"},
     {"recipient": 1, "password": None}],
    ids=["empty", "incomplete", "list", "text", "number for a cipher", "not encrypted", "null"],
)  # fmt: skip
def test_a_row_that_does_not_fit_fails_as_malformed_and_its_neighbours_run(script, payload):
    """As after a deployment that changed a payload's type."""
    bad = JobFactory(task="test.letter", payload=payload, max_retries=0)
    good = enqueue("test.letter", {"recipient": 1, "password": "p"})
    run(claim("test.letter"), task="test.letter")
    assert Job.objects.values_list("status", "failure_reason", "error_code").get(pk=bad.pk) == (
        "failed", "permanent", "malformed"
    )  # fmt: skip
    assert state(good.id) == ("completed", "")


def test_a_secret_is_encrypted_in_the_row_readable_for_the_task_and_masked_for_people(script):
    job = enqueue("test.letter", Letter(7, SECRET, ["a"]))
    row = Job.objects.get(pk=job.id)
    assert SECRET not in str(row.payload)
    assert encryption.decrypt(row.payload["password"]) == SECRET
    assert get_task("test.letter").payload_type.masked(row.payload) == {
        "recipient": 7, "password": MASK, "words": ["a"]
    }  # fmt: skip
    drain()
    assert script.called == [Letter(7, SECRET, ["a"])]


def test_a_bug_in_repeatable_ends_that_job_and_no_other(script):
    good, bad = JobFactory(payload={"n": 1}), JobFactory(payload={})
    script.repeatable = lambda item: item["n"] == 1
    worker = WorkerFactory()
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(good) == ("completed", "")
    assert state(bad) == ("retry", "")
    assert "KeyError" in Job.objects.get(pk=bad.pk).error


def test_a_bug_in_may_repeat_still_says_that_it_may_have_arrived(script, monkeypatch):
    from apps.reliability.errors import OutcomeUnknown

    def call(item):
        raise OutcomeUnknown("cut off")

    script.call = call
    script.repeatable = lambda item: False
    monkeypatch.setattr(type(get_task("test.script")), "may_repeat", lambda self, jobs: 1 / 0)
    worker = WorkerFactory()
    job = JobFactory()
    run(claim(worker=worker.pk), worker=worker.pk)
    assert state(job) == ("failed", "unknown")
