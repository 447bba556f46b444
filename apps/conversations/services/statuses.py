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
    if not others:
        return len(moved)
    count = advance(list(others), Status.SENT, provider_message_ids=others)
    if count < len(others):  # its provider's report was quicker than we, and may not have named its id
        _learn_ids({pk: text for pk, text in others.items() if text})
    return len(moved) + count


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


@dataclass(frozen=True, slots=True)
class Reported:
    """What a provider says of one message: its key, a status it has come to, the provider's id of it if it is known,
    and why it failed."""

    message_id: int
    status: str
    provider_message_id: str = ""
    code: str = ""
    error: str = ""


def find_reported(named: Sequence[tuple[int, str, str]]) -> list[int | None]:
    """The outbound message that each (account, public id, provider's id) names; None for what isn't known (yet).

    The public id counts where there is one. Two queries, however many are asked for.
    """
    public = {ours for _, ours, _ in named if ours}
    theirs = {provider for _, ours, provider in named if provider and not ours}
    sent = Message.objects.filter(direction=Message.Direction.OUT).values_list(
        "conversation__account", "pk", "public_id", "provider_message_id"
    )
    found: dict[tuple[int, str], int] = {}
    if public:
        for account, pk, public_id, _ in sent.filter(public_id__in=public):
            found[account, str(public_id)] = pk
    if theirs:  # the condition is the index's own
        for account, pk, _, provider in sent.filter(
            provider_message_id__in=theirs, provider_message_id__gt=""
        ):
            found[account, provider] = pk
    return [found.get((account, ours or provider)) for account, ours, provider in named]


@transaction.atomic(savepoint=False)
def apply_reports(reports: Sequence[Reported]) -> set[int]:
    """Move messages to where their provider says they are; never back. Returns those that had been given up.

    `sent` that comes late, behind a `failed` of the provider's own, changes nothing; `delivered` and `read` are the
    truth whatever was said before. `failed` moves what was pending or sent.
    """
    revived: set[int] = set()
    for status in (Status.FAILED, Status.SENT, Status.DELIVERED, Status.READ):
        mine = {one.message_id: one for one in reports if one.status == status}
        if not mine:
            continue
        _learn_ids({pk: one.provider_message_id for pk, one in mine.items() if one.provider_message_id})
        if status == Status.FAILED:
            _fail_reported(mine)
            continue
        if status == Status.SENT:  # what we gave up ourselves was never sent, as far as we knew
            stale = Message.objects.filter(pk__in=mine, status=Status.FAILED, sent_at__isnull=False)
            for pk in stale.values_list("pk", flat=True):
                del mine[pk]
        revived |= _advance(list(mine), status)[1]
    return revived


def _learn_ids(ids: Mapping[int, str]) -> None:
    """What the provider calls these messages, where we didn't know."""
    if ids:
        _lowest_first(Message.objects.filter(pk__in=ids, provider_message_id="")).update(
            provider_message_id=TextByKey({pk: storable(text)[:255] for pk, text in ids.items()})
        )


def _fail_reported(failed: Mapping[int, Reported]) -> None:
    _lowest_first(Message.objects.filter(pk__in=failed, status__in=(Status.PENDING, Status.SENT))).update(
        status=Status.FAILED,
        sent_at=Coalesce("sent_at", Value(timezone.now())),  # the provider had it
        error_code=TextByKey({pk: storable(one.code)[:100] or "failed" for pk, one in failed.items()}),
        error=TextByKey({pk: storable(one.error) for pk, one in failed.items()}),
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
    return _advance(message_ids, status, provider_message_ids)[0]


def _advance(
    message_ids: Sequence[int], status: str, provider_message_ids: Mapping[int, str] | None = None
) -> tuple[int, set[int]]:
    """How many moved, and which of them had failed. Inside a transaction."""
    revived: set[int] = set()
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
        count, revived = _revive(message_ids, values)
        moved += count
    return moved, revived


def _revive(message_ids: Sequence[int], values: dict[str, Any]) -> tuple[int, set[int]]:
    """Failed messages among these did arrive: move them to the end of their conversations. How many, and which; one
    that somebody else revives at this moment is among them."""
    failed = Message.objects.filter(pk__in=message_ids, status=Status.FAILED)
    rows = list(failed.order_by("pk").values_list("pk", "conversation_id"))
    if not rows:
        return 0, set()
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
        return moved, {pk for pk, _ in rows}


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
