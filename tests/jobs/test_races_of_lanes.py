"""Two connections, step by step: what keeps a lane in order and moving. Each test fails without its guard."""

import threading

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.jobs import ledger, statements
from apps.jobs.drain import run_one
from apps.jobs.enqueueing import enqueue
from apps.jobs.life import begin, call
from apps.jobs.line import Line
from apps.jobs.models import PARKED, Job
from apps.jobs.settling import settle
from apps.jobs.sharing import Ring
from apps.jobs.task import get_task
from apps.jobs.throttle import Throttle
from tests.factories.jobs import JobFactory, WorkerFactory, seconds_until_due, state
from tests.waiting import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
GATE = 4711


def claim(places=10):
    jobs, _ = ledger.claim("test.script", places=places, worker=1)
    return [job.id for job in jobs]


@pytest.fixture
def stopped_claim(monkeypatch):
    """A claim that has taken its snapshot and waits at a gate (an advisory lock) before it reads a row."""
    text = statements.statements().claim
    gate = f"WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({GATE})), best"
    gated = text.replace("WITH best", gate, 1)
    gated = gated.replace("FROM (VALUES", "FROM (SELECT count(*) FROM gate) passed, (VALUES", 1)
    assert gated.count("gate") == 2

    def start(second):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
        monkeypatch.setattr(statements.statements(), "claim", gated)
        running = second.start(claim)
        second.waits()
        monkeypatch.setattr(statements.statements(), "claim", text)
        return running

    def let_go():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])

    yield start, let_go
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")  # also after a failure, or the claim waits for ever


def test_of_two_claims_of_one_job_the_second_gets_nothing(second):
    job = JobFactory(lane="a")
    second.begin()
    assert second.do(ledger.claim_one, job.pk, worker=2).fence == 1
    assert claim() == []  # a claim of many passes over a row that somebody holds
    result = []

    def claim_the_same():
        result.append(ledger.claim_one(job.pk, worker=3))
        connection.close()

    thread = threading.Thread(target=claim_the_same)
    thread.start()
    wait_until(lambda: blocked_by(second.pid), 10, "the other claim to wait")
    second.commit()
    thread.join(10)
    assert result == [None]
    assert Job.objects.values_list("fence", "worker_id").get() == (1, 2)


def blocked_by(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", [pid])
        return cursor.fetchone()[0] > 0


def test_an_older_job_that_commits_late_waits_for_the_younger_one_that_runs(second):
    second.begin()
    late = second.do(JobFactory, lane="a")
    early = JobFactory(lane="a")
    assert late.pk < early.pk
    assert claim() == [early.pk]
    second.commit()
    assert ledger.claim_one(late.pk, worker=1) is None
    assert claim() == []
    assert Job.objects.get(pk=late.pk).run_at == PARKED


def test_a_claim_that_meets_an_uncommitted_one_of_its_lane_is_made_again_with_its_innocents(second, third):
    second.begin()
    late = second.do(JobFactory, lane="a")
    early = JobFactory(lane="a")
    third.begin()
    assert third.do(claim) == [early.pk]
    second.commit()
    innocents = [JobFactory().pk for _ in range(5)]
    line = Line(StubCrew(), get_task("test.script"))
    running = second.start(
        line.lookout._claim, 10
    )  # claims the late one: nobody of the lane runs, as far as it can see
    second.waits()
    third.commit()  # now its update breaks the rule of one running job per lane
    jobs, _ = running.result(10)
    assert [job.id for job in jobs] == innocents
    assert Job.objects.get(pk=late.pk).run_at == PARKED
    assert state(early) == ("processing", "")


class StubCrew:
    stopping = False
    throttle = Throttle(["maintenance"])
    worker_id = 1


@pytest.mark.parametrize(
    "at_the_very_end", [False, True], ids=["before the outcome's effects", "just before the commit"]
)
def test_the_next_of_a_lane_is_looked_for_after_the_commit(second, script, monkeypatch, at_the_very_end):
    first = JobFactory(lane="a")
    reached, go_on = threading.Event(), threading.Event()

    def stop_here(*_):
        reached.set()
        assert go_on.wait(20)

    if at_the_very_end:
        theirs, commit = second.do(threading.get_ident), BaseDatabaseWrapper._commit

        def commit_later(wrapper):
            if threading.get_ident() == theirs and not reached.is_set():
                stop_here()
            commit(wrapper)

        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit_later)
    else:
        script.write = stop_here
    finishing = second.start(run_one, first.pk, worker=0)
    assert reached.wait(20)
    follower = JobFactory(lane="a")
    assert claim() == []  # the first has not committed its end: the follower is parked
    assert Job.objects.get(pk=follower.pk).run_at == PARKED
    go_on.set()
    assert finishing.result(20)
    assert claim() == [follower.pk]


