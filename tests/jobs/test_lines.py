"""One task in one worker: its places, its looking for work, its settling. A crew without threads of its own."""

import pytest
from django.db import OperationalError

from apps.jobs import bell, ledger
from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.line import Line
from apps.jobs.lookout import LINGER
from apps.jobs.models import Job
from apps.jobs.task import get_task
from apps.jobs.throttle import Throttle
from apps.reliability.errors import TransientError
from tests.factories.jobs import JobFactory, WorkerFactory

pytestmark = pytest.mark.django_db


class Crew:
    """Does at once, in the test's thread, what a crew does in its threads; calls wait until they are let go."""

    def __init__(self):
        self.worker_id = WorkerFactory().pk
        self.stopping = False
        self.throttle = Throttle(["maintenance"])
        self.lines, self.work, self.calls, self.delayed, self.woken = {}, [], [], [], []

    def line(self, task="test.script", places=3):
        line = self.lines[task] = Line(self, get_task(task))
        line.places = places
        return line

    def on_ledger(self, work, *args):
        self.work.append((work, args))

    def later(self, seconds, work, *args):
        """A moment in which the next batch gathers is over at once; what waits for the database waits."""
        (self.work if seconds <= LINGER else self.delayed).append((work, args))

    def start_sync(self, line, one):
        self.calls.append((line, one))

    def hand_over(self, jobs, holder):
        holder.host.hold(len(jobs))
        for job in jobs:
            self.on_ledger(self.lines[job.task].admit, [job], holder)

    def reserve(self, task):
        return task in self.lines and self.lines[task].reserve()

    def give_back(self, task, places):
        self.lines[task].give_back(places)

    def wake_promoted(self, tasks):
        self.woken += tasks
        for task in tasks:
            self.lines[task].wake()

    def hand_back(self, line, jobs):
        ledger.hand_back(jobs)
        line.release(jobs)

    def turn(self):
        """Do what the ledger threads have to do."""
        while self.work:
            work, args = self.work.pop(0)
            work(*args)

    def finish_calls(self):
        from apps.jobs import life

        calls, self.calls = self.calls, []
        for line, one in calls:
            line.finish([life.call(line.task, one)])
        self.turn()


@pytest.fixture(autouse=True)
def rung(monkeypatch):
    """Connections stay as they are: the test is inside of a transaction. No broker."""
    bells = []
    monkeypatch.setattr(bell, "ring_others", lambda task, queue: bells.append(task))
    monkeypatch.setattr(bell, "ring_all", lambda names: None)
    monkeypatch.setattr(bell, "silence", lambda task: bells.append(f"silence {task}"))
    monkeypatch.setattr("apps.jobs.line.connection.close_if_unusable_or_obsolete", lambda: None)
    return bells


@pytest.fixture
def crew():
    return Crew()


def in_flight():
    return Job.objects.filter(status="processing").count()


def test_never_more_in_flight_than_places_and_a_full_claim_rings_for_others_once(crew, rung):
    for _ in range(8):
        JobFactory()
    line = crew.line(places=3)
    assert line.wake()
    crew.turn()
    assert (in_flight(), line.in_flight, rung) == (3, 3, ["test.script"])
    assert not line.hot  # it has no place: bells are for the others
    assert not line.wake()  # full: whoever leaves a place looks again
    crew.finish_calls()
    assert (in_flight(), line.in_flight) == (3, 3)
    crew.finish_calls()
    crew.finish_calls()
    assert (in_flight(), line.in_flight) == (0, 0)
    assert Job.objects.filter(status="completed").count() == 8


def test_what_was_parked_does_not_hide_what_lies_behind_it(crew):
    """One chatty lane fills the first claim; the free jobs behind it are found without a bell."""
    enqueue_many([NewJob("test.script", lane="chatty") for _ in range(30)])
    free = [JobFactory().pk for _ in range(5)]
    crew.line(places=10).wake()
    crew.turn()
    assert set(Job.objects.filter(status="processing", lane=None).values_list("pk", flat=True)) == set(free)
    assert in_flight() == 6


def test_several_priorities_are_all_taken(crew):
    for priority in (5, 1, 9, 5, 0):
        JobFactory(priority=priority)
    line = crew.line(places=10)
    for _ in range(2):
        line.wake()
        crew.turn()
    assert in_flight() == 5


def test_the_next_of_a_lane_is_woken_by_the_end_of_the_one_before(crew, script):
    enqueue_many([NewJob("test.script", {"n": n}, lane="a") for n in range(4)])
    crew.line(places=10).wake()
    crew.turn()
    for _ in range(4):
        assert len(crew.calls) == 1
        crew.finish_calls()
    assert [item["n"] for item in script.called] == [0, 1, 2, 3]
    assert crew.woken == ["test.script"] * 3


def test_a_job_handed_over_takes_a_place_and_gives_it_back(crew, script):
    from apps.jobs.enqueueing import enqueue

    first, second = crew.line(places=2), crew.line("test.writes_only", places=1)
    script.write = lambda done: [enqueue("test.writes_only") for one in done if one.job.task == "test.script"]
    JobFactory()
    first.wake()
    crew.turn()
    crew.finish_calls()
    assert set(Job.objects.values_list("status", "worker_id")) == {("completed", crew.worker_id)}
    assert (first.in_flight, second.in_flight) == (0, 0)
    assert (first.host.held, second.host.held) == (0, 0)


