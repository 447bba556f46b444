"""The figures of the first page: read at most every FRESH_SECONDS in a process, shown to whom they may be shown.

1. traffic.py, answers.py and the ledger's backlog read; each says what it costs.
2. `figures(user)` puts them into words. A person sees the parts whose pages they may open.
3. The page shows them, and asks again for the same as JSON (apps/monitoring/views.py).

Measured with a million jobs (a quarter of them due), 100,000 messages of a day and 230,000 counters, on two cores: the
first reading of a process 0.12 s on PostgreSQL 15 and 0.17 s on SQLite, each one after that 40 and 50 ms.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from django.urls import reverse
from django.utils import timezone

from apps.conversations.admin.transcript import money
from apps.jobs.admin import words
from apps.jobs.admin.backlog import MOST_COUNTED, Standing, standings
from apps.jobs.models import Worker
from apps.monitoring.dashboard.answers import Answers, answers
from apps.monitoring.dashboard.traffic import Traffic, traffic

FRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at one moment, for everybody."""

    traffic: Traffic
    answers: Answers
    queues: list[Standing]
    workers: int


@dataclass(slots=True)
class Card:
    """One figure. `tone`: "bad" and "warn" are shown in colour. `url`: the page that tells more."""

    key: str
    title: str
    value: str
    note: str = ""
    tone: str = ""
    url: str = ""


@dataclass(slots=True)
class Figures:
    """What one person sees. Everything in words, but for the charts."""

    at: str
    cards: list[Card] = field(default_factory=list)
    queues: list[dict[str, Any]] = field(default_factory=list)
    hours: dict[str, list[Any]] = field(default_factory=dict)
    """Label, came, sent, failed, retried: a list each, an entry for each hour."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Latest:
    """The last reading of this process. Who comes while somebody reads waits for that reading."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading: Reading | None = None
        self._until = 0.0

    def get(self) -> Reading:
        with self._lock:
            if self._reading is None or time.monotonic() >= self._until:
                self._reading = Reading(traffic(), answers(), standings(), _alive())
                self._until = time.monotonic() + FRESH_SECONDS
            return self._reading

    def forget(self) -> None:
        """Read again at the next look (tests)."""
        self._until = 0.0


latest = Latest()


def figures(user: Any) -> Figures:
    """What this person may see of the latest reading."""
    reading = latest.get()
    shown = Figures(at=f"{timezone.localtime():%H:%M:%S}")
    if user.has_perm("jobs.view_jobcounter"):
        shown.cards += _traffic_cards(reading.traffic)
        shown.hours = _hours(reading.traffic)
    if user.has_perm("conversations.view_message"):
        shown.cards += _answer_cards(reading.answers)
    if user.has_perm("jobs.view_deadletter"):
        shown.cards.append(_dead(reading.queues))
    if user.has_perm("jobs.view_queueoverview"):
        shown.cards.append(_waiting(reading.queues))
        shown.queues = [_line(queue) for queue in reading.queues]
    if user.has_perm("jobs.view_worker"):
        shown.cards.append(_workers(reading.workers, reading.queues))
    return shown


def _alive() -> int:
    """One query; ended workers are kept for a day, so they are few."""
    return Worker.objects.filter(ended_at=None, lease_until__gt=timezone.now()).count()


def _traffic_cards(found: Traffic) -> list[Card]:
    day, hour, counters = found.day, found.last_hour, reverse("admin:jobs_jobcounter_changelist")
    return [
        Card(
            "came",
            "Messages in, 24 h",
            f"{day.came:,}",
            f"{hour.came:,} in the last hour",
            url=f"{counters}?last=day",
        ),
        Card(
            "sent",
            "Answers out, 24 h",
            f"{day.sent:,}",
            f"{hour.sent:,} in the last hour",
            url=f"{counters}?last=day",
        ),
        Card(
            "failed",
            "Jobs failed, 24 h",
            f"{day.failed:,}",
            f"{hour.failed:,} in the last hour, {hour.retried:,} retried",
            tone="bad" if hour.failed else "",
            url=f"{reverse('admin:jobs_job_changelist')}?status__exact=failed",
        ),
    ]


def _answer_cards(found: Answers) -> list[Card]:
    since = f"since {timezone.localtime(found.since):%H:%M}" if found.since else "24 h"
    wait = Card("wait", f"Waiting time, {since}", words.NOTHING, "no answer yet")
    if found.median is not None and found.p95 is not None:
        wait.value = words.span(found.median)
        wait.note = f"median; 95 % within {words.span(found.p95)}"
    tokens = Card("tokens", f"AI tokens, {since}", f"{found.tokens_in + found.tokens_out:,}")
    cost = "no cost on record" if found.cost is None else money(found.cost)
    late = f", {found.fallbacks:,} fallback message{'' if found.fallbacks == 1 else 's'}"
    tokens.note = f"{cost}{late if found.fallbacks else ''}"
    return [wait, tokens]


def _dead(queues: list[Standing]) -> Card:
    dead = sum(queue.dead for queue in queues)
    return Card(
        "dead",
        "Dead letters",
        _bounded(dead),
        "to review" if dead else "nothing to review",
        tone="bad" if dead else "",
        url=reverse("admin:jobs_deadletter_changelist"),
    )


def _waiting(queues: list[Standing]) -> Card:
    waiting, running = sum(queue.waiting for queue in queues), sum(queue.running for queue in queues)
    oldest = max((queue.oldest for queue in queues if queue.oldest is not None), default=None)
    ages = f"oldest {words.span(oldest)}" if oldest is not None else "nothing is due"
    return Card(
        "waiting",
        "Jobs waiting",
        _bounded(waiting),
        f"{ages}, {running:,} running",
        tone="warn" if oldest is not None and oldest > 60 else "",
        url=reverse("admin:jobs_queueoverview_changelist"),
    )


def _workers(alive: int, queues: list[Standing]) -> Card:
    unserved = [queue.name for queue in queues if queue.is_unserved]
    note = f"nobody serves {', '.join(unserved)}" if unserved else "every queue with work is served"
    if not alive:
        note = "nothing is being done" if not unserved else note
    return Card(
        "workers",
        "Workers alive",
        f"{alive:,}",
        note,
        tone="bad" if unserved or not alive else "",
        url=f"{reverse('admin:jobs_worker_changelist')}?state=there",
    )


def _line(queue: Standing) -> dict[str, Any]:
    return {
        "name": queue.name,
        "waiting": _bounded(queue.waiting),
        "oldest": words.span(queue.oldest) if queue.oldest is not None else words.NOTHING,
        "running": f"{queue.running:,}",
        "dead": _bounded(queue.dead),
        "workers": f"{queue.workers:,}",
        "tone": "bad" if queue.is_unserved else "",
    }


def _bounded(number: int) -> str:
    return f"{MOST_COUNTED:,}+" if number > MOST_COUNTED else f"{number:,}"


def _hours(found: Traffic) -> dict[str, list[Any]]:
    sums = [one for _, one in found.hours]
    return {
        "label": [f"{timezone.localtime(hour):%H:%M}" for hour, _ in found.hours],
        "came": [one.came for one in sums],
        "sent": [one.sent for one in sums],
        "failed": [one.failed for one in sums],
        "retried": [one.retried for one in sums],
    }
