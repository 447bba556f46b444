"""The other pages of the ledger: jobs, workers, queues, counters."""

import html
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.jobs.admin import read_only, words
from apps.jobs.admin.queues import overview
from apps.jobs.models import PARKED, JobCounter, Worker
from tests.factories.accounts import CustomerFactory
from tests.factories.jobs import JobFactory, WorkerFactory
from tests.jobs_admin.conftest import page

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.34, "340 ms"),
        (2.34, "2.3 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (250, "4 min 10 s"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (187_200, "2 d 4 h"),
        (-5, "0 ms"),
    ],
)
def test_lengths_of_time(seconds, shown):
    assert words.span(seconds) == shown


def test_jobs_in_every_state_are_named_in_words(staff):
    now = timezone.now()
    customer = CustomerFactory.create(name="Blue Bicycles")
    JobFactory.create(lane="conversation:1", status="processing", started_at=now, customer=customer)
    JobFactory.create(lane="conversation:1", run_at=PARKED)
    JobFactory.create(status="retry", run_at=now + timedelta(minutes=20, seconds=30))
    JobFactory.create(run_at=now + timedelta(hours=3, minutes=1), due_at=now + timedelta(hours=3, minutes=1))
    done = JobFactory.create(
        status="completed",
        due_at=now - timedelta(seconds=130),
        started_at=now - timedelta(seconds=125),
        finished_at=now - timedelta(seconds=65),
    )
    text = page(staff, "job_changelist")
    for state in ("behind another of its lane", "running", "again in 20 min", "due in 3 h", "completed"):
        assert state in text
    assert "5.0 s, <br>1 min" in text
    assert f"?customer={customer.pk}" in text
    assert "5 jobs" in text
    assert "completed" in page(staff, "job_change", done.pk)


def test_filters_and_search(staff):
    customer = CustomerFactory.create()
    mine = JobFactory.create(
        customer=customer, lane="letters:1", correlation_id="c-9", status="failed", failure_reason="poison"
    )
    other = JobFactory.create(task="jobs.prune", created_at=timezone.now() - timedelta(days=2))
    for query, found in (
        ({"status": "failed"}, mine),
        ({"status__exact": "pending"}, other),
        ({"failure_reason__exact": "poison"}, mine),
        ({"task": "jobs.prune"}, other),
        ({"queue": "maintenance", "made": "60"}, mine),
        ({"customer": str(customer.pk)}, mine),
        ({"customer": "0"}, other),
        ({"q": str(other.pk)}, other),
        ({"q": f"#{other.pk}"}, other),
        ({"q": "c-9"}, mine),
        ({"q": "letters:1"}, mine),
    ):
        text = page(staff, "job_changelist", **query)
        assert "> 1 job <" in text, query
        assert f"/{found.pk}/change/" in text
    for nothing in ("letters", "9" * 40, "²", "5b1b3b34-7d63-4b0c-8d0b-7a4f9f4f8f4f", "<script>", "%"):
        assert "0 jobs" in page(staff, "job_changelist", q=nothing)


@pytest.mark.parametrize(
    "query", ["customer=abc", "customer=%00", "q=%00", "p=999", "task=%27", "made=x", "o=1.2.3"]
)
def test_queries_written_by_hand_are_no_error(staff, query):
    JobFactory.create()
    for name in ("job", "deadletter", "worker"):
        answer = staff.get(reverse(f"admin:jobs_{name}_changelist") + f"?{query}", follow=True)
        assert answer.status_code == 200


def test_counting_stops(staff, monkeypatch):
    monkeypatch.setattr(read_only, "COUNTED", 3)
    JobFactory.create_batch(3)
    assert "There are more" not in page(staff, "job_changelist")
    JobFactory.create()
    text = page(staff, "job_changelist")
    assert "There are more: counting stops at 3" in text


def test_a_job_can_not_be_edited(staff):
    job = JobFactory.create()
    for name, args in (("change", [job.pk]), ("delete", [job.pk]), ("add", [])):
        assert (
            staff.post(reverse(f"admin:jobs_job_{name}", args=args), {"status": "failed"}).status_code == 403
        )
    job.refresh_from_db()
    assert job.status == "pending"


def test_a_list_of_jobs_asks_the_same_however_many_rows(staff, django_assert_max_num_queries):
    for _ in range(30):
        JobFactory.create(customer=CustomerFactory.create())
    with django_assert_max_num_queries(8):
        page(staff, "job_changelist")


