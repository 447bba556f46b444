"""The last messages of a conversation cost the same however long its history is."""

import re
from typing import Any

import pytest
from django.db import connection, transaction

from apps.conversations.models import Conversation, Message
from apps.conversations.services import Failure, NewMessage, advance, mark_failed
from apps.conversations.statements import records, rows, statements
from tests.factories.conversations import ConversationFactory, added


def parameters(*turns: tuple[int, int | None], last: int = 10) -> dict[str, Any]:
    wanted = [{"conversation": pk, "position": position} for pk, position in turns]
    return {"turns": records(wanted), "last": last}


def context(*turns: tuple[int, int | None], last: int = 10) -> list[tuple[int, str]]:
    """What a turn reads: (conversation, text) in the order of conversations and positions."""
    found = rows(statements().context, **parameters(*turns, last=last))
    return [(row[1], row[10]) for row in sorted(found, key=lambda row: (row[1], row[7]))]


@pytest.mark.django_db
def test_the_last_ones_of_each_oldest_first(django_assert_num_queries):
    long, short = ConversationFactory.create_batch(2)
    with transaction.atomic():
        added(
            [NewMessage(conversation_id=long.pk, direction="in", text=f"long {n}") for n in range(1, 16)]
            + [NewMessage(conversation_id=short.pk, direction="in", text="short 1")]
        )
    with django_assert_num_queries(1):
        found = context((short.pk, None), (long.pk, None))
    assert found == [(long.pk, f"long {n}") for n in range(6, 16)] + [(short.pk, "short 1")]
    assert context((long.pk, None), last=2) == [(long.pk, "long 14"), (long.pk, "long 15")]


@pytest.mark.django_db
def test_around_one_message_wherever_it_lies():
    conversation = ConversationFactory()
    with transaction.atomic():
        added(
            [NewMessage(conversation_id=conversation.pk, direction="in", text=f"{n}") for n in range(1, 16)]
        )
    assert [text for _, text in context((conversation.pk, 5), last=2)] == ["4", "5", "6", "7"]


@pytest.mark.django_db
def test_a_late_arrival_counts_as_new():
    conversation = ConversationFactory()
    with transaction.atomic():
        messages = added(
            [NewMessage(conversation_id=conversation.pk, direction="out", text=f"{n}") for n in range(5)]
        )
    mark_failed([Failure(messages[0].pk)])
    advance([messages[0].pk], "delivered")
    assert [text for _, text in context((conversation.pk, None), last=2)] == ["4", "0"]


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
    turns = (long.pk, None), (others[0].pk, None)
    assert len(context(*turns)) == 20
    if connection.vendor == "sqlite":  # which people hardly ever ANALYZE
        assert_walks_the_index(plan_of(*turns))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # as in a worker (apps/jobs/planning.py)
    assert_walks_the_index(plan_of(*turns))


def plan_of(*turns: tuple[int, int | None]) -> str:
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(explain + statements().context, parameters(*turns))
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


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
        search = r"SEARCH m USING .*INDEX \S+ \(conversation_id=\? AND position>\?"
        assert re.search(search, plan), plan
        assert not re.search(r"SCAN (m|c|ct)\b", plan), plan
