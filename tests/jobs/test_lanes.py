"""Lanes: one at a time, in the order of acceptance, and never stuck."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import ledger
from apps.jobs.drain import drain
from apps.jobs.enqueueing import NewJob, enqueue, enqueue_many
from apps.jobs.models import PARKED, Job
from apps.reliability.errors import PermanentError, TransientError
from tests.factories.jobs import JobFactory, make_due, seconds_until_due, state
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db


def ids(jobs):
    return [job.id for job in jobs]


def lane_of(count, lane="a"):
    return [
        made.id for made in enqueue_many([NewJob("test.script", {"n": n}, lane=lane) for n in range(count)])
    ]


def test_only_the_head_of_a_lane_is_claimed_and_the_rest_is_parked():
    head, *rest = lane_of(4)
    free = enqueue("test.script").id
    assert ids(claim()) == [head, free]
    assert set(Job.objects.filter(pk__in=rest).values_list("run_at", flat=True)) == {PARKED}
    assert all(job.is_parked for job in Job.objects.filter(pk__in=rest))
    assert claim() == []


def test_each_end_lets_the_next_one_go_in_order(script):
    made = lane_of(5)
    order = []
    while jobs := claim():
        order += ids(jobs)
        run(jobs)
    assert order == made


def test_lanes_do_not_hold_each_other():
    first, second = lane_of(3, "a"), lane_of(3, "b")
    assert ids(claim()) == [first[0], second[0]]


def test_a_lane_holds_across_tasks():
    head = enqueue("test.script", lane="a").id
    behind = enqueue("test.writes_only", lane="a").id
    assert claim("test.writes_only") == []
    assert Job.objects.get(pk=behind).is_parked
    assert ids(claim()) == [head]


def test_a_head_that_retries_holds_its_lane(script):
    def call(item):
        raise TransientError("away", retry_after=50)

    script.call = call
    head, behind = lane_of(2)
    run(claim())
    assert state(head) == ("retry", "")
    assert claim() == []
    assert Job.objects.get(pk=behind).is_parked
    assert seconds_until_due(head) >= 49  # promoting did not cut its backoff short
    ledger.promote(["a"])
    assert seconds_until_due(head) >= 49
    script.call = lambda item: {}
    make_due()
    drain()
    assert [job_id for job_id, _ in script.written] == [head, behind]


def test_a_dead_head_lets_the_lane_go_on(script):
    def call(item):
        if item["n"] == 0:
            raise PermanentError("blocked")

    script.call = call
    head, behind = lane_of(2)
    drain()
    assert state(head) == ("failed", "permanent")
    assert state(behind) == ("completed", "")


def test_finishing_returns_the_lanes_to_promote_and_nothing_else(script):
    lane_of(1, "a")
    enqueue("test.script")
    assert run(claim()).lanes == {"a"}


def test_promoting_says_which_tasks_to_wake():
    enqueue("test.script", lane="a")
    enqueue("test.writes_only", lane="a")
    [head] = claim()
    claim("test.writes_only")
    ledger.complete([head])
    assert ledger.promote(["a", "nobody's"]) == {"test.writes_only"}
    assert ledger.promote([]) == set()


def test_a_parked_job_whose_promoter_was_killed_is_found():
    head, behind = lane_of(2)
    [running] = claim()
    assert running.id == head
    other_lane_busy = JobFactory(lane="b", run_at=PARKED)
    JobFactory(lane="b", status="processing")
    ledger.complete([running])  # and no promotion: killed in between
    assert ledger.promote_orphans() == {"test.script"}
    assert seconds_until_due(behind) <= 0
    assert Job.objects.get(pk=other_lane_busy.pk).is_parked


@pytest.mark.parametrize(
    "when", [{"delay": 5}, {"run_at": timezone.now() + timedelta(hours=1)}], ids=["delay", "run_at"]
)
def test_a_job_with_a_lane_cannot_be_scheduled(when):
    with pytest.raises(
        ValueError, match="schedule a job without a lane that enqueues this one when it is due"
    ):
        enqueue("test.script", lane="a", **when)


def test_a_drain_keeps_the_order_of_a_lane(script):
    made = lane_of(6)
    assert drain() == 6
    assert [job_id for job_id, _ in script.written] == made


def test_a_debounced_job_may_have_a_lane(script):
    job = enqueue("test.script", lane="a", dedupe_key="k", debounce=10)
    assert drain() == 0
    drain(until=timezone.now() + timedelta(seconds=11))
    assert state(job.id) == ("completed", "")