def test_workers_are_alive_or_say_how_they_ended(staff):
    now = timezone.now()
    alive = WorkerFactory.create(queues=["ai-processing"])
    WorkerFactory.create(ended_at=now, ended_how=Worker.Ending.DEAD)
    WorkerFactory.create(ended_at=now, ended_how=Worker.Ending.STOPPED)
    WorkerFactory.create(lease_until=now - timedelta(seconds=1))
    JobFactory.create(status="processing", worker=alive, lane="a")
    JobFactory.create(status="processing", worker=alive, lane="b")
    text = page(staff, "worker_changelist")
    for words_ in ("alive", "its process is gone", "stopped in good order", "silent beyond its lease"):
        assert words_ in text
    assert 'data-label="jobs held">2</td>' in text
    assert "ai-processing" in text
    assert "4 workers" in text
    assert "ai-processing" in page(staff, "worker_change", alive.pk)
    assert "> 1 worker <" in page(staff, "worker_changelist", state="dead")


def test_the_overview_counts_by_queue(staff, django_assert_num_queries):
    now = timezone.now()
    JobFactory.create(due_at=now - timedelta(seconds=250))
    JobFactory.create(status="processing", lane="a")
    JobFactory.create(lane="a", run_at=PARKED)
    JobFactory.create(status="retry", run_at=now + timedelta(minutes=1))
    JobFactory.create(run_at=now + timedelta(hours=1))
    JobFactory.create_batch(2, status="failed")
    JobFactory.create(status="failed", closed_at=now)
    JobFactory.create(status="completed")
    JobFactory.create(queue="old-queue", status="failed")
    with django_assert_num_queries(5):
        lines = {queue.name: queue for queue in overview()}
    assert list(lines) == [*settings.QUEUES, "old-queue"]
    line = lines["maintenance"]
    assert (line.waiting, line.running, line.parked, line.retrying, line.later, line.dead) == (
        1,
        1,
        1,
        1,
        1,
        2,
    )
    assert line.oldest.startswith("4 min 1")
    assert line.is_unserved
    assert lines["old-queue"].dead == 1
    text = html.unescape(page(staff, "queueoverview_changelist"))
    assert "Nobody serves maintenance" in text
    for queue in settings.QUEUES.values():
        assert queue.why in text
    WorkerFactory.create(queues=["maintenance"])
    assert "Nobody serves" not in page(staff, "queueoverview_changelist")


def test_counters_are_added_up_by_task(staff):
    minute = timezone.now().replace(second=0, microsecond=0)
    for worker, customer, ago in ((1, 1, 0), (1, 2, 0), (2, 1, 5), (1, 1, 120)):
        JobCounter.objects.create(
            minute=minute - timedelta(minutes=ago),
            worker=worker,
            customer=customer,
            task="letters.send",
            completed=10,
            failed=1,
            run_ms=1100,
            run_ms_max=900 + ago,
            wait_ms=22,
        )
    text = page(staff, "jobcounter_changelist")
    for shown in ('data-label="Completed">30</td>', "100 ms", "905 ms", "2 ms"):
        assert shown in text
    assert 'data-label="Completed">40</td>' in page(staff, "jobcounter_changelist", last="day")


def test_an_empty_ledger_has_pages_too(staff):
    for name in ("job", "deadletter", "worker", "queueoverview", "jobcounter"):
        page(staff, f"{name}_changelist")
    assert "No job has ended" in page(staff, "jobcounter_changelist")


def test_what_the_index_offers(staff, viewer):
    text = staff.get(reverse("admin:app_list", args=["jobs"])).content.decode()
    for name in ("Dead letters", "Jobs", "Queues", "Workers", "Job counters"):
        assert name in text
    assert "Idempotency" not in text
    assert "Queue state" not in text
    results = staff.get(reverse("admin:django_celery_results_taskresult_changelist"))
    assert results.status_code == 200
    for name in ("queueoverview", "jobcounter", "worker"):
        assert viewer.get(reverse(f"admin:jobs_{name}_changelist")).status_code == 403
        assert Client().get(reverse(f"admin:jobs_{name}_changelist")).status_code == 302


@pytest.mark.parametrize("name", ["queueoverview", "jobcounter"])
def test_overviews_have_no_rows_to_open(staff, name):
    for view in ("change", "history"):
        assert staff.get(reverse(f"admin:jobs_{name}_{view}", args=[1])).status_code == 404
    assert staff.post(reverse(f"admin:jobs_{name}_changelist")).status_code == 403
