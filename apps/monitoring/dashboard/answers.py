"""How long people waited for their answers, and what the AI used: measured on the latest messages.

What it costs: a walk down the messages' keys, MOST_READ rows at most, each with the message that it answers by key.
Where more was said in 24 hours, the figures stand for the latest part of them, and the page says since when.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.conversations.admin.transcript import amount
from apps.conversations.models import Message

MOST_READ = 2000
DAY = timedelta(days=1)


@dataclass(slots=True)
class Answers:
    """Waiting times in seconds, from the message that is answered to the moment when the answer was sent."""

    replies: int = 0
    fallbacks: int = 0
    undelivered: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    """USD; None where no reply has its cost on record."""
    waits: list[float] = field(default_factory=list)
    since: datetime | None = None
    """From when on, if the day has more messages than were read."""

    @property
    def median(self) -> float | None:
        return quantile(self.waits, 0.5)

    @property
    def p95(self) -> float | None:
        """95 of 100 waited no longer than this."""
        return quantile(self.waits, 0.95)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of all do not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def answers(now: datetime | None = None) -> Answers:
    """Of the last 24 hours, as far as MOST_READ messages reach back."""
    begin = (now or timezone.now()) - DAY
    rows = Message.objects.order_by("-pk").values_list(
        "direction", "status", "created_at", "sent_at", "in_reply_to__created_at", "is_fallback", "details"
    )[:MOST_READ]
    return _add_up(rows, begin)


def _add_up(rows: Iterable[tuple[Any, ...]], begin: datetime) -> Answers:
    found, read, oldest = Answers(), 0, None
    for direction, status, created, sent, asked, is_fallback, details in rows:
        if created < begin:
            return found
        read, oldest = read + 1, created
        if direction != Message.Direction.OUT:
            continue
        found.replies += 1
        found.fallbacks += is_fallback
        found.undelivered += status == Message.Status.FAILED
        if sent and asked:
            found.waits.append(max(0.0, (sent - asked).total_seconds()))
        _add_usage(found, details if isinstance(details, dict) else {})
    if read == MOST_READ:
        found.since = oldest
    return found


def _add_usage(found: Answers, details: dict[str, Any]) -> None:
    for name in ("tokens_in", "tokens_out"):
        number = details.get(name)
        if isinstance(number, int):
            setattr(found, name, getattr(found, name) + number)
    if (cost := amount(details.get("cost"))) is not None:
        found.cost = (found.cost or 0.0) + cost
