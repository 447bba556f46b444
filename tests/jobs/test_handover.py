"""The next job handed over in place: only where it changes nothing for others."""

import pytest

from apps.jobs.enqueueing import NewJob, enqueue, enqueue_many
from apps.jobs.models import Job
from tests.factories.jobs import JobFactory, WorkerFactory
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db


class Taker:
    """A worker with so many places for each task."""

    def __init__(self, **places):
        self.worker_id = WorkerFactory().pk
        self.places = {name.replace("__", "."): count for name, count in places.items()}
        self.asked = []

    def reserve(self, task):
        self.asked.append(task)
        if not self.places.get(task):
            return False
        self.places[task] -= 1
        return True

    def give_back(self, task, places):
        self.places[task] += places


@pytest.fixture
def taker():
    return Taker(test__writes_only=2)


def after(script, make):
    """Run one job whose write makes others; what was handed over."""

    def start(taker):
        JobFactory()
        script.write = lambda done: make() if done[0].job.task == "test.script" else None
        return run(claim(worker=taker.worker_id), worker=taker.worker_id, taker=taker).handed

    return start


def test_it_is_inserted_as_claimed_by_this_worker(script, taker):
    [job] = after(script, lambda: enqueue("test.writes_only", {"n": 1}, priority=3, expires_in=50))(taker)
    row = Job.objects.get(task="test.writes_only")
    assert (row.status, row.fence, row.worker_id, row.attempts) == ("processing", 1, taker.worker_id, 0)
    assert row.started_at is not None
    assert (row.lease_until - row.started_at).total_seconds() == pytest.approx(row.time_limit + 15, abs=0.1)
    assert (job.id, job.fence, job.payload, job.priority, job.waited) == (row.pk, 1, {"n": 1}, 3, 0)
    assert 49 < job.seconds_left <= 50
    assert taker.places == {"test.writes_only": 1}


def test_it_can_be_run_to_its_end(script, taker):
    handed = after(script, lambda: enqueue("test.writes_only", {"n": 1}))(taker)
    run(handed, worker=taker.worker_id, task="test.writes_only")
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_no_more_than_there_are_places(script, taker):
    handed = after(script, lambda: enqueue_many([NewJob("test.writes_only", {"n": n}) for n in range(4)]))(
        taker
    )
    assert [job.payload["n"] for job in handed] == [0, 1]
    statuses = Job.objects.filter(task="test.writes_only").order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["processing", "processing", "pending", "pending"]


def test_a_busy_lane_is_waited_for_and_each_lane_gives_one(script, taker):
    JobFactory(task="test.writes_only", lane="busy", status="retry")
    taker.places["test.writes_only"] = 3  # the busy one asks for a place too, and gives it back
    make = [NewJob("test.writes_only", {"n": n}, lane=lane) for n, lane in enumerate(("busy", "a", "a", "b"))]
    taker.places = {"test.writes_only": 3}
    handed = after(script, lambda: enqueue_many(make))(taker)
    assert [job.lane for job in handed] == ["a", "b"]
    assert taker.places == {"test.writes_only": 1}
    assert taker.places == {"test.writes_only": 1}


def test_one_without_a_place_is_not_overtaken_by_the_next_of_its_lane(script, taker):
    make = [NewJob("test.script", {}, lane="a"), NewJob("test.writes_only", {}, lane="a")]
    assert after(script, lambda: enqueue_many(make))(taker) == []


@pytest.mark.parametrize("when", [{"delay": 5}, {"dedupe_key": "k", "debounce": 1}])
def test_what_is_not_due_is_not_handed_over(script, taker, when):
    assert after(script, lambda: enqueue("test.writes_only", **when))(taker) == []
    assert taker.asked == []


def test_a_job_whose_key_waits_already_joins_it(script, taker):
    waiting = enqueue("test.writes_only", dedupe_key="k", delay=60)
    assert after(script, lambda: enqueue("test.writes_only", dedupe_key="k"))(taker) == []
    assert Job.objects.filter(task="test.writes_only").count() == 1
    assert [job.id for job in claim("test.writes_only")] == [waiting.id]
    assert taker.places == {"test.writes_only": 2}


def test_a_write_that_fails_gives_the_places_back(script, taker):
    def make():
        enqueue("test.writes_only")
        raise RuntimeError("after it")

    assert after(script, make)(taker) == []
    assert taker.places == {"test.writes_only": 2}
    assert not Job.objects.filter(task="test.writes_only").exists()


def test_outside_of_a_write_nothing_is_handed_over(taker):
    enqueue("test.writes_only")
    assert Job.objects.get().status == "pending"
    assert taker.asked == []
