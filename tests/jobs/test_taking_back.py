"""Jobs whose worker is gone: who is blamed, what is run again, and that nothing stops the sweep."""

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone

from apps.jobs import ledger
from apps.jobs.leases import host_identity
from apps.jobs.models import PARKED, Job, JobAttempt, JobCounter, Worker
from apps.jobs.sweeper import Sweeper
from apps.jobs.taking_back import blame, take_back_abandoned
from tests.factories.jobs import JobFactory, WorkerFactory, seconds_until_due, state
from tests.jobs.running import claim

pytestmark = pytest.mark.django_db
PAST = timedelta(seconds=-1)


class StubCrew:
    worker_id, stopping, lines = 0, False, {}

    def wake_promoted(self, tasks):
        self.woken = set(tasks)

    def wake(self, task):
        return False


def running(worker=None, **columns):
    return JobFactory(
        status="processing",
        fence=1,
        worker_id=worker.pk if worker else None,
        lease_until=timezone.now() + timedelta(minutes=1),
        **columns,
    )


def ended(how):
    return WorkerFactory(ended_at=timezone.now(), ended_how=how)


@pytest.mark.parametrize(("how", "crashes"), [("dead", 1), ("lease", 0), ("stopped", 0)])
def test_a_crash_is_counted_only_where_the_process_is_known_to_have_died(how, crashes):
    job = running(ended(how))
    assert take_back_abandoned(me=0) == (1, set())
    row = Job.objects.get(pk=job.pk)
    assert (row.status, row.crashes, row.attempts, row.fence) == ("retry", crashes, 0, 1)
    assert seconds_until_due(job) <= 0
    assert JobAttempt.objects.filter(job=job).count() == crashes


def test_a_job_beyond_its_limit_whose_worker_lives_is_a_crash():
    job = running(WorkerFactory())
    assert take_back_abandoned(me=0)[0] == 0
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() + PAST)
    assert take_back_abandoned(me=0)[0] == 1
    assert Job.objects.get(pk=job.pk).crashes == 1
    assert "time limit" in Job.objects.get(pk=job.pk).error


def test_a_live_worker_keeps_its_jobs():
    running(WorkerFactory())
    assert take_back_abandoned(me=0) == (0, set())


def test_a_suspect_is_not_blamed_for_its_parents_death(script):
    """It runs in a child, and only the parent of that child judges it."""
    job = running(ended("dead"), crashes=2)
    take_back_abandoned(me=0)
    assert Job.objects.values_list("status", "crashes").get(pk=job.pk) == ("retry", 2)


def test_a_suspect_is_not_claimed_beside_others():
    suspect, other = JobFactory(crashes=2), JobFactory()
    assert [job.id for job in claim()] == [other.pk]
    assert ledger.next_suspect(["test.script"]) == suspect.pk
    assert ledger.next_suspect(["test.other"]) is None
    assert ledger.tasks_with_due_jobs(["test.script"]) == []


def test_the_third_crash_is_poison_and_lets_the_lane_go_on(script):
    worker = WorkerFactory()
    suspect, behind = JobFactory(crashes=2, lane="a"), JobFactory(lane="a")
    job = ledger.claim_one(suspect.pk, worker=worker.pk)
    claim()
    blame([job], "its process died with it, alone", worker=worker.pk)
    row = Job.objects.get(pk=suspect.pk)
    assert (row.status, row.failure_reason, row.crashes) == ("failed", "poison", 3)
    assert "its process died with it" in row.error
    assert script.buried == [(suspect.pk, "poison")]
    assert seconds_until_due(behind) <= 0
    assert row.failed_attempts.get().ending == "crash"


def test_a_job_that_was_being_sent_is_unknown_and_the_owner_decides(script):
    worker = ended("dead")
    asked = running(worker, sending_at=timezone.now(), lane="a")
    take_back_abandoned(me=0)
    assert Job.objects.values_list("status", "failure_reason", "attempts").get(pk=asked.pk) == (
        "failed",
        "unknown",
        1,
    )
    assert script.buried == [(asked.pk, "unknown")]
    script.send_again = True
    again = running(worker, sending_at=timezone.now())
    last = running(worker, sending_at=timezone.now(), attempts=2)
    take_back_abandoned(me=0)
    row = Job.objects.get(pk=again.pk)
    assert (row.status, row.attempts, row.sending_at) == ("retry", 1, None)
    assert state(last) == ("failed", "unknown")
    assert row.failed_attempts.get().ending == "unknown"


def test_a_lease_that_ran_out_before_the_mark_is_simply_run_again(script):
    script.repeatable = lambda item: False
    job = running(ended("lease"))
    take_back_abandoned(me=0)
    assert state(job) == ("retry", "")


