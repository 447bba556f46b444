"""Outcomes that no database takes as they are: they must not hold up the jobs that end with them."""

from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection

from apps.jobs import ledger
from apps.jobs.connections import is_away
from apps.jobs.endings import Fail, Postponed
from apps.jobs.models import Job, JobAttempt
from apps.reliability.errors import Postpone, TransientError
from tests.factories.jobs import JobFactory, make_due, state
from tests.jobs.running import claim, run
from tests.jobs.scripts import raising

pytestmark = pytest.mark.django_db

ODD = {
    "not a number": float("nan"),
    "infinite": [float("inf")],
    "NUL": {"text": "a\x00b"},
    "half a character": "\ud800",
    "odd keys": {(1, 2): {3, 4}},
    "huge": 10**400,
    "bytes": b"\xff",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_result_that_is_not_json_is_kept_as_far_as_it_is(script, odd):
    script.call = lambda item: odd
    job = JobFactory(max_retries=2)
    script.write = raising(RuntimeError("once"))
    run(claim())
    assert Job.objects.get(pk=job.pk).status == "retry"
    make_due()
    run(claim())
    assert state(job) == ("completed", "")
    assert len(script.called) == 1


def test_a_circular_result_is_kept_without_its_circle(script):
    circle: list = [1]
    circle.append(circle)
    script.call = lambda item: circle
    job = JobFactory()
    script.write = raising(RuntimeError("once"))
    run(claim())
    assert Job.objects.get(pk=job.pk).result["value"][0] == 1


def test_an_error_with_nul_and_a_long_code_is_written(script):
    script.call = raising(TransientError("they said a\x00b", code="c" * 90))
    other, job = JobFactory(), JobFactory()
    run(claim())
    rows = Job.objects.in_bulk([job.pk, other.pk])
    assert sorted(row.status for row in rows.values()) == ["completed", "retry"]
    attempt = JobAttempt.objects.get()
    assert attempt.error == "they said a�b"
    assert attempt.error_code == "c" * 64


def test_an_ending_of_read_is_cleaned_too(script):
    script.read = lambda jobs: {job.id: Fail("a\x00b", "c\x00" * 50) for job in jobs}
    job = JobFactory()
    run(claim())
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.error, len(row.error_code)) == ("failed", "a�b", 64)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e15, -5, None, "soon"])
def test_a_wait_that_is_no_time_still_ends_the_run(script, seconds):
    script.call = raising(Postpone(seconds))
    job = JobFactory(expires_at=None)
    run(claim())
    assert Job.objects.get(pk=job.pk).status == "retry"


def test_a_wait_given_by_read_is_bounded_as_well(script):
    script.read = lambda jobs: {job.id: Postponed(1e15) for job in jobs}
    job = JobFactory()
    run(claim())
    assert Job.objects.get(pk=job.pk).status == "retry"


def test_an_exception_that_cannot_even_be_read_is_an_ending(script):
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")

    script.call = raising(Mute())
    job = JobFactory()
    run(claim())
    assert state(job)[0] == "retry"


def test_one_whose_outcome_cannot_be_written_at_all_does_not_take_the_group_down(script, monkeypatch):
    bad, good = JobFactory(), JobFactory()
    complete, put_back = ledger.complete, ledger.put_back

    def refuse(what):
        def move(jobs, **options):
            ids = {job.id for job in jobs} if isinstance(jobs, list) else {jobs.id}
            if bad.pk in ids:
                raise DataError("no such thing")
            return what(jobs, **options)

        return move

    monkeypatch.setattr(ledger, "complete", refuse(complete))
    monkeypatch.setattr(ledger, "put_back", refuse(put_back))
    run(claim())
    assert (state(bad)[0], state(good)[0]) == ("processing", "completed")


class Cause(Exception):
    def __init__(self, **said):
        self.__dict__.update(said)


@pytest.mark.parametrize(
    ("said", "away"),
    [
        ({}, True),  # the connection broke: nobody said anything
        ({"sqlstate": None}, True),
        ({"sqlstate": "57P01"}, True),
        ({"sqlstate": "53300"}, True),
        ({"sqlstate": "55P03"}, True),
        ({"sqlstate": "40P01"}, True),
        ({"sqlstate": "54000"}, False),  # a value too long for its index
        (
            {"sqlstate": "57014"},
            False,
        ),  # cancelled: a statement that takes too long would take too long again
        ({"sqlite_errorcode": 5}, True),  # locked
        ({"sqlite_errorcode": 10}, True),  # I/O
        ({"sqlite_errorcode": 1}, False),  # no such column
    ],
)
def test_what_counts_as_the_database_being_away(said, away):
    error = OperationalError("…")
    error.__cause__ = Cause(**said)
    assert is_away(error) is away


def test_a_bug_of_a_write_that_sqlite_calls_operational_is_no_outage(script):
    def write(done):
        error = OperationalError("no such column: x")
        error.__cause__ = Cause(sqlite_errorcode=1)
        raise error

    script.write = write
    job = JobFactory()
    run(claim())
    assert state(job)[0] == "retry"


def test_a_bug_of_a_read_that_sqlite_calls_operational_is_no_outage(script):
    def read(jobs):
        error = OperationalError("no such column: x")
        error.__cause__ = Cause(sqlite_errorcode=1)
        raise error

    script.read = read
    job = JobFactory()
    run(claim())
    assert state(job)[0] == "retry"


def test_a_read_that_returns_nothing_is_a_bug_of_the_task(script):
    script.read = lambda jobs: None
    job = JobFactory()
    run(claim())
    assert state(job)[0] == "retry"


def test_what_a_call_brought_is_kept_while_other_things_go_wrong(script):
    """The write failed, then the next run's read: the call is still not made again."""
    job = JobFactory(max_retries=5)
    script.write = raising(RuntimeError("write"))
    run(claim())
    script.read = raising(TransientError("read"))
    make_due()
    run(claim())
    assert Job.objects.get(pk=job.pk).result == {"value": {"ok": True}}
    script.read, script.write = None, raising(Postpone(1))
    make_due()
    run(claim())
    script.write = lambda done: None
    make_due()
    run(claim())
    assert state(job) == ("completed", "")
    assert len(script.called) == 1


def test_a_collision_that_stays_is_no_outage(script):
    """Of the real database: on SQLite it has an error code of its own."""
    taken = uuid4()
    JobFactory(task="test.effect", public_id=taken)
    script.write = lambda done: JobFactory(task="test.effect", public_id=taken)
    bad, good = JobFactory(max_retries=0), JobFactory(task="test.writes_only")
    run(claim())
    assert state(bad) == ("failed", "exhausted")
    assert state(good)[0] == "pending"


def test_a_column_that_is_not_there_is_no_outage(script):
    def write(done):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing_of_that_name FROM jobs_job")

    script.write = write
    job = JobFactory(max_retries=0)
    run(claim())
    assert state(job) == ("failed", "exhausted")
