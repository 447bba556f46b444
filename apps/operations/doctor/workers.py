"""The workers: for each queue somebody alive, beat ticking, nothing waiting for long, nothing dead unread."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db.models import BooleanField, Count, Min
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone
from django_celery_results.models import TaskResult

from apps.jobs.models import Job, Worker
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn

LATE = timedelta(seconds=30)
VERY_LATE = timedelta(minutes=5)
TICK = "operations.beat_tick"
LONGEST_TICK = timedelta(seconds=90)  # it comes every 30 s
PING_SECONDS = 1.0
RUN_ALL = "PATH=$PWD/.venv/bin:$PATH python -m apps.operations.runner Procfile --grace 30"
# In literals: SQLite uses a partial index only where it reads its very condition in the statement.
WAITING = RawSQL("status IN ('pending', 'retry')", [], output_field=BooleanField())


def check(asked: Settings) -> Iterator[Finding]:
    """The ledger's own rows first; Celery is asked too, but its silence is only a hint."""
    alive = list(Worker.objects.filter(ended_at=None, lease_until__gt=Now()).values_list("queues", flat=True))
    yield from _lines(alive)
    yield from _celery(len(alive))
    yield from _died()
    yield _beat(any("maintenance" in queues for queues in alive))
    yield from _waiting()
    yield _dead_letters()


def command(line: str) -> str:
    """What starts a worker of this line of the Procfile, for all queues of the page that belong to it."""
    queues = ",".join(name for name, queue in settings.QUEUES.items() if queue.line == line)
    return f"celery -A project worker -n {line}@%h -Q {queues} -P threads -c 16 --without-gossip --without-mingle"


def _lines(alive: list[Any]) -> Iterator[Finding]:
    serving = Counter(name for queues in alive for name in set(queues))
    lines: dict[str, list[str]] = defaultdict(list)
    for name, queue in settings.QUEUES.items():
        lines[queue.line].append(name)
    if not alive:
        advice = "Nothing is answered until one runs. All processes of the Procfile, on one machine:"
        yield fail("lines", f"no worker is alive, for none of {', '.join(lines)}", advice, RUN_ALL)
        return
    for line, names in lines.items():
        missing = [name for name in names if not serving[name]]
        if missing:
            advice = "Start a worker for them (Procfile), or name them in the -Q of one that runs:"
            yield fail(f"line {line}", f"no worker serves {', '.join(missing)}", advice, command(line))
        else:
            fewest = min(serving[name] for name in names)
            yield ok(f"line {line}", f"{fewest} worker{'s' * (fewest > 1)} for {', '.join(names)}")


def _celery(alive: int) -> Iterator[Finding]:
    if settings.BROKER_IS_SQS:  # nothing can be asked of all workers there; the broker's check says so
        return
    try:
        answered = len(current_app.control.ping(timeout=PING_SECONDS) or [])
    except Exception as error:  # each transport has errors of its own; the broker's check says more
        yield note("ping", f"could not be sent: {type(error).__name__}")
        return
    if alive and not answered:
        advice = "They look for work by themselves meanwhile. Do web and workers have the same BROKER_URL?"
        yield warn("ping", f"{alive} workers are alive, but none answered over the broker", advice)
    elif alive:
        yield ok("ping", f"{answered} answered over the broker, {alive} are alive in the ledger")


def _died() -> Iterator[Finding]:
    since = timezone.now() - timedelta(hours=1)
    endings = (Worker.Ending.DEAD, Worker.Ending.LEASE)
    died = Worker.objects.filter(ended_how__in=endings, ended_at__gte=since).count()
    if died:
        advice = (
            "Look for worker_exits in the log, and for the kernel's out-of-memory killer. Nothing was lost."
        )
        yield warn("deaths", f"{died} workers died or fell silent within the last hour", advice)


def _beat(has_maintenance: bool) -> Finding:
    last = TaskResult.objects.filter(task_name=TICK).order_by("-date_done").first()
    if last is not None and timezone.now() - last.date_done <= LONGEST_TICK:
        return ok("beat", f"last tick {age(last.date_done)} ago")
    found = f"last tick {age(last.date_done)} ago" if last else "no tick yet"
    if not has_maintenance:
        return fail("beat", f"{found}, since no worker serves maintenance", "Start that worker first.")
    if not Worker.objects.filter(ended_at=None, started_at__lt=timezone.now() - LONGEST_TICK).exists():
        return note(
            "beat", f"{found}; the workers have just started", "It ticks within 30 s: look again then."
        )
    return fail(
        "beat", found, "Without it nothing is pruned. A new one ticks within 30 s.", "celery -A project beat"
    )


def _waiting() -> Iterator[Finding]:
    now = timezone.now()
    found = (
        Job.objects.filter(WAITING, run_at__lte=now)
        .order_by()
        .values("queue")
        .annotate(jobs=Count("pk"), oldest=Min("due_at"))
    )
    late = [row for row in found if now - row["oldest"] > LATE]
    for row in sorted(late, key=lambda row: row["oldest"]):
        made = fail if now - row["oldest"] > VERY_LATE else warn
        advice = (
            "More workers of its line, or a higher in_flight in project/queues.py; or what it calls is slow."
        )
        if row["queue"] not in settings.QUEUES:
            advice = "No such queue is on the page (project/queues.py): a channel that was taken away? Cancel them."
        what = f"{row['jobs']} jobs are due, the oldest for {age(row['oldest'])}"
        yield made(f"queue {row['queue']}", what, advice)
    if not late:
        yield ok("waiting", f"no job has been due for more than {LATE.seconds} s")


def _dead_letters() -> Finding:
    found = Counter(Job.objects.dead_letters().values_list("task", "failure_reason")[:10_000])
    if not found:
        return ok("dead letters", "none unread")
    shown = ", ".join(f"{count} {task} ({reason})" for (task, reason), count in found.most_common(5))
    return warn("dead letters", shown, "Read each, then retry or discard it: Admin, Dead letters.")


def age(since: datetime) -> str:
    """How long ago that was, in words."""
    seconds = max(0.0, (timezone.now() - since).total_seconds())
    for size, word in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"