def test_a_dead_that_raises_does_not_stop_the_sweep(script):
    """What the sweeper buries fails one by one if need be; a bug in one task must not hold everybody's jobs."""

    def dead(jobs, reason):
        if any(job.payload.get("bad") for job in jobs):
            raise LookupError("no message")

    script.dead = dead
    worker = ended("dead")
    bad = running(worker, sending_at=timezone.now(), payload={"bad": True})
    good = running(worker, sending_at=timezone.now())
    free = running(worker)
    late_bad = JobFactory(expires_at=timezone.now() + PAST, payload={"bad": True}, lane="a")
    late = JobFactory(expires_at=timezone.now() + PAST)
    sweeper = Sweeper(StubCrew())
    sweeper._take_back()
    sweeper._bury_expired()
    assert [state(job) for job in (bad, good, free)] == [
        ("failed", "unknown"),
        ("failed", "unknown"),
        ("retry", ""),
    ]
    assert [state(job) for job in (late_bad, late)] == [("failed", "expired")] * 2
    for job in (bad, late_bad):
        assert "dead() failed: LookupError" in Job.objects.get(pk=job.pk).error
    assert sorted(script.buried) == [(good.pk, "unknown"), (late.pk, "expired")]


def test_a_task_that_is_gone_does_not_stop_the_sweep(script):
    worker = ended("dead")
    orphan = running(worker, task="gone.task", sending_at=timezone.now())
    late = JobFactory(task="gone.task", expires_at=timezone.now() + PAST)
    mine = running(worker)
    sweeper = Sweeper(StubCrew())
    sweeper._take_back()
    sweeper._bury_expired()
    assert state(orphan) == ("failed", "unknown")
    assert state(late) == ("failed", "expired")
    assert state(mine) == ("retry", "")


def test_leases_expire_only_when_they_are_over():
    over, holds = WorkerFactory(lease_until=timezone.now() + PAST), WorkerFactory()
    assert ledger.expire_leases() == [over.pk]
    assert list(Worker.objects.order_by("pk").values_list("ended_how", flat=True)) == ["lease", ""]
    assert not ledger.heartbeat(over.pk, lease=12)
    assert ledger.heartbeat(holds.pk, lease=12)
    assert 11 < (Worker.objects.get(pk=holds.pk).lease_until - timezone.now()).total_seconds() <= 12


def test_after_an_outage_no_lease_is_taken_before_a_whole_lease_was_seen(monkeypatch):
    WorkerFactory(lease_until=timezone.now() + PAST)
    sweeper = Sweeper(StubCrew())
    monkeypatch.setattr(sweeper._quarantine, "feed", lambda: None)
    sweeper.round()
    assert Worker.objects.get().ended_at is None
    sweeper._seen_since -= 13
    sweeper.round()
    assert Worker.objects.get().ended_how == "lease"


def test_a_seat_is_for_one():
    assert ledger.take_seat("orphans", seconds=30)
    assert not ledger.take_seat("orphans", seconds=30)
    assert ledger.take_seat("pruning", seconds=-1)
    assert ledger.take_seat("pruning", seconds=30)


def test_after_an_outage_a_living_workers_jobs_are_left_to_it():
    """Its lease renews itself, and what it could not write is waiting to be written; only a lost worker's go."""
    job, orphan = running(WorkerFactory()), running(ended("dead"))
    Job.objects.update(lease_until=timezone.now() + PAST)
    assert take_back_abandoned(me=0, overdue=False)[0] == 1
    assert [Job.objects.get(pk=one.pk).status for one in (job, orphan)] == ["processing", "retry"]


def test_what_the_sweeper_buries_is_counted():
    worker = ended("dead")
    running(worker, crashes=2, sending_at=timezone.now(), max_retries=0)
    JobFactory(expires_at=timezone.now() + PAST)
    crew = StubCrew()
    Sweeper(crew)._take_back()
    Sweeper(crew)._bury_expired()
    assert dict(Job.objects.values_list("failure_reason", "status")) == {
        "unknown": "failed",
        "expired": "failed",
    }
    assert JobCounter.objects.aggregate(n=Sum("failed"))["n"] == 2


def test_a_lane_whose_promoter_died_after_the_commit_goes_on_at_once():
    """Parked behind nobody: the half-minute's look for such orphans does not wait where somebody has died."""
    orphan = JobFactory(lane="a", run_at=PARKED)
    sweeper = Sweeper(StubCrew())
    ledger.take_seat("orphans", seconds=30)
    sweeper.round()
    assert Job.objects.get(pk=orphan.pk).is_parked
    WorkerFactory(host=host_identity(), pid=2**22 - 1, process_start="never")
    sweeper.round()
    assert not Job.objects.get(pk=orphan.pk).is_parked
