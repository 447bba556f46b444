"""Messages get their places under the conversation's lock, in as few statements as possible."""

import random
import threading
import uuid

import pytest
from django.db import connection, transaction

from apps.conversations.models import Conversation, Message
from apps.conversations.services import NewMessage, add_messages
from tests.factories.conversations import ConversationFactory, added


def incoming(conversation_id: int, text: str = "hello") -> NewMessage:
    return NewMessage(conversation_id=conversation_id, direction=Message.Direction.IN, text=text)


def outgoing(conversation_id: int, text: str = "hello", answers_up_to: int | None = None) -> NewMessage:
    return NewMessage(
        conversation_id=conversation_id,
        direction=Message.Direction.OUT,
        text=text,
        answers_up_to=answers_up_to,
    )


@pytest.mark.django_db
def test_places_follow_each_other_and_the_conversation_keeps_count():
    first, second = ConversationFactory.create_batch(2)
    with transaction.atomic():
        stored = added(
            [
                incoming(first.pk, "a"),
                incoming(second.pk, "b"),
                incoming(first.pk, "c"),
                outgoing(first.pk, "d"),
            ]
        )
        added([outgoing(second.pk, "e")])
    assert [(m.conversation_id, m.position, m.text) for m in stored] == [
        (first.pk, 1, "a"), (second.pk, 1, "b"), (first.pk, 2, "c"), (first.pk, 3, "d"),
    ]  # fmt: skip
    assert [m.status for m in stored] == ["received", "received", "received", "pending"]
    assert all(m.pk for m in stored)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.message_count, second.message_count) == (3, 2)
    assert first.last_message_at is not None
    assert list(first.messages.after(1).values_list("text", flat=True)) == ["c", "d"]


@pytest.mark.django_db
@pytest.mark.parametrize("uneven", [False, True])
def test_two_statements_however_many_messages(django_assert_num_queries, uneven):
    conversations = ConversationFactory.create_batch(50 if not uneven else 25)
    new = [incoming(conversation.pk) for conversation in conversations]
    if uneven:
        new += [incoming(conversation.pk) for conversation in conversations[:20]]
        new += [incoming(conversations[0].pk) for _ in range(5)]
    assert len(new) == 50
    with transaction.atomic(), django_assert_num_queries(2):
        add_messages(new)
    counts = {c.pk: c.message_count for c in Conversation.objects.all()}
    assert counts == {c.pk: sum(1 for m in new if m.conversation_id == c.pk) for c in conversations}
    assert dict(Conversation.objects.values_list("pk", "message_count")) == counts


@pytest.mark.django_db
def test_nothing_to_add_costs_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert add_messages([]) == []


@pytest.mark.django_db(transaction=True)
def test_refuses_to_work_outside_a_transaction():
    conversation = ConversationFactory()
    with pytest.raises(transaction.TransactionManagementError, match="atomic"):
        added([incoming(conversation.pk)])
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_conversation_that_is_gone_is_named():
    with transaction.atomic(), pytest.raises(Conversation.DoesNotExist, match="4711"):
        added([incoming(4711)])


@pytest.mark.django_db
def test_keeps_what_it_was_given_and_what_a_database_can_keep():
    conversation = ConversationFactory()
    public_id = uuid.uuid4()
    [question] = added([incoming(conversation.pk, "nul \x00 and \ud800 surrogate 👍")])
    [answer] = added(
        [
            NewMessage(
                conversation_id=conversation.pk,
                direction="out",
                text="x" * 100_000,
                public_id=str(public_id),
                in_reply_to_id=question.pk,
                is_fallback=True,
                details={"model": "builtin"},
            )
        ]
    )
    answer.refresh_from_db()
    question.refresh_from_db()
    assert question.text == "nul  and � surrogate 👍"
    assert (answer.public_id, answer.in_reply_to, answer.is_fallback) == (public_id, question, True)
    assert (answer.details, len(answer.text)) == ({"model": "builtin"}, 100_000)
    assert list(question.replies.all()) == [answer]


@pytest.mark.django_db
def test_answered_position_never_goes_back(django_assert_num_queries):
    first, second = ConversationFactory.create_batch(2)
    with transaction.atomic():
        added([incoming(first.pk), incoming(first.pk), outgoing(first.pk), incoming(second.pk)])
    with transaction.atomic(), django_assert_num_queries(2):
        add_messages([outgoing(first.pk, answers_up_to=1), outgoing(second.pk, answers_up_to=1)])
    with transaction.atomic():
        add_messages([outgoing(first.pk, answers_up_to=2)])
        add_messages([outgoing(first.pk, answers_up_to=1)])
    first.refresh_from_db()
    assert first.answered_position == 2
    assert not Message.objects.unanswered([first.pk, second.pk]).exists()
    with transaction.atomic():
        added([incoming(second.pk, "and now?")])
    assert [m.text for m in Message.objects.unanswered([first.pk, second.pk])] == ["and now?"]


