"""What the page of the queues says about one queue (project/queues.py holds the page)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings

DAY = 86_400
RATE = re.compile(r"(\d{1,9})/([smh])")
SECONDS = {"s": 1, "m": 60, "h": 3600}


def per_second(rate: str) -> float:
    """Read a rate in Celery's form: `30/s`, `600/m`, `1000/h`. Raises ValueError that says what is wrong."""
    found = RATE.fullmatch(rate)
    if not found or not int(found[1]):
        raise ValueError(
            f"{rate!r} is not a rate: write jobs per second, minute or hour as 30/s, 600/m or 1000/h"
        )
    return int(found[1]) / SECONDS[found[2]]


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue. Times in seconds."""

    name: str
    why: str
    """Why it is alone."""
    tasks: tuple[str, ...]
    line: str
    """The worker line of the Procfile that serves it."""
    in_flight: int
    """The most jobs of one task that one worker process has in flight."""
    longest_age: int | None
    """A job that is not done this long after it was first due ends as failed/expired; None: never."""
    keep_completed: int = 3600
    keep_failed: int = 14 * DAY
    rate: str | None = None
    """The most jobs that all workers together begin, such as `30/s` or `600/m`; None: no limit."""
    concurrency: int | None = None
    """The most jobs that all workers together have in flight; None: no limit."""

    def __post_init__(self) -> None:
        if self.rate is not None:
            per_second(self.rate)
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"queue {self.name}: a concurrency is 1 or more, not {self.concurrency}")


def page(name: str) -> Queue:
    """Return the page's entry for queue `name`. Raises LookupError if the page has none."""
    try:
        found: Queue = settings.QUEUES[name]
    except KeyError:
        known = ", ".join(sorted(settings.QUEUES))
        raise LookupError(f"no queue {name!r} on the page of queues; it has {known}") from None
    return found
