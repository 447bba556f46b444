"""A dead letter as a person meets it: its story, and what can be done about it."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from apps.jobs import desk
from apps.jobs.admin.advice import ADVICE
from apps.jobs.models import Job
from apps.jobs.task import JobTask
from tests.factories.accounts import CustomerFactory
from tests.factories.jobs import JobFactory
from tests.jobs_admin.conftest import page
from tests.jobs_admin.tasks import HOSTILE, SECRET

pytestmark = pytest.mark.django_db
LIST = "admin:jobs_deadletter_changelist"


def do(client: Client, verb: str, job: Job, **data: str):
    return client.post(reverse(f"admin:jobs_deadletter_{verb}", args=[job.pk]), data, follow=True)


def choose(client: Client, verb: str, *jobs: Job, **data: str):
    form = {"action": verb, "_selected_action": [job.pk for job in jobs], **data}
    return client.post(reverse(LIST), form, follow=True)


def logged() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


# --- looking ------------------------------------------------------------------------------------------


def test_a_dead_letter_outlives_its_customer(staff, fail):
    job = fail("permanent", customer=4711)
    assert "customer 4711, who is gone" in page(staff, "deadletter_change", job.pk)


def test_the_list_says_why_in_words_newest_first(staff, fail):
    customer = CustomerFactory.create(name="Harbour <b>Café</b>")
    first = fail("permanent", customer=customer.pk)
    second = fail("unknown")
    text = page(staff, "deadletter_changelist")
    assert text.index(f"/{second.pk}/change/") < text.index(f"/{first.pk}/change/")
    assert "it will never work" in text
    assert "cut off after it may have happened" in text
    assert "the person has blocked us" in text
    assert "Harbour &lt;b&gt;Café&lt;/b&gt;" in text
    assert "2 dead letters" in text
    only = page(staff, "deadletter_changelist", failure_reason="unknown")
    assert f"/{first.pk}/change/" not in only
    assert f"/{second.pk}/change/" in only


@pytest.mark.parametrize("how", ["permanent", "exhausted", "unknown", "bug"])
def test_the_story(staff, fail, how):
    job = fail(how, correlation_id="c-77", lane="letters:1")
    text = html.unescape(page(staff, "deadletter_change", job.pk))
    assert ADVICE[job.failure_reason].means in text
    assert ADVICE[job.failure_reason].do in text
    assert "Deliver a letter that never arrives." in text
    assert "c-77" in text
    assert "letters:1" in text
    for attempt in job.failed_attempts.all():
        assert f"attempt {attempt.number} failed" in text
    assert ("Traceback" in text) == (how == "bug")
    if how == "bug":
        assert "in call" in text
        assert text.count("<details>") == 3


def test_every_reason_has_its_words():
    assert set(ADVICE) == set(Job.Reason)
    for reason in Job.Reason:
        assert ADVICE[reason].means
        assert ADVICE[reason].do


def test_hostile_text_is_shown_as_text_and_secrets_are_not_shown(staff, fail):
    customer = CustomerFactory.create(name=HOSTILE)
    job = fail("exhausted", customer=customer.pk, lane=f"lane {HOSTILE}", correlation_id=HOSTILE)
    Job.objects.filter(pk=job.pk).update(
        result={"note": HOSTILE}, metadata={HOSTILE: "password=hunter2hunter2"}
    )
    stored = Job.objects.get(pk=job.pk).payload["pin"]
    for text in (
        page(staff, "deadletter_changelist"),
        page(staff, "deadletter_change", job.pk),
        page(staff, "job_changelist"),
        page(staff, "job_change", job.pk),
        do(staff, "discard", job, why=HOSTILE).content.decode(),
        do(staff, "discard", job, why=HOSTILE, confirmed="yes").content.decode(),
        page(staff, "deadletter_change", job.pk),
        page(staff, "deadletter_history", job.pk),
    ):
        assert "<script>alert" not in text
        assert SECRET not in text
        assert stored not in text
        assert "abcdef123456" not in text
        assert "hunter2" not in text
    assert "&lt;script&gt;" in page(staff, "deadletter_change", job.pk)


def test_it_leads_to_what_it_belongs_to(staff, viewer, fail):
    job = fail("permanent", payload={"message": 41, "conversation": 7})
    text = page(staff, "deadletter_change", job.pk)
    message = reverse("admin:conversations_message_change", args=[41])
    assert message in text
    assert reverse("admin:conversations_conversation_change", args=[7]) in text
    assert message not in page(viewer, "deadletter_change", job.pk)


def test_a_letter_of_a_task_that_is_gone_can_be_read_and_discarded(staff):
    job = JobFactory.create(task="gone.task", queue="gone", status="failed", payload={"token": "geheimnis"})
    text = html.unescape(page(staff, "deadletter_change", job.pk))
    assert "No task of this name exists" in text
    assert "geheimnis" not in text
    answer = html.unescape(do(staff, "retry", job).content.decode())
    assert "can't be tried again: no task 'gone.task'" in answer
    assert desk.Job.objects.dead_letters().filter(pk=job.pk).exists()
    assert logged() == []
    do(staff, "discard", job, confirmed="yes")
    assert not Job.objects.dead_letters().exists()


# --- acting -------------------------------------------------------------------------------------------


def test_retry_from_the_page(staff, fail):
    job = fail("permanent", customer=CustomerFactory.create().pk, lane="letters:1", correlation_id="c-1")
    answer = do(staff, "retry", job, why="  they unblocked us ")
    new = Job.objects.get(redrive_of=job)
    assert (new.status, new.task, new.lane, new.correlation_id) == ("pending", job.task, "letters:1", "c-1")
    assert f"1 tried again as job #{new.pk}." in answer.content.decode()
    job.refresh_from_db()
    assert (job.closed_by, job.closed_why) == ("olga", "they unblocked us")
    entry = LogEntry.objects.get()
    assert entry.user.username == "olga"
    assert entry.change_message == f"Tried again as job #{new.pk}. Reason: they unblocked us"
    assert entry.change_message in html.unescape(page(staff, "deadletter_history", job.pk))
    text = page(staff, "deadletter_change", job.pk)
    assert f"tried again as #{new.pk}" in text
    assert "closed by olga" in text
    assert reverse("admin:jobs_deadletter_retry", args=[job.pk]) not in text
    assert f"#{job.pk} {job.task}" in page(staff, "job_change", new.pk)


def test_a_second_click_gets_a_message(staff, fail):
    job = fail("permanent")
    do(staff, "retry", job)
    for verb in ("retry", "discard"):
        answer = do(staff, verb, job, confirmed="yes")
        assert answer.status_code == 200
        assert "closed already" in answer.content.decode()
    assert Job.objects.filter(redrive_of=job).count() == 1
    assert len(logged()) == 1


def test_discard_asks_first(staff, fail):
    job = fail("permanent")
    asked = do(staff, "discard", job, why="they left")
    assert "Discard this dead letter?" in asked.content.decode()
    assert 'value="they left"' in asked.content.decode()
    assert Job.objects.dead_letters().exists()
    answer = do(staff, "discard", job, why="they left", confirmed="yes")
    assert "1 discarded." in answer.content.decode()
    job.refresh_from_db()
    assert (job.closed_by, job.closed_why) == ("olga", "they left")
    assert logged() == ["Discarded. Reason: they left"]


def test_what_may_have_happened_is_not_repeated_without_asking(staff, fail):
    job = fail("unknown")
    asked = do(staff, "retry", job)
    assert "may have been done already" in asked.content.decode()
    assert not Job.objects.filter(redrive_of=job).exists()
    do(staff, "retry", job, confirmed="yes")
    assert Job.objects.filter(redrive_of=job).exists()


def test_what_turned_out_to_have_arrived_is_closed_with_what_follows(staff, fail, monkeypatch):
    arrived, known = [], fail("permanent")
    monkeypatch.setattr(JobTask, "arrived", lambda self, payloads: arrived.append(payloads))
    job = fail("unknown")
    assert "It arrived…" in page(staff, "deadletter_change", job.pk)
    assert "It arrived…" not in page(staff, "deadletter_change", known.pk)
    asked = do(staff, "arrived", job, why="it is in the chat").content.decode()
    assert "It arrived: close this dead letter?" in asked
    assert not arrived
    answer = do(staff, "arrived", job, why="it is in the chat", confirmed="yes")
    assert "1 closed: it arrived." in answer.content.decode()
    job.refresh_from_db()
    assert (job.closed_by, job.closed_why, len(arrived)) == ("olga", "it arrived: it is in the chat", 1)
    assert "can&#x27;t be closed as arrived" in do(staff, "arrived", known, confirmed="yes").content.decode()
    assert logged() == ["Closed: it arrived. Reason: it is in the chat"]


def test_many_at_once_ask_first_and_none_stops_the_others(staff, fail):
    jobs = [fail("permanent"), fail("unknown"), JobFactory.create(task="gone.task", status="failed")]
    asked = choose(staff, "retry", *jobs).content.decode()
    assert "Retry these 3 dead letters?" in asked
    assert "1 of them may have been done already" in asked
    answer = html.unescape(
        choose(staff, "retry", *jobs, confirmed="yes", why="the other side is back").content.decode()
    )
    assert "2 tried again." in answer
    assert "gone.task" in answer
    assert {job.redrive_of_id for job in Job.objects.exclude(redrive_of=None)} == {jobs[0].pk, jobs[1].pk}
    assert len(logged()) == 2


def test_of_many_those_that_somebody_closed_meanwhile_are_named(staff, fail):
    jobs = [fail("permanent"), fail("permanent")]
    assert "Discard these 2 dead letters?" in choose(staff, "discard", *jobs).content.decode()
    desk.discard(job=jobs[0], by="somebody else", why="quicker")
    answer = choose(staff, "discard", *jobs, confirmed="yes").content.decode()
    assert "1 discarded." in answer
    assert "One was closed already" in answer
    jobs[0].refresh_from_db()
    assert jobs[0].closed_by == "somebody else"
    again = choose(staff, "discard", *jobs, confirmed="yes")
    assert "2 were closed already" in again.content.decode()


def test_who_may_only_look_can_decide_nothing(viewer, fail):
    job = fail("permanent")
    text = page(viewer, "deadletter_change", job.pk)
    assert "the person has blocked us" in text
    assert reverse("admin:jobs_deadletter_retry", args=[job.pk]) not in text
    for verb in ("retry", "discard"):
        assert do(viewer, verb, job, confirmed="yes").status_code == 403
        choose(viewer, verb, job, confirmed="yes")
    assert list(Job.objects.dead_letters()) == [job]
    assert not Job.objects.exclude(redrive_of=None).exists()


def test_decisions_are_posts_with_a_token_from_people_who_are_logged_in(staff, fail):
    job = fail("permanent")
    for verb in ("retry", "discard"):
        url = reverse(f"admin:jobs_deadletter_{verb}", args=[job.pk])
        assert staff.get(url).status_code == 405
        assert Client().post(url).status_code == 302
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = staff.cookies
        assert strict.post(url, {"confirmed": "yes"}).status_code == 403
    assert list(Job.objects.dead_letters()) == [job]


def test_a_job_that_never_failed_or_never_was_has_no_such_page(staff):
    waiting = JobFactory.create()
    for pk in (waiting.pk, 10**30, "abc"):
        answer = staff.get(reverse("admin:jobs_deadletter_change", args=[pk]), follow=True)
        assert answer.status_code == 200
        assert "There is no job" in answer.content.decode()
        gone = staff.post(
            reverse("admin:jobs_deadletter_discard", args=[pk]), {"confirmed": "yes"}, follow=True
        )
        assert "There is no job" in gone.content.decode()


def test_nobody_edits_adds_or_deletes_one(staff, fail):
    job = fail("permanent")
    assert (
        staff.post(reverse("admin:jobs_deadletter_change", args=[job.pk]), {"error": "x"}).status_code == 403
    )
    assert (
        staff.post(reverse("admin:jobs_deadletter_delete", args=[job.pk]), {"post": "yes"}).status_code == 403
    )
    assert staff.post(reverse("admin:jobs_deadletter_add"), {}).status_code == 403
    job.refresh_from_db()
    assert job.error == "the person has blocked us"
