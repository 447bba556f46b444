"""Times and states of a job in the words people use."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from django.utils import timezone
from django.utils.html import format_html

from apps.jobs.models import Job

NOTHING = "–"
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A length of time in its two largest units: "340 ms", "2.3 s", "4 min 10 s", "2 d 4 h"."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for (size, unit), (smaller, rest) in pairwise(UNITS):
        if whole >= size:
            left = whole % size // smaller
            return f"{whole // size} {unit} {left} {rest}" if left else f"{whole // size} {unit}"
    return f"{whole} s"


def away(moment: datetime) -> str:
    """How far a moment is from now, roughly: "4 min ago", "in 3 s"."""
    seconds = (timezone.now() - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    rough = " ".join(span(abs(seconds)).split(" ")[:2])
    return f"{rough} ago" if seconds > 0 else f"in {rough}"


def exact(moment: datetime) -> str:
    """A moment to the second, with its day."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def when(moment: datetime | None) -> str:
    """A moment for a page: how far away it is, the exact time under the pointer."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        moment.isoformat(),
        exact(moment),
        timezone.get_current_timezone_name(),
        away(moment),
    )


def between(start: datetime | None, end: datetime | None) -> str:
    """How long it was from `start` to `end`; a dash where one of them is missing."""
    return span((end - start).total_seconds()) if start and end else NOTHING


def waited(job: Job) -> str:
    """From due to the start of its last run; until now while it has not run."""
    now = timezone.now()
    if job.started_at:
        return between(job.due_at, job.started_at)
    if job.status in Job.LIVE and job.due_at <= now:
        return between(job.due_at, now)
    return NOTHING


def ran(job: Job) -> str:
    """How long its last run took, or takes by now."""
    if job.status == Job.Status.PROCESSING:
        return between(job.started_at, timezone.now())
    return between(job.started_at, job.finished_at)


def why_failed(job: Job) -> str:
    """The reason of a failed job, in words."""
    return job.get_failure_reason_display() or "no reason on record"


def state(job: Job) -> str:
    """Where the job stands, in words."""
    now = timezone.now()
    if job.is_parked:
        return "behind another of its lane"
    match job.status:
        case Job.Status.PENDING:
            return "waiting" if job.run_at <= now else f"due {away(job.run_at)}"
        case Job.Status.RETRY:
            return "waiting to run again" if job.run_at <= now else f"again {away(job.run_at)}"
        case Job.Status.PROCESSING:
            return "sending" if job.sending_at else "running"
        case Job.Status.FAILED:
            return f"failed{', closed' if job.closed_at else ''}: {why_failed(job)}"
    return str(job.status)