@pytest.mark.django_db(transaction=True)
def test_groups_that_overlap_neither_deadlock_nor_share_a_place():
    """Threads with connections of their own add to the same conversations, each in an order of its own."""
    pks = [conversation.pk for conversation in ConversationFactory.create_batch(5)]
    errors: list[BaseException] = []
    together = threading.Barrier(4)

    def write(seed: int) -> None:
        shuffled = random.Random(seed)  # noqa: S311 - only a shuffle
        try:
            together.wait(timeout=10)
            for _ in range(10):
                order = pks * 2
                shuffled.shuffle(order)
                with transaction.atomic():
                    added([incoming(pk, f"from {seed}") for pk in order])
        except BaseException as error:  # a thread's error must reach the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    for conversation in Conversation.objects.filter(pk__in=pks):
        assert conversation.message_count == 80
        places = conversation.messages.order_by("pk").values_list("position", flat=True)
        assert sorted(places) == list(range(1, 81))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_order_of_places_is_order_of_commits():
    """The second writer waits for the first one's commit, so a reader never sees place 2 before place 1."""
    conversation = ConversationFactory()
    first_has_it, second_done = threading.Event(), threading.Event()
    seen: list[list[int]] = []

    def second() -> None:
        try:
            first_has_it.wait(timeout=10)
            with transaction.atomic():
                added([incoming(conversation.pk, "second")])
            seen.append(list(Message.objects.order_by("position").values_list("position", flat=True)))
        finally:
            connection.close()
            second_done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with transaction.atomic():
        added([incoming(conversation.pk, "first")])
        first_has_it.set()
        assert not second_done.wait(timeout=0.3)
    thread.join(timeout=10)
    assert seen == [[1, 2]]
    assert list(Message.objects.order_by("position").values_list("text", flat=True)) == ["first", "second"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_transactions_in_either_order_wait_and_neither_fails(order):
    """Each adds to the same two conversations, one as given, the other turned round. Locked in the order of the keys,
    the second waits at the first of them; locked as given, they would deadlock. Planned as in a worker, where the
    conversations are looked up one by one as they were given."""
    pks = [conversation.pk for conversation in ConversationFactory.create_batch(2)]
    together, errors = threading.Barrier(2), []

    def write(mine: list[int]) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
                cursor.execute(
                    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET deadlock_timeout = '100ms'"
                )
            for _ in range(25):
                together.wait(timeout=10)
                with transaction.atomic():
                    add_messages([incoming(pk, "one") for pk in mine])
                    add_messages([outgoing(pk, answers_up_to=1) for pk in reversed(mine)])
        except BaseException as error:
            errors.append(error)
            together.abort()
        finally:
            connection.close()

    orders = [[pks[order[0]], pks[order[1]]], [pks[order[1]], pks[order[0]]]]
    threads = [threading.Thread(target=write, args=(mine,)) for mine in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    for conversation in Conversation.objects.filter(pk__in=pks):
        places = list(conversation.messages.order_by("position").values_list("position", "direction"))
        assert [place for place, _ in places] == list(range(1, 101))
        # What one transaction added stands together: nobody came in between.
        assert [direction for _, direction in places] == ["in", "out"] * 50
        assert conversation.answered_position == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", [0, -1, 2**31, 1.5, True, False, None, "", 'it\'s \\ "quoted" 👍', [1, {"a": []}], {}]
)
def test_details_of_any_shape_come_back_as_they_were(value):
    conversation = ConversationFactory()
    [stored] = added(
        [NewMessage(conversation_id=conversation.pk, direction="out", text="", details={"value": value})]
    )
    stored.refresh_from_db()
    assert (stored.details, stored.text) == ({"value": value}, "")
    assert type(stored.details["value"]) is type(value)
    assert (stored.provider_message_id, stored.error, stored.in_reply_to_id, stored.is_fallback) == (
        "",
        "",
        None,
        False,
    )


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_undone_leaves_no_gap_and_no_count():
    conversation = ConversationFactory()
    with transaction.atomic():
        added([incoming(conversation.pk, "one")])
    with transaction.atomic():
        add_messages([incoming(conversation.pk, "lost")])
        transaction.set_rollback(True)
    with transaction.atomic():
        [stored] = added([incoming(conversation.pk, "two")])
    assert stored.position == 2
