"""The last messages of a conversation cost the same however long its history is."""

import re

import pytest
from django.db import connection, transaction

from apps.conversations.models import Conversation, Message
from apps.conversations.services import Failure, NewMessage, advance, mark_failed
from tests.factories.conversations import ConversationFactory, added


@pytest.mark.django_db
def test_the_last_ones_of_each_oldest_first(django_assert_num_queries):
    long, short = ConversationFactory.create_batch(2)
    with transaction.atomic():
        added(
            [NewMessage(conversation_id=long.pk, direction="in", text=f"long {n}") for n in range(1, 16)]
            + [NewMessage(conversation_id=short.pk, direction="in", text="short 1")]
        )
    with django_assert_num_queries(1):
        texts = list(Message.objects.context_for([short.pk, long.pk]).values_list("text", flat=True))
    assert texts == [f"long {n}" for n in range(6, 16)] + ["short 1"]
    assert [m.text for m in Message.objects.context_for([long.pk], last=2)] == ["long 14", "long 15"]


@pytest.mark.django_db
def test_a_late_arrival_counts_as_new():
    conversation = ConversationFactory()
    with transaction.atomic():
        messages = added(
            [NewMessage(conversation_id=conversation.pk, direction="out", text=f"{n}") for n in range(5)]
        )
    mark_failed([Failure(messages[0].pk)])
    advance([messages[0].pk], "delivered")
    assert [m.text for m in Message.objects.context_for([conversation.pk], last=2)] == ["4", "0"]


@pytest.mark.django_db
def test_the_plan_walks_the_index_of_positions():
    """One conversation with a long history, one of average length, among many."""
    long, *others = ConversationFactory.create_batch(101)
    counts = {long: 5_000, **dict.fromkeys(others, 50)}
    Message.objects.bulk_create(
        [
            Message(conversation=conversation, position=n + 1, direction="in", status="received", text="x")
            for conversation, count in counts.items()
            for n in range(count)
        ],
        batch_size=1_000,
    )
    for conversation, count in counts.items():
        conversation.message_count = count
    Conversation.objects.bulk_update(counts, ["message_count"])
    question = Message.objects.context_for([long.pk, others[0].pk])
    assert question.count() == 20
    if connection.vendor == "sqlite":  # which people hardly ever ANALYZE
        assert_walks_the_index(question.explain())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert_walks_the_index(question.explain())


def assert_walks_the_index(plan: str) -> None:
    """Both parts of the key are index conditions: nothing of the history is read and thrown away."""
    if connection.vendor == "postgresql":
        assert "message_position" in plan
        assert "Seq Scan on conversations_message" not in plan
        conditions = [line for line in plan.splitlines() if "Index Cond" in line and "message_count" in line]
        assert len(conditions) == 1, plan
        assert "conversation_id" in conditions[0]
        assert '"position" >' in conditions[0]
    else:
        # The constraint is written into the table, so SQLite names its index by itself.
        search = r"SEARCH conversations_message USING .*INDEX \S+ \(conversation_id=\? AND position>\?"
        assert re.search(search, plan), plan
        assert "SCAN" not in plan
