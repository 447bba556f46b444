"""Messages, answers and failures by the hour, from the counters of the jobs (they outlive the jobs).

What it costs: an hour is one range of the counters' index, a row for each minute, worker, task and customer that had
something to do. An hour that is over does not change, so each process adds it up once; after that a look costs the
hour that runs and the last sixty minutes: two ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, Sum
from django.utils import timezone

from apps.jobs.models import JobCounter

RECEIVE = "pipeline.receive_message"
SEND = "delivery.send_"
HOUR = timedelta(hours=1)
SHOWN = 24
SETTLED = timedelta(minutes=2)
"""After this nobody writes a count of an hour that is over: a count is committed within seconds of its minute."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What ended in a stretch of time: messages stored, answers delivered, jobs that failed, attempts retried."""

    came: int = 0
    sent: int = 0
    failed: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """`hours`: the beginning of each hour with its sums, oldest first; the last one still runs."""

    hours: list[tuple[datetime, Sums]]
    last_hour: Sums

    @property
    def day(self) -> Sums:
        """This hour and the 23 before it."""
        sums = [one for _, one in self.hours]
        return Sums(
            came=sum(one.came for one in sums),
            sent=sum(one.sent for one in sums),
            failed=sum(one.failed for one in sums),
            retried=sum(one.retried for one in sums),
        )


_over: dict[datetime, Sums] = {}


def traffic(now: datetime | None = None) -> Traffic:
    """The last SHOWN hours and the last sixty minutes."""
    now = now or timezone.now()
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = [this - HOUR * ago for ago in range(SHOWN - 1, -1, -1)]
    shown = [(hour, _of_hour(hour, now)) for hour in hours]
    for old in [hour for hour in _over if hour < hours[0]]:
        _over.pop(old, None)
    return Traffic(shown, _sums(now - HOUR, now + HOUR))


def forget() -> None:
    """Add everything up again at the next look (tests)."""
    _over.clear()


def _of_hour(hour: datetime, now: datetime) -> Sums:
    if hour in _over:
        return _over[hour]
    sums = _sums(hour, hour + HOUR)
    if now >= hour + HOUR + SETTLED:
        _over[hour] = sums
    return sums


def _sums(since: datetime, until: datetime) -> Sums:
    found = JobCounter.objects.filter(minute__gte=since, minute__lt=until).aggregate(
        came=Sum("completed", filter=Q(task=RECEIVE)),
        sent=Sum("completed", filter=Q(task__startswith=SEND)),
        failed=Sum("failed"),
        retried=Sum("retried"),
    )
    return Sums(**{name: number or 0 for name, number in found.items()})
