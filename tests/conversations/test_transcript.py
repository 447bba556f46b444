"""A conversation in the admin: bubbles, ticks, what answers what, what it cost, and the jobs behind it."""

import html
import re

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.conversations.admin import transcript
from apps.conversations.models import Message
from apps.conversations.services import Failure, NewMessage, add_messages, advance, mark_failed
from tests.factories.accounts import UserFactory
from tests.factories.conversations import ContactFactory, ConversationFactory
from tests.factories.jobs import JobFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk():
    return ConversationFactory(contact=ContactFactory(name="Ada"))


def say(talk, direction, text, **more):
    with transaction.atomic():
        add_messages([NewMessage(conversation_id=talk.pk, direction=direction, text=text, **more)])
    return Message.objects.filter(conversation=talk).order_by("-position")[0]


def page(client, talk, **query):
    answer = client.get(reverse("admin:conversations_conversation_change", args=[talk.pk]), query)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def bubble(text, message):
    """The HTML of one message."""
    return re.search(rf'<li id="m{message.position}".*?</li>', text, re.S)[0]


@pytest.mark.parametrize(
    ("status", "symbol"),
    [("pending", "schedule"), ("sent", "check"), ("delivered", "done_all"), ("read", "done_all")],
)
def test_a_tick_says_how_far_it_got(admin_client, talk, status, symbol):
    reply = say(talk, "out", "Good morning!")
    if status != "pending":
        advance([reply.pk], status)
    shown = bubble(page(admin_client, talk), reply)
    assert f">{symbol}</span> {status.capitalize()}" in shown
    assert ("sb-news-good" in shown) == (status == "read")


def test_a_failure_has_its_reason_without_secrets(admin_client, talk):
    reply = say(talk, "out", "Good morning!")
    mark_failed([Failure(reply.pk, "blocked", "They blocked the bot. token=abcdef123456")])
    shown = bubble(page(admin_client, talk), reply)
    assert "Failed" in shown
    assert "blocked They blocked the bot." in shown
    assert "abcdef123456" not in shown


def test_what_answers_what_and_what_it_cost(admin_client, talk):
    asked = say(talk, "in", "When do you open?")
    details = {
        "provider": "openai",
        "model": "gpt-x",
        "tokens_in": 120,
        "tokens_out": 40,
        "seconds": 1.23,
        "cost": 0.0021,
    }
    reply = say(talk, "out", "At nine.", in_reply_to_id=asked.pk, details=details)
    shown = bubble(page(admin_client, talk), reply)
    assert f"#m{asked.position}" in shown
    assert f"answers {asked.position}" in shown
    for fact in ("openai", "gpt-x", "120 → 40 tokens", "1.2 s", "$0.0021"):
        assert f">{fact}<" in shown


@pytest.mark.parametrize(
    "details", [{}, {"cost": None, "model": None}, {"cost": "x", "tokens_in": "9"}, [], {"cost": True}]
)
def test_details_of_any_shape_are_no_error(details):
    assert transcript.facts(details) == []


def test_a_fallback_leads_to_the_job_that_gave_up(admin_client, talk):
    asked = say(talk, "in", "Hello?")
    told = say(talk, "out", "Sorry.", in_reply_to_id=asked.pk, is_fallback=True, details={"failed_job": 77})
    shown = bubble(page(admin_client, talk), told)
    assert "fallback message" in shown
    assert reverse("admin:jobs_job_change", args=[77]) in shown


def test_a_long_conversation_has_pages(admin_client, talk, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(transcript, "PAGE", 4)
    with transaction.atomic():
        add_messages(
            [NewMessage(conversation_id=talk.pk, direction="in", text=f"line {n}.") for n in range(1, 11)]
        )
    last = page(admin_client, talk)
    assert [n for n in range(1, 11) if f"line {n}." in last] == [7, 8, 9, 10]
    assert "?before=7" in last
    with django_assert_max_num_queries(8):
        middle = page(admin_client, talk, before="7")
    assert [n for n in range(1, 11) if f"line {n}." in middle] == [3, 4, 5, 6]
    assert middle.index("line 3.") < middle.index("line 6.")
    first = page(admin_client, talk, before="3")
    assert [n for n in range(1, 11) if f"line {n}." in first] == [1, 2]
    assert "Earlier messages" not in first
    for odd in ("x", "-1", "9" * 30, "0"):
        page(admin_client, talk, before=odd)


def test_the_message_that_is_answered_may_stand_on_another_page(admin_client, talk, monkeypatch):
    monkeypatch.setattr(transcript, "PAGE", 1)
    asked = say(talk, "in", "When do you open?")
    reply = say(talk, "out", "At nine.", in_reply_to_id=asked.pk)
    assert f"?before={asked.position + 1}#m{asked.position}" in bubble(page(admin_client, talk), reply)


class TestJobs:
    def pieces(self, client, talk, **query):
        answer = client.get(reverse("admin:conversations_conversation_jobs", args=[talk.pk]), query)
        assert answer.status_code == 200
        return dict(
            re.findall(r'id="jobs-(\d+)" hx-swap-oob="true">(.*?)</div>', answer.content.decode(), re.S)
        )

    def test_stand_behind_their_messages(self, admin_client, talk, django_assert_max_num_queries):
        asked = say(talk, "in", "When do you open?")
        reply = say(talk, "out", "At nine.", in_reply_to_id=asked.pk)
        other = say(talk, "in", "Thanks")
        mine = {"correlation_id": str(asked.public_id)}
        turn = JobFactory(task="pipeline.generate_reply", status="completed", **mine)
        send = JobFactory(
            task="delivery.send_widget",
            status="failed",
            failure_reason="exhausted",
            payload={"message": reply.pk},
            **mine,
        )
        JobFactory(correlation_id="somebody-else")
        address = reverse("admin:conversations_conversation_jobs", args=[talk.pk])
        assert f'hx-get="{address}' in page(admin_client, talk)
        with django_assert_max_num_queries(6):
            found = self.pieces(admin_client, talk)
        assert set(found) == {str(asked.pk), str(reply.pk)}
        assert reverse("admin:jobs_job_change", args=[turn.pk]) in found[str(asked.pk)]
        assert reverse("admin:jobs_job_change", args=[send.pk]) in found[str(reply.pk)]
        assert "tried as often as allowed" in found[str(reply.pk)]
        assert str(other.pk) not in found

    def test_are_for_those_who_may_see_jobs(self, talk):
        say(talk, "in", "Hello")
        user = UserFactory.create(is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_conversation"))
        client = Client()
        client.force_login(user)
        address = reverse("admin:conversations_conversation_jobs", args=[talk.pk])
        assert f'hx-get="{address}' not in page(client, talk)
        assert client.get(address).status_code == 403
        assert Client().get(address).status_code == 302


def test_nobody_changes_a_transcript(admin_client, talk):
    address = reverse("admin:conversations_conversation_change", args=[talk.pk])
    assert admin_client.post(address, {"state": "closed"}).status_code == 403
    gone = admin_client.get(reverse("admin:conversations_conversation_change", args=[10**6]), follow=True)
    assert "There is no conversation" in gone.content.decode()
