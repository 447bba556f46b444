"""An answer that one message can't carry goes out in several, in order, and is one answer to whoever asks."""

import json

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import UsageRecord
from apps.ai.base import Answer
from apps.channels.splitting import units
from apps.conversations.models import AiAccount, ChatbotAi, Message
from apps.conversations.services import NewMessage, add_messages
from apps.jobs import desk
from apps.jobs.drain import drain
from apps.jobs.models import Job
from apps.reliability.errors import PermanentError, TransientError
from tests.factories.accounts import make_api_key
from tests.factories.jobs import make_due

pytestmark = pytest.mark.django_db
PARAGRAPHS = ["First " + "a" * 50, "Second " + "b" * 50, "Third 👍" + "c" * 50]


@pytest.fixture
def long_answer(ai, channel, monkeypatch):
    monkeypatch.setattr(type(channel), "max_text_length", 70)
    ai.text = "\n\n".join(PARAGRAPHS)


@pytest.fixture
def get(talk):
    _, secret = make_api_key(talk.chatbot.customer)

    def get(message_id):
        response = Client().get(
            f"/api/v1/messages/{message_id}", headers={"authorization": f"Bearer {secret}"}
        )
        assert response.status_code == 200
        return json.loads(response.content)["reply"]

    return get


def replies():
    return list(Message.objects.filter(direction="out").order_by("position"))


def test_it_becomes_several_messages_in_order_each_with_its_delivery(talk, channel, long_answer):
    talk.say("Hi")
    drain()
    assert [message.text for message in replies()] == PARAGRAPHS
    assert [outgoing.text for outgoing in channel.sent] == PARAGRAPHS
    assert all(units(message.text) <= 70 for message in replies())
    assert [message.position for message in replies()] == [2, 3, 4]
    assert {message.in_reply_to.text for message in replies()} == {"Hi"}
    jobs = Job.objects.filter(task="delivery.send_widget").order_by("pk")
    assert [job.payload["message"] for job in jobs] == [message.pk for message in replies()]
    assert len({job.lane for job in jobs}) == 1
    assert Message.objects.filter(direction="in").get().conversation.answered_position == 1


def test_what_it_cost_is_told_and_logged_once(talk, long_answer):
    talk.say("Hi")
    drain()
    first, *others = replies()
    assert (first.details["tokens_in"], first.details["tokens_out"]) == (11, 7)
    assert (first.details["part"], first.details["parts"]) == (1, 3)
    assert [other.details for other in others] == [{"part": 2, "parts": 3}, {"part": 3, "parts": 3}]
    used = UsageRecord.objects.filter(tokens_out__gt=0)
    assert [(one.tokens_in, one.tokens_out) for one in used] == [(11, 7)]
    assert sum(one.sends for one in UsageRecord.objects.all()) == 3


def test_tokens_of_zero_are_logged_too(talk, ai, monkeypatch):
    async def complete(turn, on_text=None):
        return Answer(text="yes", model="free", tokens_in=0, tokens_out=5)

    monkeypatch.setattr(ai, "complete", complete)
    talk.say("Hi")
    drain()
    assert replies()[0].details["tokens_in"] == 0
    assert UsageRecord.objects.filter(tokens_out=5).count() == 1


def test_the_parts_stay_in_order_when_the_first_is_tried_again(talk, channel, long_answer):
    channel.errors = [TransientError("502")]
    talk.say("Hi")
    drain()
    assert channel.sent == []
    make_due()
    drain()
    assert [outgoing.text for outgoing in channel.sent] == PARAGRAPHS


def test_whoever_asks_for_the_reply_gets_the_whole_of_it(talk, get, long_answer):
    asked = talk.say("Hi")
    drain()
    reply = get(asked)
    assert reply["text"] == "\n\n".join(PARAGRAPHS)
    assert reply["id"] == str(replies()[0].public_id)
    assert (reply["status"], reply["parts"], reply["is_fallback"]) == ("sent", 3, False)


def test_a_short_reply_is_one_part(talk, get):
    asked = talk.say("Hi")
    drain()
    assert (get(asked)["text"], get(asked)["parts"]) == ("re: Hi", 1)


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        (("sent", "sent", "pending"), "pending"),
        (("read", "delivered", "sent"), "sent"),
        (("read", "read", "read"), "read"),
        (("sent", "failed", "pending"), "failed"),
    ],
)
def test_its_status_is_that_of_the_last_of_them(talk, get, long_answer, statuses, together):
    asked = talk.say("Hi")
    drain()
    for message, status in zip(replies(), statuses, strict=True):
        Message.objects.filter(pk=message.pk).update(status=status)
    assert get(asked)["status"] == together


def test_a_part_that_arrived_after_all_keeps_its_place_in_the_text(talk, channel, get, long_answer):
    channel.errors = [PermanentError("not now", code="odd")]
    asked = talk.say("Hi")
    drain()
    assert get(asked)["status"] == "failed"
    desk.retry(job=Job.objects.dead_letters().get(), by="ada")
    drain()
    assert [message.details["part"] for message in replies()] == [2, 3, 1]
    assert (get(asked)["text"], get(asked)["status"]) == ("\n\n".join(PARAGRAPHS), "sent")


def test_the_next_answer_is_not_taken_for_a_part_of_this_one(talk, get, long_answer):
    first = talk.say("one")
    drain()
    talk.say("two")
    drain()
    assert get(first)["parts"] == 3


def test_a_question_that_was_answered_twice_has_one_reply(talk, get, long_answer):
    asked = talk.say("one")
    drain()
    question = Message.objects.get(direction="in")
    with transaction.atomic():
        add_messages(
            [
                NewMessage(
                    conversation_id=question.conversation_id,
                    direction="out",
                    text=f"again {part}",
                    in_reply_to_id=question.pk,
                    details={"part": part, "parts": 3},
                )
                for part in (1, 2, 3)
            ]
        )
    assert (get(asked)["parts"], get(asked)["text"]) == (3, "\n\n".join(PARAGRAPHS))


def test_who_wrote_it_and_who_could_not_is_kept_beside_it(talk, ai):
    for place, name in enumerate(("main", "spare"), start=1):
        account = AiAccount.objects.create(
            customer=talk.chatbot.customer,
            name=name,
            provider="fake",
            credentials={"api_key": "sk-planted-1"},
        )
        ChatbotAi.objects.create(chatbot=talk.chatbot, account=account, position=place, model=f"{name}-model")
    ai.errors = [TransientError("503", code="overloaded")]
    talk.say("Hi")
    drain()
    [reply] = replies()
    kept = dict(reply.details)
    assert kept.pop("seconds") >= 0
    assert kept == {
        "provider": "fake",
        "account": "spare",
        "model": "fake-1",
        "tokens_in": 11,
        "tokens_out": 7,
        "passed_over": ["main: overloaded"],
    }
    assert [turn.access.model for turn in ai.turns] == ["main-model", "spare-model"]
