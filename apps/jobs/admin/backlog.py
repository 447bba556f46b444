"""What waits in each queue now, at a cost that does not grow with it: for pages that look every few seconds.

The page of queues (queues.py) counts everything; this stops counting at MOST_COUNTED.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from apps.jobs.admin.queues import serving
from apps.jobs.dialect import dialect
from apps.jobs.models import Job
from apps.jobs.statements import PRIORITIES, WAITING

MOST_COUNTED = 1000


@dataclass(slots=True)
class Standing:
    """One queue. `waiting` and `dead` stop at MOST_COUNTED for each task and priority, or in all; `oldest`: for how
    many seconds the next job of a task has been due, the longest of them, None where nothing waits."""

    name: str
    waiting: int = 0
    running: int = 0
    dead: int = 0
    oldest: float | None = None
    workers: int = 0

    @property
    def is_unserved(self) -> bool:
        """Work is due, and no living worker serves the queue."""
        return self.waiting > 0 and self.workers == 0


def standings() -> list[Standing]:
    """Every queue of the page, in its order, then those that only rows know. Four queries: two probes of the index
    of what is due for each task and priority, and the indexes of what runs and of what is dead, up to MOST_COUNTED."""
    found = {name: Standing(name) for name in settings.QUEUES}

    def queue(name: str) -> Standing:
        return found.setdefault(name, Standing(name))

    for task, waiting, oldest in _due():
        one = queue(task)
        one.waiting += waiting
        if oldest is not None:
            one.oldest = max(one.oldest or 0.0, oldest)
    running = Job.objects.filter(status=Job.Status.PROCESSING).order_by().values_list("queue", flat=True)
    for name, number in Counter(running[: 10 * MOST_COUNTED]).items():
        queue(name).running = number
    dead = Job.objects.dead_letters().order_by("pk").values_list("queue", flat=True)
    for name, number in Counter(dead[: MOST_COUNTED + 1]).items():
        queue(name).dead = number
    for name, workers in serving().items():
        if name in found:
            found[name].workers = workers
    return list(found.values())


def _due() -> list[tuple[str, int, float | None]]:
    """(queue, due jobs, age of the next one in seconds) for each task and priority that has something due."""
    queues = {task: name for name, queue in settings.QUEUES.items() for task in queue.tasks}
    if not queues:
        return []
    d = dialect()
    # LIMITed probes in the place of a column: PostgreSQL can't make a join of them that reads all that is due.
    due = f"""FROM jobs_job b WHERE b.task = t.column1 AND b.priority = p.column1
        AND b.status IN {WAITING} AND b.run_at <= {d.now}"""
    text = f"""
        SELECT t.column1, (SELECT count(*) FROM (SELECT 1 {due} LIMIT {MOST_COUNTED + 1}) c),
            (SELECT {d.seconds(d.now, "b.due_at")} {due} ORDER BY b.run_at, b.id LIMIT 1)
        FROM (VALUES {", ".join(["(%s)"] * len(queues))}) t, (VALUES {PRIORITIES}) p"""  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(text, list(queues))
        rows = cursor.fetchall()
    return [(queues[task], waiting, oldest) for task, waiting, oldest in rows if waiting]
