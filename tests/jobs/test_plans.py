"""What a statement of the ledger costs does not depend on what has been or what waits: index names, no walk through
the table, a bounded number of pages. On both databases; times are in bench/."""

import pytest
from django.db import connection
from django.db.models import F

from apps.jobs import ledger
from apps.jobs.desk import discard
from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.models import Job
from apps.jobs.sharing import Ring
from tests.jobs import ledger_of_50000
from tests.jobs.ledger_of_50000 import DEEP, TASKS, plans_of

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _ledger(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        ledger_of_50000.fill()
        yield
        ledger_of_50000.empty()


def running(count=100):
    rows = Job.objects.filter(status="processing").order_by("id")[:count]
    return [ledger.running(job.pk, worker=1) for job in rows]


def head_of_the_deep_lane():
    return Job.objects.filter(status="pending", lane="deep").earliest("id").pk


def a_dead_letter():
    return Job.objects.dead_letters().order_by("id").first()


def nothing():
    return None


# What it is called: (what it needs, the move, indexes it must use, most pages of 8 kB a statement touches).
MOVES = {
    "claim 100 of a task with much waiting": (
        nothing,
        lambda _: ledger.claim("busy.receive", places=100, worker=1),
        {"job_due", "job_lane", "job_lane_running"},
        3000,
    ),
    "claim where one lane is thousands deep": (
        nothing,
        lambda _: ledger.claim("busy.reply", places=100, worker=1),
        {"job_due", "job_lane", "job_lane_running"},
        3000,
    ),
    "claim by shares": (
        nothing,
        lambda _: Ring().claim("busy.receive", places=100, worker=1),
        {"job_due", "job_share", "job_lane", "job_lane_running"},
        3000,
    ),
    "claim by shares where more customers wait than are listed": (
        lambda: Job.objects.filter(task="busy.send", status="pending").update(customer_id=F("id") % 900),
        lambda _: Ring().claim("busy.send", places=100, worker=1),
        {"job_due", "job_share"},
        6000,
    ),
    "claim where nothing waits": (
        nothing,
        lambda _: ledger.claim("quiet.idle", places=100, worker=1),
        {"job_due"},
        60,
    ),
    "claim one by its id": (
        head_of_the_deep_lane,
        lambda job: ledger.claim_one(job, worker=1),
        {"job_lane", "job_lane_running"},
        60,
    ),
    "which tasks have something due": (
        nothing,
        lambda _: ledger.tasks_with_due_jobs(TASKS),
        {"job_due"},
        200,
    ),
    "promote 100 lanes": (
        nothing,
        lambda _: ledger.promote([f"lane-{n}" for n in range(99)] + ["deep"]),
        {"job_lane"},
        2500,
    ),
    "find a suspect": (nothing, lambda _: ledger.next_suspect(TASKS), {"job_suspect"}, 400),
    "find what is too old": (nothing, lambda _: ledger.bury_expired(), {"job_expiry"}, 60),
    "find what is abandoned": (nothing, lambda _: ledger.abandoned(), {"job_lane_running"}, 1200),
    "complete a group": (running, ledger.complete, set(), 4000),
    "mark a group": (running, lambda jobs: ledger.mark_sending(jobs, worker=1), set(), 4000),
    "put one back": (running, lambda jobs: ledger.put_back(jobs[0], delay=1, spent=1), set(), 60),
    "insert 100": (
        nothing,
        lambda _: enqueue_many([NewJob("test.script", lane=f"new-{n}") for n in range(100)]),
        set(),
        3000,
    ),
    "insert one whose key waits": (
        nothing,
        lambda _: [enqueue_many([NewJob("test.script", dedupe_key="k")]) for _ in range(2)],
        set(),
        60,
    ),
    "list dead letters, latest first": (
        nothing,
        lambda _: list(Job.objects.dead_letters().order_by("-id")[:50]),
        {"job_dead"},
        200,
    ),
    "discard one": (a_dead_letter, lambda job: discard(job=job, by="me", why="x"), set(), 60),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_move_costs_the_same_whatever_waits(name):
    prepare, move, indexes, pages = MOVES[name]
    needed = prepare()
    plans = plans_of(lambda: move(needed))
    for plan in plans:
        assert not plan.walks, plan.lines
        assert plan.pages <= pages, plan
    used = set().union(*(plan.indexes for plan in plans))
    assert indexes <= used, f"{name}: {used}"


def test_a_lane_of_thousands_is_read_once_and_never_again():
    """The first claims park what is behind; after them a claim touches as few pages as one of an empty task."""
    while ledger.claim("busy.reply", places=5000, worker=1)[1]:
        pass  # claims and parks until nothing is due any more
    assert Job.objects.filter(lane="deep", status="processing").count() == 1
    assert Job.objects.filter(lane="deep", run_at__year=9000).count() == DEEP - 1
    [plan] = plans_of(lambda: ledger.claim("busy.reply", places=100, worker=1))
    assert not plan.walks
    if connection.vendor == "postgresql":
        assert plan.pages <= 1500  # dead index entries of what this test has just parked, not yet vacuumed


def test_orphans_are_found_without_a_walk_through_what_is_finished():
    """Half a minute apart and in one seat: it may read what waits, not the whole ledger."""
    [plan] = plans_of(ledger.promote_orphans)
    assert not [line for line in plan.walks if not line.endswith("job_due")]  # an index of what waits
