"""Rate and concurrency of a queue: of all workers together, decided before the claim: no job spends anything."""

import math
import time

import pytest

from apps.jobs import ledger
from apps.jobs.models import Job, QueueState
from apps.jobs.queue import Queue, per_second
from apps.jobs.throttle import Bounds, Throttle, bounds_of
from apps.reliability import limiter, patience
from apps.reliability.limiter import Limit
from tests.factories.jobs import JobFactory
from tests.jobs.test_lines import Crew, in_flight, rung

pytestmark = pytest.mark.django_db
__all__ = ["rung"]  # a fixture
QUEUE = "maintenance"


@pytest.fixture
def crew():
    return Crew()


def limited(crew, **columns):
    QueueState.objects.create(queue=QUEUE, **columns)
    crew.throttle.refresh()
    return crew.line(places=10)


class TestRates:
    @pytest.mark.parametrize(("text", "rate"), [("30/s", 30.0), ("90/m", 1.5), ("3600/h", 1.0)])
    def test_are_in_celerys_form(self, text, rate):
        assert per_second(text) == rate

    @pytest.mark.parametrize("text", ["", "30", "0/s", "-1/s", "30/d", "1.5/s", "30 / s", "x/s"])
    def test_anything_else_says_what_to_write(self, text):
        with pytest.raises(ValueError, match="30/s, 600/m or 1000/h"):
            per_second(text)

    def test_a_queue_of_the_page_with_a_wrong_one_stops_the_boot(self):
        fields = {"name": "q", "why": "w", "tasks": (), "line": "l", "in_flight": 1, "longest_age": None}
        with pytest.raises(ValueError, match="not a rate"):
            Queue(**fields, rate="many")
        with pytest.raises(ValueError, match="1 or more"):
            Queue(**fields, concurrency=0)


def test_what_an_operator_sets_takes_the_place_of_the_page(settings):
    on_page = Queue("q", "why", (), "line", 1, None, rate="10/s", concurrency=5)
    settings.QUEUES = {"q": on_page}
    assert bounds_of("q", None) == Bounds(10.0, 5)
    assert bounds_of("q", QueueState(queue="q", rate="60/m")) == Bounds(1.0, 5)
    assert bounds_of("q", QueueState(queue="q", concurrency=2)) == Bounds(10.0, 2)


def test_a_rate_that_nobody_can_read_stops_no_queue(settings):
    settings.QUEUES = {"q": Queue("q", "why", (), "line", 1, None)}
    assert bounds_of("q", QueueState(queue="q", rate="many", concurrency=2)) == Bounds(None, 2)