def test_when_the_database_is_away_the_group_waits_and_nothing_is_called_twice(crew, script, monkeypatch):
    monkeypatch.setattr("apps.jobs.line.connection.close", lambda: None)
    job = JobFactory()
    line = crew.line()
    line.wake()
    crew.turn()
    settle = ledger.complete
    monkeypatch.setattr(ledger, "complete", lambda jobs: (_ for _ in ()).throw(OperationalError("away")))
    crew.finish_calls()
    assert line.in_flight == 1
    assert len(crew.delayed) == 1
    monkeypatch.setattr(ledger, "complete", settle)
    crew.work, crew.delayed = crew.delayed, []
    crew.turn()
    assert Job.objects.get(pk=job.pk).status == "completed"
    assert (line.in_flight, len(script.called)) == (0, 1)


def test_a_lease_lost_before_the_call_frees_the_place_and_calls_nobody(crew, script):
    script.repeatable = lambda item: False
    JobFactory()
    ledger.end_worker(crew.worker_id, how="lease")
    line = crew.line()
    line.wake()
    crew.turn()
    assert (crew.calls, line.in_flight) == ([], 0)


def test_a_stopping_worker_claims_nothing_and_takes_nothing_over(crew):
    JobFactory()
    line = crew.line()
    crew.stopping = True
    assert not line.wake()
    assert not line.reserve()
    crew.turn()
    assert in_flight() == 0


def test_those_that_ended_while_a_group_was_written_are_the_next_group(crew, script):
    jobs = [JobFactory().pk for _ in range(3)]
    line = crew.line(places=3)
    line.wake()
    crew.turn()
    crew.finish_calls()
    assert script.groups == [jobs]


def test_one_that_retries_gives_its_place_back(crew, script):
    def call(item):
        raise TransientError("away")

    script.call = call
    JobFactory()
    line = crew.line()
    line.wake()
    crew.turn()
    crew.finish_calls()
    assert line.in_flight == 0
    assert Job.objects.get().status == "retry"


def test_the_end_of_a_lost_claim_does_not_free_the_place_of_the_next_one(crew, script):
    """The same job, lost and claimed again by this very worker: two claims, two places."""
    job = JobFactory()
    line = crew.line(places=5)
    line.wake()
    crew.turn()
    ledger.hand_back([one.job for _, one in crew.calls])
    line.wake()
    crew.turn()
    assert line.in_flight == 2
    stale, fresh = crew.calls
    crew.calls = [stale]
    crew.finish_calls()
    assert (line.in_flight, Job.objects.get(pk=job.pk).status) == (1, "processing")
    crew.calls = [fresh]
    crew.finish_calls()
    assert (line.in_flight, Job.objects.get(pk=job.pk).status) == (0, "completed")


def test_a_line_with_much_to_do_looks_by_itself_and_lets_its_bell_ring_again_before_its_last_look(crew, rung):
    line = crew.line(places=50)
    for _ in range(3):
        JobFactory()
    line.wake()
    work, args = crew.work.pop(0)
    work(*args)
    assert line.hot
    assert line.looking  # no bell is needed for what comes now
    assert rung == []
    late = JobFactory()
    rung_at_the_last_look = []
    claim = line.lookout._claim
    line.lookout._claim = lambda places: (rung_at_the_last_look.append(list(rung)), claim(places))[1]
    crew.turn()
    assert Job.objects.get(pk=late.pk).status == "processing"
    assert not line.hot
    assert not line.looking
    assert rung == ["silence test.script"]
    assert rung_at_the_last_look[-1] == ["silence test.script"]  # what came without a bell is seen after it


def test_alone_a_job_makes_no_line_hot(crew, rung):
    JobFactory()
    line = crew.line(places=50)
    line.wake()
    crew.turn()
    assert (line.hot, line.looking, rung) == (False, False, [])


def test_a_place_that_is_left_while_a_look_finds_none_is_not_missed(crew):
    line = crew.line(places=1)
    JobFactory()
    line.wake()
    crew.turn()
    JobFactory()
    line.behind = True
    line.lookout.looking = True  # a look has begun, and is about to find no place
    take_free = line.take_free

    def none_free():
        free = take_free()
        if not free and crew.calls:
            crew.finish_calls()  # now there is one, and whoever left it wakes a line that still looks
        return free

    line.take_free = none_free
    line.lookout._look()
    line.take_free = take_free
    crew.turn()
    assert in_flight() == 1
    assert Job.objects.filter(status="pending").count() == 0


def test_a_place_left_while_somebody_finds_none_is_not_overlooked(crew, monkeypatch):
    """Whoever left it looked for somebody who is behind just before there was one: nobody else would look again."""
    line = crew.line(places=1)
    full = iter([True, False])
    monkeypatch.setattr(type(line), "is_full", property(lambda _: next(full)))
    assert line.wake()
