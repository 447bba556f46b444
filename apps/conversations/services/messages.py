"""Put messages into conversations."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import router, transaction
from django.db.models import Case, F, PositiveIntegerField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.conversations.models import Conversation, Message
from apps.conversations.text import storable


@dataclass(slots=True, kw_only=True)
class NewMessage:
    """A message to add. Inbound ones are `received`, outbound ones `pending`, unless told otherwise."""

    conversation_id: int
    direction: str
    text: str
    status: str = ""
    public_id: UUID | str = field(default_factory=uuid4)
    in_reply_to_id: int | None = None
    is_fallback: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


def add_messages(new: Sequence[NewMessage]) -> list[Message]:
    """Append messages to their conversations, in the order given; returns them in the same order.

    Three statements however many there are: lock the conversations (in the order of their keys, so that two
    groups can't wait for each other), insert, move `message_count` and `last_message_at`. None at all for an
    empty list.

    Must be called inside a transaction: the locks last until its commit, which is what makes the order of
    positions the order of commits. Raises TransactionManagementError outside of one, and
    Conversation.DoesNotExist when a conversation is gone.
    """
    if not new:
        return []
    if not transaction.get_connection(router.db_for_write(Message)).in_atomic_block:
        raise transaction.TransactionManagementError(
            "add_messages needs a transaction around it: call it inside transaction.atomic()."
        )
    counts = lock_conversations(message.conversation_id for message in new)
    now = timezone.now()
    messages = []
    for item in new:
        counts[item.conversation_id] += 1
        messages.append(_message(item, counts[item.conversation_id], now))
    Message.objects.bulk_create(messages)
    advance_counts(Counter(item.conversation_id for item in new), last_message_at=now)
    return messages


def lock_conversations(pks: Iterable[int]) -> dict[int, int]:
    """Lock these conversations until the transaction ends; returns the message_count of each. One statement.

    Raises Conversation.DoesNotExist when one is gone.
    """
    wanted = set(pks)
    found = dict(Conversation.objects.locked(wanted).values_list("pk", "message_count"))
    if missing := wanted - found.keys():
        raise Conversation.DoesNotExist(f"No conversation with key {sorted(missing)}.")
    return found


def advance_counts(by: Counter[int], *, last_message_at: datetime) -> None:
    """Raise `message_count` of these (locked) conversations, each by its own number. One statement."""
    pks_by_increment: dict[int, list[int]] = {}
    for pk, increment in by.items():
        pks_by_increment.setdefault(increment, []).append(pk)
    increment_of: Combinable
    if len(pks_by_increment) == 1:
        increment_of = Value(next(iter(pks_by_increment)))
    else:
        increment_of = Case(
            *(When(pk__in=pks, then=Value(number)) for number, pks in pks_by_increment.items()),
            output_field=PositiveIntegerField(),
        )
    Conversation.objects.filter(pk__in=list(by)).update(
        message_count=F("message_count") + increment_of, last_message_at=last_message_at
    )


def _message(item: NewMessage, position: int, now: datetime) -> Message:
    inbound = item.direction == Message.Direction.IN
    return Message(
        public_id=item.public_id if isinstance(item.public_id, UUID) else UUID(item.public_id),
        conversation_id=item.conversation_id,
        position=position,
        direction=item.direction,
        text=storable(item.text),
        status=item.status or (Message.Status.RECEIVED if inbound else Message.Status.PENDING),
        in_reply_to_id=item.in_reply_to_id,
        is_fallback=item.is_fallback,
        details=item.details,
        created_at=item.created_at or now,
    )


def mark_answered(positions: Mapping[int, int]) -> None:
    """The person's messages up to this position are answered: conversation key -> position. Never goes back.

    One UPDATE. The caller holds the conversations' locks (after add_messages it does).
    """
    if not positions:
        return
    answered = Case(
        *(When(pk=pk, then=Value(position)) for pk, position in sorted(positions.items())),
        output_field=PositiveIntegerField(),
    )
    Conversation.objects.filter(pk__in=list(positions)).update(
        answered_position=Greatest("answered_position", answered)
    )
