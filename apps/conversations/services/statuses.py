"""Move outbound messages forward: pending, failed, sent, delivered, read; never back.

Reports about a message may come early, twice or out of order, and from several processes at once. So every
move is an UPDATE that names the statuses it may follow, and a row that is further already is left alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.conversations.lookups import TextByKey
from apps.conversations.models import Message
from apps.conversations.services.messages import advance_counts, lock_conversations
from apps.conversations.statements import records, rows, statements
from apps.conversations.text import storable

Status = Message.Status


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be delivered: its key, a short code, and words for a person."""

    message_id: int
    code: str = ""
    error: str = ""


def mark_sent(sent: Mapping[int, str]) -> int:
    """The provider took these messages: key -> the provider's id of it ('' where it gives none).

    One UPDATE when all of them were pending, which is what happens when nothing went wrong; else what `advance`
    does for the others. Returns how many moved.
    """
    if not sent:
        return 0
    given = [{"id": pk, "provider_message_id": storable(text)[:255]} for pk, text in sorted(sent.items())]
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    moved = {pk for (pk,) in rows(statements().sent, sent=records(given), now=now)}
    others = {pk: text for pk, text in sent.items() if pk not in moved}
    return len(moved) + (advance(list(others), Status.SENT, provider_message_ids=others) if others else 0)


@transaction.atomic(savepoint=False)
def mark_failed(failures: Sequence[Failure]) -> int:
    """These pending messages will not arrive. One UPDATE. Returns how many moved; the others stay as is."""
    if not failures:
        return 0
    pks = [failure.message_id for failure in failures]
    return _lowest_first(Message.objects.filter(pk__in=pks, status=Status.PENDING)).update(
        status=Status.FAILED,
        error_code=TextByKey({failure.message_id: storable(failure.code)[:100] for failure in failures}),
        error=TextByKey({failure.message_id: storable(failure.error) for failure in failures}),
    )


@transaction.atomic(savepoint=False)
def advance(
    message_ids: Sequence[int], status: str, *, provider_message_ids: Mapping[int, str] | None = None
) -> int:
    """Move outbound messages to `sent`, `delivered` or `read`, those that aren't there yet.

    One UPDATE when all of them move, which is what happens when nothing went wrong. When some didn't, four
    statements more at most: a failed message that arrived after all takes a new position at the end of its
    conversation, because those who read along have passed its old one.

    Returns how many moved. Raises ValueError for any other status.
    """
    if status not in (Status.SENT, Status.DELIVERED, Status.READ):
        raise ValueError(f"A message can be advanced to sent, delivered or read, not to {status!r}.")
    if not message_ids:
        return 0
    before = Message.RANKING[: Message.RANKING.index(Status(status))]
    values: dict[str, Any] = {"status": status, "sent_at": Coalesce("sent_at", Value(timezone.now()))}
    if provider_message_ids and any(provider_message_ids.values()):
        values["provider_message_id"] = TextByKey(
            {pk: storable(text)[:255] for pk, text in provider_message_ids.items()}
        )
    moved = _lowest_first(
        Message.objects.filter(pk__in=message_ids, status__in=[s for s in before if s != Status.FAILED])
    ).update(**values)
    if moved < len(set(message_ids)):
        moved += _revive(message_ids, values)
    return moved


def _revive(message_ids: Sequence[int], values: dict[str, Any]) -> int:
    """Failed messages among these did arrive: move them to the end of their conversations."""
    failed = Message.objects.filter(pk__in=message_ids, status=Status.FAILED)
    rows = list(failed.order_by("pk").values_list("pk", "conversation_id"))
    if not rows:
        return 0
    with transaction.atomic(savepoint=False):
        counts = lock_conversations(conversation_id for _, conversation_id in rows)
        places: dict[int, int] = {}
        for pk, conversation_id in rows:
            counts[conversation_id] += 1
            places[pk] = counts[conversation_id]
        # Whoever revives holds the conversation's lock. A row that somebody else revived since we looked no
        # longer matches, and its place stays empty.
        moved = failed.update(**values, position=_each(places), error="", error_code="")
        advance_counts(
            Counter(conversation_id for _, conversation_id in rows), last_message_at=timezone.now()
        )
        return moved


def _lowest_first(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The same rows, locked in the order of their keys: two updates of overlapping rows can't deadlock."""
    return messages.filter(pk__in=messages.order_by("pk").select_for_update(no_key=True).values("pk"))


def _each(values: Mapping[int, Any]) -> Any:
    """An expression that gives each row its own value; a plain one where all are equal."""
    distinct = set(values.values())
    if len(distinct) == 1:
        return Value(distinct.pop())
    pks_by_value: dict[Any, list[int]] = {}
    for pk, value in values.items():
        pks_by_value.setdefault(value, []).append(pk)
    return Case(*(When(pk__in=pks, then=Value(value)) for value, pks in pks_by_value.items()))
