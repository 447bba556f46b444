"""Idempotency keys: one answer per customer and key for 24 hours, whoever asks however often.

The row is written in the transaction that takes the message in, so key and message stand or fall together.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.frontdoor.inserting import insert_new
from apps.jobs.models import IdempotencyKey

KEPT = timedelta(hours=24)
ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key, and what it was used for."""

    customer: int
    key: str
    body_hash: str

    @property
    def place(self) -> tuple[int, str]:
        return self.customer, self.key


@dataclass(frozen=True, slots=True)
class Answered:
    """What was said to the first request with this key."""

    public_id: uuid.UUID
    body_hash: str


def stake(claims: Mapping[tuple[int, str], tuple[Claim, uuid.UUID]]) -> dict[tuple[int, str], Answered]:
    """Write these keys down, each with the public id it is answered with; call it in the accepting transaction.

    Returns the earlier answer of each key that was used before. One INSERT; a SELECT more where a key was used.
    """
    earlier: dict[tuple[int, str], Answered] = {}
    open_places = set(claims)
    while open_places:
        won = insert_new(
            IdempotencyKey, [_row(*claims[place]) for place in sorted(open_places)], ("customer", "key")
        )
        open_places -= {(int(str(customer)), str(key)) for customer, key in won}
        if not open_places:
            break
        found = _find(open_places)
        expired = [row.pk for row in found if row.expires_at <= timezone.now()]
        for row in found:
            if row.pk not in expired:
                place = (row.customer_id, row.key)
                earlier[place] = Answered(uuid.UUID(row.answer["id"]), row.body_hash)
                open_places.discard(place)
        # What is left has expired, or was pruned since the INSERT: its place is free again.
        IdempotencyKey.objects.filter(pk__in=expired).delete()
    return earlier


def _row(claim: Claim, public_id: uuid.UUID) -> dict[str, Any]:
    return {
        "customer": claim.customer,
        "key": claim.key,
        "body_hash": claim.body_hash,
        "status_code": ACCEPTED,
        "answer": {"id": str(public_id), "status": "accepted"},
        "expires_at": timezone.now() + KEPT,
    }


def _find(places: Iterable[tuple[int, str]]) -> list[IdempotencyKey]:
    wanted = set(places)
    rows = IdempotencyKey.objects.filter(
        customer__in={customer for customer, _ in wanted}, key__in={key for _, key in wanted}
    )
    return [row for row in rows if (row.customer_id, row.key) in wanted]