def test_a_change_holds_after_a_moment_without_a_restart(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr("apps.jobs.throttle.time.monotonic", lambda: now)
    throttle = Throttle([QUEUE])
    throttle.refresh()
    assert throttle.of(QUEUE) is None
    QueueState.objects.create(queue=QUEUE, concurrency=3)
    now += 1.0
    throttle.refresh()
    assert throttle.of(QUEUE) is None  # read a second ago
    now += 1.0
    throttle.refresh()
    assert throttle.of(QUEUE) == Bounds(None, 3)


class TestConcurrency:
    def test_no_more_in_flight_than_that_and_whoever_ends_one_looks_again(self, crew):
        line = limited(crew, concurrency=2)
        for _ in range(5):
            JobFactory()
        line.wake()
        crew.turn()
        assert in_flight() == 2
        crew.finish_calls()
        assert in_flight() == 2  # the next two, woken by the places that were left
        crew.finish_calls()
        crew.finish_calls()
        assert Job.objects.filter(status="completed").count() == 5

    def test_counts_what_other_workers_run(self, crew):
        line = limited(crew, concurrency=3)
        for _ in range(2):
            JobFactory(status="processing", worker_id=999, fence=1)
        for _ in range(5):
            JobFactory()
        line.wake()
        crew.turn()
        assert in_flight() == 3

    def test_of_another_queue_does_not_count(self, crew):
        line = limited(crew, concurrency=1)
        JobFactory(status="processing", worker_id=999, fence=1, queue="ai-processing")
        JobFactory()
        line.wake()
        crew.turn()
        assert line.in_flight == 1

    def test_nothing_is_handed_over_past_it(self, crew):
        assert not limited(crew, concurrency=5).reserve()

    @pytest.mark.postgres
    @pytest.mark.django_db(transaction=True)
    def test_nobody_waits_for_another_who_is_claiming(self, second, crew, monkeypatch):
        """A worker may be frozen in the middle of its claim. Its turn over, the others look by themselves."""
        monkeypatch.setattr("apps.jobs.line.connection.close", lambda: None)
        line = limited(crew, concurrency=2)
        JobFactory()
        second.begin()
        assert second.do(ledger.claim_alone, QUEUE)
        with patience.of(5):
            line.wake()
            crew.turn()
        assert (in_flight(), line.in_flight) == (0, 0)
        assert [work for work, _ in crew.delayed] == [line.lookout._moment_is_there]
        second.commit()
        crew.work, crew.delayed = crew.delayed, []
        crew.turn()
        assert (in_flight(), line.in_flight) == (1, 1)


class TestRate:
    def test_as_many_as_there_are_slots_and_the_rest_waits_untouched(self, crew, monkeypatch):
        monkeypatch.setattr("apps.jobs.throttle.AT_ONCE", 7200.0)
        line = limited(crew, rate="1/h")  # two at once, the next in an hour
        for _ in range(5):
            JobFactory()
        line.wake()
        crew.turn()
        assert in_flight() == 2
        waiting = Job.objects.filter(status="pending")
        assert [(job.attempts, job.fence) for job in waiting] == [(0, 0)] * 3
        assert [work for work, _ in crew.delayed] == [line.lookout._moment_is_there]  # and only once
        line.wake()
        crew.turn()
        assert len(crew.delayed) == 1

    def test_a_rate_that_was_raised_does_not_wait_for_the_slot_of_the_old_one(self, crew):
        line = limited(crew, rate="1/h")
        for _ in range(3):
            JobFactory()
        line.wake()
        crew.turn()
        QueueState.objects.update(rate="60/m")
        crew.throttle._read_at = -math.inf
        crew.throttle.refresh()
        limiter.hold(f"queue:{QUEUE}", 1.0)  # its next slot is soon
        line.wake()
        crew.turn()
        assert len(crew.delayed) == 2

    def test_slots_that_found_no_job_go_back(self, crew):
        line = limited(crew, rate="1/h")  # one at once, the next in an hour
        line.wake()
        crew.turn()
        JobFactory()
        line.wake()
        crew.turn()
        assert in_flight() == 1

    def test_nothing_is_handed_over_past_it(self, crew):
        assert not limited(crew, rate="1000/s").reserve()


class TestTake:
    def test_no_more_than_the_burst_then_one_by_one(self):
        limit = Limit("test:take", rate=1 / 60, burst=3)
        assert limiter.take(limit, 2) == (2, 0.0)
        free, wait = limiter.take(limit, 5)
        assert free == 1
        assert 50 < wait <= 60
        assert limiter.take(limit, 1)[0] == 0
        limiter.give_back(limit, 2)
        assert limiter.take(limit, 5)[0] == 2

    def test_more_than_was_taken_can_not_come_back(self):
        limit = Limit("test:give", rate=1 / 60, burst=2)
        limiter.give_back(limit, 50)
        assert limiter.take(limit, 5)[0] == 2

    def test_a_hold_on_it_stops_it(self):
        limiter.hold("test:held", 30)
        free, wait = limiter.take(Limit("test:held", rate=10), 1)
        assert free == 0
        assert 29 < wait <= 30


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_don_t_exceed_a_concurrency(second, third):
    """Both see one place; the second to ask has to come again, and then it is taken."""
    QueueState.objects.create(queue=QUEUE, concurrency=1)
    for _ in range(3):
        JobFactory()
    mine, theirs = Throttle([QUEUE]), Throttle([QUEUE])
    mine.refresh()
    theirs.refresh()

    def claim(throttle):
        with throttle.room(QUEUE, 10) as room:
            return room, len(ledger.claim("test.script", places=room, worker=1)[0]) if room else 0

    second.begin()
    assert second.do(claim, theirs) == (1, 1)
    assert third.do(claim, mine) == (None, 0)
    second.commit()
    assert third.do(claim, mine) == (0, 0)
