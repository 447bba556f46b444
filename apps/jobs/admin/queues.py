"""The page of queues with what stands in each of them now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Count, Min, Q
from django.db.models.expressions import RawSQL
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.jobs.admin import words
from apps.jobs.admin.read_only import ReadOnlyAdmin
from apps.jobs.models import PARKED, Job, QueueOverview, QueueState, Worker
from apps.jobs.throttle import Bounds, bounds_of

# A constant, in literals: SQLite uses a partial index only where it reads its very condition in the statement.
WAITING = RawSQL("status IN ('pending', 'retry')", [], output_field=BooleanField())


@dataclass(slots=True)
class QueueNow:
    """One line of the overview."""

    name: str
    why: str
    line: str
    waiting: int = 0
    parked: int = 0
    later: int = 0
    running: int = 0
    retrying: int = 0
    dead: int = 0
    oldest: str = words.NOTHING
    workers: int = 0
    limits: str = ""
    """What all workers together keep to."""

    @property
    def is_unserved(self) -> bool:
        """Work is due, and no living worker serves the queue."""
        return self.waiting > 0 and self.workers == 0


def overview() -> list[QueueNow]:
    """Every queue of the page, in its order, then those that only rows know. Five queries.

    Each reads one partial index: what it costs follows from what waits, runs or is dead, never from what is done.
    """
    now = timezone.now()
    lines = {name: QueueNow(name, queue.why, queue.line) for name, queue in settings.QUEUES.items()}

    def line(name: str) -> QueueNow:
        return lines.setdefault(name, QueueNow(name, "not on the page of queues any more", words.NOTHING))

    due, moved = Q(run_at__lte=now), Q(status=Job.Status.RETRY)
    for row in (
        Job.objects.filter(WAITING)
        .order_by()
        .values("queue")
        .annotate(
            waiting=Count("pk", filter=due),
            parked=Count("pk", filter=Q(run_at=PARKED)),
            later=Count("pk", filter=Q(run_at__gt=now, run_at__lt=PARKED) & ~moved),
            retrying=Count("pk", filter=Q(run_at__gt=now, run_at__lt=PARKED) & moved),
            oldest=Min("due_at", filter=due),
        )
    ):
        one = line(row["queue"])
        one.waiting, one.parked = row["waiting"], row["parked"]
        one.later, one.retrying = row["later"], row["retrying"]
        one.oldest = _age(row["oldest"], now)
    for name, running in _by_queue(Job.objects.filter(status=Job.Status.PROCESSING)):
        line(name).running = running
    for name, dead in _by_queue(Job.objects.dead_letters()):
        line(name).dead = dead
    states = {state.queue: state for state in QueueState.objects.all()}
    for name in settings.QUEUES:
        lines[name].limits = _limits(bounds_of(name, states.get(name)))
    for name, workers in serving().items():
        if name in lines:
            lines[name].workers = workers
    return list(lines.values())


def _limits(bounds: Bounds) -> str:
    rate = "" if bounds.rate is None else f"{bounds.rate:g} begun a second"
    in_flight = "" if bounds.concurrency is None else f"{bounds.concurrency} in flight"
    return " and ".join(filter(None, (rate, in_flight)))


def _by_queue(jobs: Any) -> Any:
    return jobs.order_by().values_list("queue").annotate(Count("pk"))


def _age(oldest: datetime | None, now: datetime) -> str:
    return words.between(oldest, now)


def serving() -> Counter[str]:
    """How many living workers serve each queue. One query; ended workers are kept for a day, so they are few."""
    alive = Worker.objects.filter(ended_at=None, lease_until__gt=timezone.now())
    served = alive.values_list("queues", flat=True)
    return Counter(str(name) for queues in served for name in set(queues))


@admin.register(QueueOverview)
class QueueOverviewAdmin(ReadOnlyAdmin):
    """A list that is no table: there is no row to open."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The overview. Anything but looking is refused."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        queues = overview()
        context = {
            **self.admin_site.each_context(request),
            "title": "Queues",
            "opts": self.opts,
            "media": self.media,
            "queues": queues,
            "unserved": [queue.name for queue in queues if queue.is_unserved],
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/queues.html", context)

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def history_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404
