"""A status never goes backwards, whatever is reported in whatever order."""

import threading

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from apps.conversations.models import Conversation, Message
from apps.conversations.services import Failure, NewMessage, advance, mark_failed, mark_sent
from tests.factories.conversations import ConversationFactory, added

ORDER = ["pending", "failed", "sent", "delivered", "read"]


def replies(count: int = 1, conversation: Conversation | None = None) -> list[Message]:
    conversation = conversation or ConversationFactory()
    with transaction.atomic():
        return added(
            [
                NewMessage(conversation_id=conversation.pk, direction="out", text=f"reply {n}")
                for n in range(count)
            ]
        )


class TestAnyOrder(HypothesisTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(ORDER[1:]), max_size=12))
    def test_only_forward_and_ends_with_the_furthest(self, reports):
        [message] = replies()
        furthest = 0
        for report in reports:
            moved = (
                mark_failed([Failure(message.pk)]) if report == "failed" else advance([message.pk], report)
            )
            message.refresh_from_db()
            # Failing is only possible from pending; everything else wins over what stands before it.
            expected = max(furthest, ORDER.index(report))
            assert message.status == ORDER[expected]
            assert moved == (1 if expected > furthest else 0)
            furthest = expected
        assert (message.sent_at is not None) == (furthest > 1)
        assert (
            message.conversation.messages.filter(position__gt=message.conversation.message_count).count() == 0
        )


@pytest.mark.django_db
def test_one_statement_for_a_group(django_assert_num_queries):
    messages = replies(30)
    with django_assert_num_queries(1):
        assert mark_sent({m.pk: f"provider-{m.pk}" for m in messages}) == 30
    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}
    assert all(m.provider_message_id == f"provider-{m.pk}" for m in Message.objects.all())
    with django_assert_num_queries(1):
        assert advance([m.pk for m in messages], "delivered") == 30
    assert all(m.provider_message_id for m in Message.objects.all())


@pytest.mark.django_db
def test_failures_keep_their_reasons(django_assert_num_queries):
    first, second, third = replies(3)
    mark_sent({third.pk: ""})
    with django_assert_num_queries(1):
        moved = mark_failed(
            [
                Failure(first.pk, "blocked", "The person blocked this bot."),
                Failure(second.pk, "expired", "Too\x00 late."),
                Failure(third.pk, "unknown", ""),
            ]
        )
    assert moved == 2
    rows = Message.objects.order_by("pk").values_list("status", "error_code", "error")
    assert list(rows) == [
        ("failed", "blocked", "The person blocked this bot."),
        ("failed", "expired", "Too late."),
        ("sent", "", ""),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
def test_a_failed_message_that_arrived_takes_a_place_at_the_end(django_assert_num_queries, status):
    first, second, third = replies(3)
    mark_failed([Failure(first.pk, "timeout", "No answer."), Failure(second.pk, "timeout", "No answer.")])
    with transaction.atomic(), django_assert_num_queries(5):
        assert advance([second.pk, third.pk], status) == 2
    for message in (first, second, third):
        message.refresh_from_db()
    assert [m.position for m in (first, second, third)] == [1, 4, 3]
    assert [m.status for m in (first, second, third)] == ["failed", status, status]
    assert (second.error, second.error_code) == ("", "")
    assert second.conversation.message_count == 4
    assert advance([second.pk], status) == 0
    second.refresh_from_db()
    assert second.position == 4


@pytest.mark.django_db
def test_what_people_wrote_has_no_status_to_move():
    conversation = ConversationFactory()
    with transaction.atomic():
        [message] = added([NewMessage(conversation_id=conversation.pk, direction="in", text="hi")])
    assert advance([message.pk], "read") == 0
    assert mark_failed([Failure(message.pk)]) == 0
    with pytest.raises(ValueError, match="pending"):
        advance([message.pk], "pending")


@pytest.mark.django_db
def test_nothing_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert (mark_sent({}), mark_failed([]), advance([], "sent")) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_reports_from_many_sides_at_once():
    """Each thread reports about the same messages in an order of its own; some had failed before."""
    messages = [m for _ in range(3) for m in replies(5)]
    pks = [m.pk for m in messages]
    mark_failed([Failure(pk) for pk in pks[::2]])
    errors: list[BaseException] = []
    together = threading.Barrier(4)

    def report(number: int) -> None:
        mine = pks[number:] + pks[:number]
        try:
            together.wait(timeout=10)
            for status in ("read", "sent", "delivered") if number % 2 else ("sent", "delivered", "read"):
                with transaction.atomic():
                    advance(mine[::-1] if number % 2 else mine, status)
        except BaseException as error:  # a thread's error must reach the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=report, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    assert set(Message.objects.values_list("status", flat=True)) == {"read"}
    for conversation in Conversation.objects.all():
        assert max(conversation.messages.values_list("position", flat=True)) <= conversation.message_count