def test_a_promotion_waits_for_a_parking_that_is_not_committed(second, third):
    first, follower = JobFactory(lane="a"), JobFactory(lane="a")
    [running] = ledger.claim("test.script", places=1, worker=1)[0]
    second.begin()
    assert second.do(claim) == []  # parks the follower, not yet committed
    ledger.complete([running])
    promoting = third.start(ledger.promote, ["a"])
    third.waits()
    second.commit()
    assert promoting.result(10) == {"test.script"}
    assert seconds_until_due(follower) <= 0
    assert claim() == [follower.pk]
    assert state(first) == ("completed", "")


def test_a_claim_with_an_old_snapshot_does_not_park_what_was_promoted_meanwhile(second, stopped_claim):
    start, let_go = stopped_claim
    JobFactory(lane="a")
    [running] = ledger.claim("test.script", places=1, worker=1)[0]
    follower = JobFactory(lane="a")
    claiming = start(second)  # its snapshot shows the first as running
    ledger.complete([running])
    assert ledger.promote(["a"]) == {"test.script"}  # touches the follower, although nobody has parked it yet
    let_go()
    assert claiming.result(10) == []
    assert seconds_until_due(follower) <= 0, "parked for ever"
    assert claim() == [follower.pk]


def test_an_older_job_that_waits_again_does_not_run_beside_a_younger_one(second):
    older, younger = JobFactory(lane="a", status="failed"), JobFactory(lane="a")
    assert claim() == [younger.pk]
    Job.objects.filter(pk=older.pk).update(status="retry")
    assert ledger.claim_one(older.pk, worker=1) is None
    assert second.do(claim) == []
    assert Job.objects.get(pk=older.pk).run_at == PARKED


def test_two_workers_never_run_two_of_a_lane_whatever_the_claims_see():
    """The last net: the unique index."""
    JobFactory(lane="a", status="processing")
    with pytest.raises(Exception, match="job_lane_running"), transaction.atomic():
        JobFactory(lane="a", status="processing")


def test_a_handed_over_job_whose_lane_was_taken_meanwhile_waits_instead(second, script):
    """The finishing transaction is repeated without handing over."""
    WorkerFactory(pk=7)
    JobFactory()
    second.begin()
    second.do(JobFactory, lane="b", status="processing", worker_id=7)
    script.write = lambda done: enqueue("test.writes_only", {}, lane="b")
    task = get_task("test.script")
    jobs, _ = ledger.claim("test.script", places=1, worker=7)
    ready, _ = begin(task, jobs)
    taker = StubTaker()
    finished = []

    def finish():
        finished.append(settle(task, [call(task, ready[0])], worker=7, taker=taker))
        connection.close()

    thread = threading.Thread(target=finish)
    thread.start()
    wait_until(lambda: blocked_by(second.pid), 10, "the finishing transaction to wait for the lane")
    second.commit()
    thread.join(10)
    assert finished[0].handed == []
    assert taker.taken == 0
    assert Job.objects.filter(task="test.writes_only").values_list("status", flat=True).get() == "pending"


class StubTaker:
    worker_id = 7
    taken = 0

    def reserve(self, task):
        self.taken += 1
        return True

    def give_back(self, task, places):
        self.taken -= places


def test_two_workers_that_claim_by_shares_never_take_the_same_job(second):
    """The other holds its claim open: this one takes what is left, and waits for nobody."""
    for customer in (1, 2):
        for _ in range(10):
            JobFactory(customer_id=customer)
    second.begin()
    theirs, _ = second.do(Ring().claim, "test.script", places=8, worker=2)
    mine, _ = Ring().claim("test.script", places=8, worker=1)
    second.commit()
    assert not {job.id for job in mine} & {job.id for job in theirs}
    assert mine
    rest, _ = ledger.claim("test.script", places=20, worker=3)
    assert len(mine) + len(theirs) + len(rest) == 20
