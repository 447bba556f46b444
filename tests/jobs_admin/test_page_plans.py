"""What the pages cost in a ledger of 50,000 rows: the list walks the index of ids, the overviews read only the
partial indexes of what waits, runs or is dead."""

import pytest
from django.db import connection
from django.urls import reverse

from apps.jobs.admin.backlog import standings
from apps.jobs.admin.queues import overview
from apps.jobs.models import Job
from tests.jobs import ledger_of_50000
from tests.jobs.ledger_of_50000 import plans_of

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module", autouse=True)
def _ledger(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        ledger_of_50000.fill()
        yield
        ledger_of_50000.empty()


def job_plans(move):
    return [plan for plan in plans_of(move) if plan.lines]


def get(client, name, *args, **query):
    answer = client.get(reverse(f"admin:jobs_{name}", args=args), query)
    assert answer.status_code == 200
    return answer


def test_the_list_of_jobs_is_a_walk_down_the_ids(staff):
    plans = job_plans(lambda: get(staff, "job_changelist"))
    # The badge in the menu counts dead letters, a hundred at most.
    badges = [plan for plan in plans if "job_dead" in plan.indexes]
    assert len(badges) == 1
    assert badges[0].pages < 100
    plans.remove(badges[0])
    assert plans
    for plan in plans:
        if connection.vendor == "postgresql":
            assert [line for line in plan.lines if "jobs_job_pkey" in line], plan.lines
            assert not plan.walks
            assert plan.pages < 2_500
        else:
            # SQLite's table is its index of ids; what would show a detour is a sort.
            assert not [line for line in plan.lines if "TEMP B-TREE" in line], plan.lines


def test_the_list_of_dead_letters_reads_dead_letters(staff):
    plans = job_plans(lambda: get(staff, "deadletter_changelist"))
    assert plans
    for plan in plans:
        assert "job_dead" in plan.indexes, plan.lines
        assert not plan.walks


def test_the_overview_reads_what_waits_runs_or_is_dead():
    with connection.cursor() as cursor:
        # While a quarter of all rows waits, reading the table is the cheapest way; here few of them do.
        cursor.execute("DELETE FROM jobs_job WHERE status = 'pending' AND id % 20 <> 0")
        cursor.execute("ANALYZE jobs_job")
        if connection.vendor == "postgresql":
            # At this size the two ways cost about the same; shown is that there is another than reading the table.
            cursor.execute("SET LOCAL enable_seqscan = off")
    plans = job_plans(overview)
    assert len(plans) >= 3
    for plan in plans:
        assert not [line for line in plan.walks if "job_due" not in line], plan.lines
    assert {"job_due", "job_lane_running", "job_dead"} <= set().union(*(plan.indexes for plan in plans))


def test_a_story_is_read_by_index(staff):
    job = Job.objects.dead_letters().order_by("pk").first()
    assert job is not None
    for plan in job_plans(lambda: get(staff, "deadletter_change", job.pk)):
        assert not plan.walks, plan.lines


def test_the_first_page_reads_what_is_due_runs_or_is_dead():
    plans = job_plans(standings)
    assert len(plans) >= 3
    for plan in plans:
        assert not plan.walks, plan.lines
    assert {"job_due", "job_lane_running", "job_dead"} <= set().union(*(plan.indexes for plan in plans))


def test_filters_answer(staff):
    for query in ({"status__exact": "failed"}, {"task": "busy.send"}, {"made": "60"}, {"q": "nowhere"}):
        get(staff, "job_changelist", **query)
