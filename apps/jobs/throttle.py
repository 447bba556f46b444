"""How much of a queue all workers together may begin, and have in flight.

`project/queues.py` gives a queue its rate and concurrency; what an operator sets in the admin (Queue limits, a row of
`QueueState`) takes their place while the system runs, in every worker within REFRESH seconds.

1. Before a claim a line takes its slots from the shared limiter (GCRA). Where none is free it looks again when the next
   one is; the jobs stay where they are, in their order, and spend nothing. Slots that found no job go back.
2. A concurrency is counted where the jobs are: one claim of that queue at a time, which takes no more than what is
   left. Who comes in between looks again a moment later.

Rates are kept by Redis; while it is away they are not. A concurrency is kept by the database, always.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.db import transaction

from apps.jobs import ledger
from apps.jobs.models import QueueState
from apps.jobs.queue import page, per_second
from apps.reliability import limiter
from apps.reliability.limiter import Limit

log = structlog.get_logger(__name__)

REFRESH = 2.0
"""Seconds after which a change in the admin holds everywhere."""
AT_ONCE = 0.1
"""Seconds' worth of a rate that may begin at once. A line looks every few hundredths of a second: with less, a fast
queue would not reach its rate."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds for a queue now: jobs begun a second and in flight, of all workers together. None: no limit."""

    rate: float | None = None
    concurrency: int | None = None


class Throttle:
    """The bounds of the queues that a worker serves."""

    def __init__(self, queues: Iterable[str]) -> None:
        self._queues = sorted(queues)
        self._bounds: dict[str, Bounds] = {}
        self._read_at = -math.inf

    def refresh(self) -> None:
        """Read what holds now, if that has not been done for REFRESH seconds. On a thread that may use the database."""
        if time.monotonic() - self._read_at < REFRESH:
            return
        states = {state.queue: state for state in QueueState.objects.filter(queue__in=self._queues)}
        self._bounds = {
            name: bounds for name in self._queues if (bounds := bounds_of(name, states.get(name))) != Bounds()
        }
        self._read_at = time.monotonic()

    def of(self, queue: str) -> Bounds | None:
        """The bounds of this queue; None: it has none, as most."""
        return self._bounds.get(queue)

    def take(self, queue: str, places: int) -> tuple[int, float]:
        """Take slots of the queue's rate for up to `places` jobs. Returns how many, and the seconds until the next."""
        bounds = self.of(queue)
        if bounds is None or bounds.rate is None:
            return places, 0.0
        return limiter.take(_limit(queue, bounds.rate), places)

    def give_back(self, queue: str, unused: int) -> None:
        """Slots that found no job."""
        bounds = self.of(queue)
        if bounds is not None and bounds.rate is not None:
            limiter.give_back(_limit(queue, bounds.rate), unused)

    @contextmanager
    def room(self, queue: str, places: int) -> Iterator[int | None]:
        """Claim inside: how many of `places` fit under the queue's concurrency, with nobody else claiming meanwhile;
        None: somebody else is claiming."""
        bounds = self.of(queue)
        if bounds is None or bounds.concurrency is None:
            yield places
            return
        with transaction.atomic():
            alone = ledger.claim_alone(queue)
            yield max(0, min(places, bounds.concurrency - ledger.in_flight(queue))) if alone else None


def bounds_of(queue: str, state: QueueState | None) -> Bounds:
    """What the page says of this queue, and what an operator set instead."""
    on_page = page(queue)
    rate = (state and state.rate) or on_page.rate
    concurrency = (state and state.concurrency) or on_page.concurrency
    try:
        return Bounds(per_second(rate) if rate else None, concurrency)
    except ValueError as error:  # a row that the admin's form has not seen; no reason to stop the queue
        log.error(
            "queue_rate_unreadable", queue=queue, error=str(error), hint="set it in the admin: Queue limits"
        )
        return Bounds(None, concurrency)


def _limit(queue: str, rate: float) -> Limit:
    return Limit(f"queue:{queue}", rate=rate, burst=max(1, math.ceil(rate * AT_ONCE)))
