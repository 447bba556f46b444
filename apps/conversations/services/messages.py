"""Put messages into conversations."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import connection, router, transaction
from django.db.models import Case, F, PositiveIntegerField, Value, When
from django.db.models.expressions import Combinable
from django.utils import timezone

from apps.conversations.models import Conversation, Message
from apps.conversations.statements import records, rows, statements
from apps.conversations.text import storable


@dataclass(slots=True, kw_only=True)
class NewMessage:
    """A message to add. Inbound ones are `received`, outbound ones `pending`, unless told otherwise.

    `answers_up_to`: the person's messages up to this position are answered by it; never goes back.
    """

    conversation_id: int
    direction: str
    text: str
    status: str = ""
    public_id: UUID | str = field(default_factory=uuid4)
    in_reply_to_id: int | None = None
    answers_up_to: int | None = None
    is_fallback: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


class Added(NamedTuple):
    """A message that stands in its conversation."""

    pk: int
    public_id: str
    conversation_id: int
    position: int


def add_messages(new: Sequence[NewMessage]) -> list[Added]:
    """Append messages to their conversations, in the order given; returns them in the same order.

    Two statements however many there are: move the conversations on (which locks them in the order of their keys,
    so that two groups can't wait for each other), insert. None at all for an empty list.

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
    now = timezone.now()
    last = _grow(new, now)
    to_insert = []
    for item in new:
        last[item.conversation_id] += 1
        to_insert.append(_record(item, last[item.conversation_id], now))
    text = statements()
    pks = {
        (conversation, position): pk
        for pk, conversation, position in rows(text.insert, messages=records(to_insert))
    }
    return [
        Added(
            pks[item.conversation_id, record["position"]],
            str(item.public_id),
            item.conversation_id,
            record["position"],
        )
        for item, record in zip(new, to_insert, strict=True)
    ]


def _grow(new: Sequence[NewMessage], now: datetime) -> dict[int, int]:
    """Make room in the conversations; returns the position before the first new one of each."""
    growth: dict[int, dict[str, int]] = {}
    for item in new:
        more = growth.setdefault(
            item.conversation_id, {"id": item.conversation_id, "number": 0, "answered": 0}
        )
        more["number"] += 1
        more["answered"] = max(more["answered"], item.answers_up_to or 0)
    grown = rows(
        statements().grow,
        growth=records(list(growth.values())),
        now=connection.ops.adapt_datetimefield_value(now),
    )
    counts = dict(grown)
    if missing := growth.keys() - counts.keys():
        raise Conversation.DoesNotExist(f"No conversation with key {sorted(missing)}.")
    return {pk: count - growth[pk]["number"] for pk, count in counts.items()}


def _record(item: NewMessage, position: int, now: datetime) -> dict[str, Any]:
    inbound = item.direction == Message.Direction.IN
    public_id = item.public_id if isinstance(item.public_id, UUID) else UUID(item.public_id)
    return {
        "public_id": public_id.hex,  # both databases read this
        "conversation": item.conversation_id,
        "position": position,
        "direction": str(item.direction),
        "text": storable(item.text),
        "status": str(item.status or (Message.Status.RECEIVED if inbound else Message.Status.PENDING)),
        "in_reply_to": item.in_reply_to_id,
        "is_fallback": item.is_fallback,
        "details": item.details,
        "created_at": str(connection.ops.adapt_datetimefield_value(item.created_at or now)),
    }


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
