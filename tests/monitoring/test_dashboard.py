"""The admin's first page: its figures, from where they come, and who sees them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.conversations.models import Message
from apps.conversations.services import NewMessage, add_messages
from apps.jobs.admin import backlog
from apps.jobs.models import JobCounter
from apps.monitoring.dashboard import answers, figures, traffic
from tests.factories.conversations import ConversationFactory
from tests.factories.jobs import JobFactory, WorkerFactory

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, 30, 10, tzinfo=UTC)


def cards(client):
    figures.latest.forget()
    answer = client.get(reverse("monitoring:figures"))
    assert answer.status_code == 200
    return {card["key"]: card for card in answer.json()["cards"]}


def count(minute, task="pipeline.receive_message", **more):
    JobCounter.objects.create(minute=minute, worker=JobCounter.objects.count() + 1, task=task, **more)


class TestTraffic:
    def test_hours_and_the_last_sixty_minutes(self):
        count(NOON - timedelta(minutes=20), completed=5)
        count(NOON - timedelta(minutes=50), completed=7)  # the hour before, within the last sixty minutes
        count(NOON - timedelta(minutes=70), completed=11)
        count(NOON - timedelta(hours=23), completed=13)
        count(NOON - timedelta(hours=25), completed=1000)
        count(NOON, task="delivery.send_telegram", completed=3, failed=2, retried=4)
        count(NOON, task="delivery.send_widget", completed=1)
        count(NOON, task="jobs.prune", completed=99)
        found = traffic.traffic(NOON)
        assert [hour.hour for hour, _ in found.hours] == [*range(13, 24), *range(13)]
        assert [sums.came for _, sums in found.hours] == [13, *[0] * 21, 18, 5]
        assert found.last_hour == traffic.Sums(came=12, sent=4, failed=2, retried=4)
        assert found.day == traffic.Sums(came=36, sent=4, failed=2, retried=4)

    def test_an_hour_that_is_over_is_added_up_once(self, django_assert_num_queries):
        traffic.traffic(NOON)
        with django_assert_num_queries(2):
            traffic.traffic(NOON)
        count(
            NOON - timedelta(minutes=40), completed=5
        )  # nobody does that: counts have the minute of their commit
        count(NOON, completed=2)
        assert traffic.traffic(NOON).day.came == 2

    def test_an_hour_that_has_just_ended_still_counts(self):
        late = NOON.replace(minute=1)
        traffic.traffic(late)
        count(late - timedelta(minutes=1, seconds=30), completed=5)
        assert traffic.traffic(late).day.came == 5


class TestAnswers:
    def say(self, *spoken):
        talk = ConversationFactory()
        with transaction.atomic():
            add_messages([NewMessage(conversation_id=talk.pk, **one) for one in spoken])
        return list(Message.objects.filter(conversation=talk).order_by("position"))

    def answered(self, seconds, *, ago=0.0, **more):
        """A question and its answer, so many seconds later."""
        begin = timezone.now() - timedelta(minutes=30, hours=ago)
        asked = self.say({"direction": "in", "text": "?", "created_at": begin})[0]
        reply = self.say(
            {"direction": "out", "text": "!", "in_reply_to_id": asked.pk, "created_at": begin, **more}
        )[0]
        Message.objects.filter(pk=reply.pk).update(sent_at=begin + timedelta(seconds=seconds), status="sent")

    def test_median_and_p95(self):
        for seconds in range(1, 21):
            self.answered(seconds)
        found = answers.answers()
        assert (found.replies, found.since) == (20, None)
        assert found.median == pytest.approx(10)
        assert found.p95 == pytest.approx(19)

    def test_tokens_and_cost_as_far_as_they_are_on_record(self):
        self.answered(1, details={"tokens_in": 100, "tokens_out": 20, "cost": 0.25})
        self.answered(1, details={"tokens_in": 10, "tokens_out": 2, "cost": None})
        self.answered(1, is_fallback=True, details={"failed_job": 3})
        found = answers.answers()
        assert (found.tokens_in, found.tokens_out, found.fallbacks) == (110, 22, 1)
        assert found.cost == pytest.approx(0.25)

    def test_only_the_last_day_counts(self):
        self.answered(1, ago=25)
        self.answered(1)
        assert answers.answers().replies == 1

    def test_of_many_the_latest_are_read_and_it_is_said_since_when(self, monkeypatch):
        monkeypatch.setattr(answers, "MOST_READ", 4)
        for _ in range(3):
            self.answered(1)
        found = answers.answers()
        assert found.replies == 2
        assert found.since is not None

    def test_nothing_was_said(self, staff):
        assert cards(staff)["wait"]["value"] == "–"


class TestBacklog:
    def test_what_waits_runs_and_is_dead_by_queue(self, django_assert_num_queries):
        now = timezone.now()
        JobFactory.create_batch(2, task="jobs.prune", due_at=now - timedelta(seconds=250))
        JobFactory.create(task="jobs.prune", priority=1, due_at=now - timedelta(seconds=50))
        JobFactory.create(task="jobs.prune", run_at=now + timedelta(hours=1))
        JobFactory.create(task="jobs.prune", status="processing", lane="a")
        JobFactory.create(task="jobs.prune", status="failed", queue="gone-queue")
        JobFactory.create(task="jobs.prune", status="failed", closed_at=now)
        with django_assert_num_queries(4):
            found = {one.name: one for one in backlog.standings()}
        one = found["maintenance"]
        assert (one.waiting, one.running, one.dead) == (3, 1, 0)
        assert one.oldest == pytest.approx(250, abs=5)
        assert one.is_unserved
        assert found["gone-queue"].dead == 1
        WorkerFactory.create(queues=["maintenance"])
        assert not {one.name: one for one in backlog.standings()}["maintenance"].is_unserved

    def test_counting_stops(self, monkeypatch, staff):
        monkeypatch.setattr(backlog, "MOST_COUNTED", 3)
        monkeypatch.setattr(figures, "MOST_COUNTED", 3)
        JobFactory.create_batch(6, task="jobs.prune")
        assert {one.name: one for one in backlog.standings()}["maintenance"].waiting == 4
        assert cards(staff)["waiting"]["value"] == "3+"


class TestPage:
    def test_shows_the_figures(self, staff):
        count(timezone.now(), completed=1234)
        JobFactory.create(status="failed")
        page = staff.get(reverse("admin:index")).content.decode()
        for shown in ("1,234", "to review", "nothing is being done", "chart-messages", 'id="figures"'):
            assert shown in page
        found = cards(staff)
        assert found["came"]["value"] == "1,234"
        assert (found["dead"]["value"], found["dead"]["tone"]) == ("1", "bad")

    def test_is_read_at_most_every_two_seconds(self, staff, django_assert_num_queries):
        cards(staff)
        with django_assert_num_queries(2):  # session and user
            staff.get(reverse("monitoring:figures"))

    def test_a_person_sees_what_they_may_see(self, who_may):
        assert set(cards(who_may("view_deadletter"))) == {"dead"}
        assert set(cards(who_may("view_jobcounter"))) == {"came", "sent", "failed"}
        assert set(cards(who_may("view_message", "view_worker"))) == {"wait", "tokens", "workers"}
        nobody = who_may()
        assert cards(nobody) == {}
        answer = nobody.get(reverse("monitoring:figures")).json()
        assert (answer["queues"], answer["hours"]) == ([], {})
        assert "There are no figures for you here" in nobody.get(reverse("admin:index")).content.decode()

    def test_figures_are_behind_the_login(self):
        answer = Client().get(reverse("monitoring:figures"))
        assert (answer.status_code, answer.url.partition("?")[0]) == (302, reverse("admin:login"))

    def test_nothing_is_posted_there(self, staff):
        assert staff.post(reverse("monitoring:figures")).status_code == 405
