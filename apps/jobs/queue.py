"""What the page of the queues says about one queue (project/queues.py holds the page)."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

DAY = 86_400


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


def page(name: str) -> Queue:
    """Return the page's entry for queue `name`. Raises LookupError if the page has none."""
    try:
        found: Queue = settings.QUEUES[name]
    except KeyError:
        known = ", ".join(sorted(settings.QUEUES))
        raise LookupError(f"no queue {name!r} on the page of queues; it has {known}") from None
    return found
