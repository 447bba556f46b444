"""A message in, an answer out: the stages one after the other, by drain()."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import UsageRecord
from apps.conversations.models import Contact, Conversation, Message
from apps.jobs import ledger, life
from apps.jobs.drain import drain, run_one
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.settling import settle
from apps.jobs.task import get_task
from apps.pipeline.turns import TurnPayload, read_turns
from tests.factories.conversations import ChannelAccountFactory
from tests.factories.jobs import WorkerFactory
from tests.factories.knowledge import KnowledgeItemFactory
from tests.jobs.running import claim, run
from tests.pipeline.conftest import Talk

pytestmark = pytest.mark.django_db


def quiet(seconds=2.0):
    """What is due when nobody has written for so long."""
    return timezone.now() + timedelta(seconds=seconds)


def test_a_question_is_stored_answered_and_delivered(talk, ai, channel):
    message_id = talk.say("When are you open?")
    drain()
    assert talk.lines() == [
        ("in", "When are you open?", "received"),
        ("out", "re: When are you open?", "sent"),
    ]
    question, reply = Message.objects.order_by("position")
    assert str(question.public_id) == message_id
    assert reply.in_reply_to_id == question.pk
    assert reply.provider_message_id == "provider-1"
    assert reply.details["provider"] == "fake"
    assert reply.details["tokens_out"] == 7
    assert not reply.is_fallback
    [outgoing] = channel.sent
    assert (outgoing.recipient, outgoing.text) == ("person-1", "re: When are you open?")
    assert outgoing.message_id == str(reply.public_id)
    assert Conversation.objects.get().last_message_at is not None
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_each_hop_carries_priority_customer_correlation_and_its_lane(talk):
    talk.say("Hello there")
    drain()
    conversation = Conversation.objects.get().pk
    rows = {job.task: job for job in Job.objects.all()}
    assert {(job.priority, job.customer_id, job.correlation_id) for job in rows.values()} == {
        (3, talk.customer, "c-1")
    }
    assert rows["pipeline.generate_reply"].lane == f"conversation:{conversation}"
    assert rows["delivery.send_widget"].lane == f"send:{conversation}"
    assert rows["delivery.send_widget"].queue == "widget-send"
    age = rows["pipeline.generate_reply"].expires_at - rows["pipeline.generate_reply"].due_at
    assert age.total_seconds() == pytest.approx(20, abs=0.01)


def test_a_second_message_goes_into_the_same_conversation(talk):
    talk.say("one")
    drain()
    talk.say("two")
    drain()
    assert Contact.objects.count() == Conversation.objects.count() == 1
    assert [text for _, text, _ in talk.lines()] == ["one", "re: one", "two", "re: two"]


def test_several_in_a_row_get_one_answer(talk, ai):
    talk.account.debounce_seconds = 1
    talk.account.save()
    for text in ("Hello", "I have a question", "about my order"):
        talk.say(text)
    drain(until=quiet())
    assert [line for line in talk.lines() if line[0] == "out"] == [
        ("out", "re: Hello\nI have a question\nabout my order", "sent")
    ]
    assert len(ai.turns) == 1
    assert Job.objects.filter(task="pipeline.generate_reply").count() == 1


def test_what_comes_while_the_ai_thinks_gets_an_answer_of_its_own(talk, ai):
    """Its turn finds the answer to the first message behind the second."""
    talk.say("first")
    run_one(ledger.next_due(), worker=0)
    [turn] = claim("pipeline.generate_reply")
    task = get_task("pipeline.generate_reply")
    ready, _ = life.begin(task, [turn])
    talk.say("second")
    run_one(ledger.next_due(), worker=0)
    outcome = asyncio.run(life.call_async(task, ready[0]))
    ledger.promote(settle(task, [outcome], worker=0).lanes)
    drain()
    assert [text for _, text, _ in talk.lines()] == ["first", "second", "re: first", "re: second"]
    assert [line.text for line in ai.turns[-1].lines] == ["first", "re: first", "second"]


def test_a_turn_that_finds_nothing_left_to_answer_does_nothing(talk, ai):
    talk.say("first")
    drain()
    conversation = Conversation.objects.get().pk
    late = enqueue(
        "pipeline.generate_reply", {"conversation": conversation}, lane=f"conversation:{conversation}"
    )
    drain()
    assert len(ai.turns) == 1
    assert Job.objects.get(pk=late.id).status == "completed"


def test_a_chatbot_may_answer_each_message_by_itself(talk, ai):
    talk.chatbot.answer_each_message = True
    talk.chatbot.save()
    talk.say("one")
    talk.say("two")
    drain()
    answers = Message.objects.filter(direction="out").order_by("position")
    assert [reply.in_reply_to.text for reply in answers] == ["one", "two"]
    assert [turn.question for turn in ai.turns] == ["one", "two"]
    assert [line.role for line in ai.turns[1].lines] == ["user", "assistant", "user"]


def test_order_in_a_conversation_is_the_order_of_acceptance(talk, channel):
    for number in range(8):
        talk.say(f"question {number}")
        if number % 3 == 0:
            drain()
    drain()
    asked = [text for direction, text, _ in talk.lines() if direction == "in"]
    assert asked == [f"question {number}" for number in range(8)]
    assert [outgoing.text for outgoing in channel.sent] == [
        text for direction, text, _ in talk.lines() if direction == "out"
    ]


def test_conversations_of_several_people_are_apart(talk, ai):
    other = Talk(talk.account, sender="person-2")
    talk.say("mine")
    other.say("theirs")
    drain()
    assert Conversation.objects.count() == 2
    assert {turn.question for turn in ai.turns} == {"mine", "theirs"}
    assert all(len(turn.lines) == 1 for turn in ai.turns)


def test_the_last_ten_messages_are_the_context(talk, ai):
    for number in range(8):
        talk.say(f"n{number}")
        drain()
    lines = ai.turns[-1].lines
    assert len(lines) == 10
    assert lines[-1].text == "n7"
    assert [line.role for line in lines[-3:]] == ["user", "assistant", "user"]
    assert lines[0].text == "re: n2"


def test_what_could_not_be_delivered_is_no_context(talk, ai):
    talk.say("one")
    drain()
    Message.objects.filter(direction="out").update(status="failed")
    talk.say("two")
    drain()
    assert [line.text for line in ai.turns[-1].lines] == ["one", "two"]


def test_what_the_chatbot_knows_reaches_the_provider(talk, ai):
    KnowledgeItemFactory(chatbot=talk.chatbot, title="Opening hours", text="We are open from nine to five.")
    KnowledgeItemFactory(title="Of another chatbot", text="Open all night.")
    talk.say("When are you open?")
    drain()
    assert [passage.title for passage in ai.turns[0].passages] == ["Opening hours"]
    assert "nine to five" in ai.turns[0].passages[0].text


def test_the_instructions_and_options_reach_the_provider_with_what_is_left_of_the_time(talk, ai):
    talk.chatbot.system_prompt, talk.chatbot.provider_options = "Be brief.", {"model": "x"}
    talk.chatbot.save()
    talk.say("Hi")
    drain()
    assert (ai.turns[0].system_prompt, ai.turns[0].options) == ("Be brief.", {"model": "x"})
    assert 0 < ai.turns[0].timeout_seconds <= 20


@pytest.mark.parametrize("what", ["chatbot", "account"])
def test_what_is_switched_off_stores_and_does_not_answer(talk, ai, what):
    switched = talk.chatbot if what == "chatbot" else talk.account
    switched.is_active = False
    switched.save()
    talk.say("Anyone there?")
    drain()
    assert talk.lines() == [("in", "Anyone there?", "received")]
    assert ai.turns == []


def test_usage_is_logged_for_the_customer(talk):
    talk.say("Hi")
    drain()
    question, reply = Message.objects.order_by("position")
    rows = UsageRecord.objects.filter(customer=talk.customer).order_by("pk")
    assert [(row.reference, row.messages, row.tokens_in, row.tokens_out, row.sends) for row in rows] == [
        (f"message:{question.public_id}", 1, 0, 0, 0),
        (f"message:{reply.public_id}", 0, 11, 7, 0),
        (f"message:{reply.public_id}", 0, 0, 0, 1),
    ]


def test_the_page_is_told_after_each_commit(talk, channel, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        talk.say("Hi")
        drain()
    assert set(channel.announced) == {str(Conversation.objects.get().public_id)}
    assert len(channel.announced) >= 2


def test_many_messages_of_many_people_go_in_bulk(ai, channel, db, django_assert_max_num_queries):
    talks = [Talk(ChannelAccountFactory(chatbot__provider="fake"), sender=f"p{n}") for n in range(30)]
    for one in talks:
        one.say("Hello everybody")
    jobs = claim("pipeline.receive_message")
    assert len(jobs) == 30
    with django_assert_max_num_queries(45):
        run(jobs, task="pipeline.receive_message")
    assert Message.objects.count() == 30


def test_a_message_that_somebody_else_stored_is_routed_to_its_channel(talk, channel):
    talk.say("Hi")
    drain()
    Message.objects.filter(direction="out").update(status="pending")
    reply = Message.objects.get(direction="out")
    enqueue("pipeline.route_reply", {"message": reply.pk})
    drain()
    assert [outgoing.message_id for outgoing in channel.sent] == [str(reply.public_id)] * 2


def test_whoever_shows_the_growing_answer_is_told_the_ids_as_the_api_writes_them(talk, ai, channel):
    talk.say("Hi")
    worker = WorkerFactory()
    run(
        claim("pipeline.receive_message", worker=worker.pk), worker=worker.pk, task="pipeline.receive_message"
    )
    turn = TurnPayload(Conversation.objects.get().pk)
    listener = read_turns([turn])[turn].listener
    conversation = Conversation.objects.select_related("account", "contact").get()
    assert listener.conversation_id == str(conversation.public_id)
    assert listener.account == str(conversation.account.public_id)
    assert listener.recipient == conversation.contact.external_id


def test_who_only_opens_the_conversation_is_greeted_and_no_ai_is_asked(talk, ai, channel):
    talk.chatbot.greeting = "Welcome!"
    talk.chatbot.save()
    talk.say("/start", opens=True)
    drain()
    assert talk.lines() == [("in", "/start", "received"), ("out", "Welcome!", "sent")]
    assert not ai.turns
    talk.say("When are you open?")
    drain()
    assert talk.lines()[-1] == ("out", "re: When are you open?", "sent")
    assert UsageRecord.objects.filter(tokens_out__gt=0).count() == 1


def test_without_a_greeting_the_opening_is_a_question(talk, ai, channel):
    talk.chatbot.greeting = " "
    talk.chatbot.save()
    talk.say("/start", opens=True)
    drain()
    assert talk.lines()[-1] == ("out", "re: /start", "sent")
