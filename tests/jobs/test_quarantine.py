"""Jobs that were running in two crashes run alone, in a real child process of the worker."""

import io
import os

import pytest
from django.db import DataError, OperationalError, connection

from apps.jobs import drain, ledger, quarantine
from apps.jobs.models import Job, Worker
from apps.jobs.quarantine import Quarantine
from apps.jobs.taking_back import take_back_abandoned
from apps.jobs.task import registry
from tests.conftest import database_url
from tests.factories.jobs import JobFactory, WorkerFactory, state
from tests.jobs.suspects import tasks
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
SUSPECTS = [tasks.Bystander.name, tasks.Killer.name, tasks.Endless.name, tasks.Slow.name]


class StubCrew:
    """What the quarantine needs of a worker process."""

    stopping = False

    def __init__(self) -> None:
        self.worker_id = WorkerFactory().pk
        self.lines = {name: registry()[name] for name in SUSPECTS}


@pytest.fixture
def parent(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project.settings")
    monkeypatch.setenv("EXTRA_APPS", "tests.jobs.suspects")
    monkeypatch.setattr(quarantine, "SLACK", 0.5)
    mine = Quarantine(StubCrew())
    yield mine
    mine.crew.stopping = True
    mine.close()
    wait_until(lambda: not mine._busy.locked(), 20, "the quarantine thread to end")


def suspect(task, **payload):
    return JobFactory(task=task.name, crashes=2, payload=payload, time_limit=task.time_limit)


def ended(*jobs):
    return all(state(job)[0] in ("completed", "failed") for job in jobs)


def test_a_bystander_completes_and_the_killers_are_found_out_one_at_a_time(parent):
    first, killer, endless, last = map(
        suspect, (tasks.Bystander, tasks.Killer, tasks.Endless, tasks.Bystander)
    )
    parent.feed()
    wait_until(lambda: ended(first, killer, endless, last), 60, "the suspects")
    assert [state(job) for job in (first, killer, endless, last)] == [
        ("completed", ""), ("failed", "poison"), ("failed", "poison"), ("completed", "")
    ]  # fmt: skip
    rows = Job.objects.in_bulk()
    assert rows[first.pk].result["pid"] not in (os.getpid(), rows[last.pk].result["pid"])
    assert rows[killer.pk].error.startswith("its process died with it, alone")
    assert "ran beyond its 0.5 s, alone" in rows[endless.pk].error
    assert {rows[job.pk].crashes for job in (killer, endless)} == {3}
    assert {rows[job.pk].crashes for job in (first, last)} == {2}
    assert {row.worker_id for row in rows.values()} == {parent.crew.worker_id}


def test_a_worker_that_stops_does_not_make_its_suspect_poison(parent, tmp_path):
    """The parent ends the child itself: that is nobody's crash."""
    begun = tmp_path / "begun"
    job = suspect(tasks.Slow, begun=str(begun))
    parent.feed()
    wait_until(begun.exists, 30, "the suspect to begin")
    parent.crew.stopping = True
    parent._child.kill()
    wait_until(lambda: not parent._busy.locked(), 20, "the quarantine thread to end")
    parent.close()
    ledger.end_worker(parent.crew.worker_id, how=Worker.Ending.STOPPED)
    take_back_abandoned(me=0)
    assert Job.objects.values_list("status", "crashes", "attempts").get(pk=job.pk) == ("retry", 2, 0)


def test_a_child_that_cannot_start_blames_nobody_and_is_not_started_in_a_circle(parent, monkeypatch):
    job = suspect(tasks.Bystander)
    starts = []

    class DeadAtOnce:
        def __init__(self, *args, **kwargs):
            self.stdin, self.stdout = io.StringIO(), open(os.devnull)  # noqa: SIM115 - select needs a real file
            starts.append(args)
            assert len(starts) < 20, "started in a circle"

        def poll(self):
            return 1

        def kill(self):
            """It is dead already."""

        def wait(self):
            return 1

    monkeypatch.setattr(quarantine.subprocess, "Popen", DeadAtOnce)
    parent._run()
    assert len(starts) == 1
    assert Job.objects.values_list("status", "crashes").get(pk=job.pk) == ("pending", 2)


def test_a_database_that_is_away_does_not_end_the_child(monkeypatch):
    """Its death would be taken for the suspect's doing."""
    runs = []

    def run_one(job_id, *, worker):
        print("what a task prints")  # noqa: T201
        runs.append((job_id, worker))
        if len(runs) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return True

    monkeypatch.setattr(drain, "run_one", run_one)
    answers = io.StringIO()
    quarantine.serve(io.StringIO("7 1\n8 1\n"), answers)
    assert runs == [(7, 1), (8, 1)]
    assert answers.getvalue().splitlines() == ["quarantine:ready", "quarantine:done", "quarantine:done"]


def test_nothing_is_started_where_there_is_no_suspect(parent):
    JobFactory(task=tasks.Bystander.name, crashes=1)
    parent.feed()
    assert parent._child is None
    assert connection.is_usable()


def test_an_outcome_that_cannot_be_written_ends_the_child(monkeypatch):
    """Its parent then knows whose doing it was; else it would come back for ever."""

    def run_one(job_id, *, worker):
        raise DataError("no such text")

    monkeypatch.setattr(drain, "run_one", run_one)
    with pytest.raises(DataError):
        quarantine.serve(io.StringIO("7 1\n"), io.StringIO())
