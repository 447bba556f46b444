"""A ledger with a history: a million finished jobs, 100,000 waiting ones, 10,000 of those in one lane.

Inserted by one statement each, in the default database of the environment. The waiting jobs belong to a task of
the caller's choice: one that nobody serves (the growth runs), or the very one that is claimed (bench/claims.py).
"""

from __future__ import annotations

import argparse
import os
from datetime import timedelta

import django

FINISHED = 1_000_000
WAITING = 100_000
DEEP_LANE = 10_000
LANES = 20_000
PAYLOAD = '{"conversation": 4711, "message": 815, "filler": "' + "x" * 120 + '"}'

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
COLUMNS = (
    "task, queue, payload, status, fence, attempts, lane, run_at, due_at, created_at, started_at, finished_at, "
    "metadata, customer_id"
)


def fill(
    *, task: str, queue: str, finished: int = FINISHED, waiting: int = WAITING, deep: int = DEEP_LANE
) -> None:
    """Insert the rows. A tenth of the waiting ones is due in an hour; the deep lane's jobs are all due."""
    from django.db import connection
    from django.utils import timezone

    def when(**ago: float) -> object:
        return connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(**ago))

    before, lately, later = when(minutes=5), when(seconds=5), when(hours=-1)
    lane = "'backlog:' || (i %% {lanes})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_job ({COLUMNS}) {NUMBERS} SELECT %s, %s, %s, 'completed', 1, 1, "
            f"{lane.format(lanes=LANES)}, %s, %s, %s, %s, %s, '{{}}', 1 FROM n",
            [finished, task, queue, PAYLOAD, before, before, before, before, lately],
        )
        lane_of = f"CASE WHEN i %% 10 = 0 AND i <= %s THEN 'backlog:deep' ELSE {lane.format(lanes=LANES)} END"
        due = "CASE WHEN i %% 10 = 5 THEN %s ELSE %s END"
        if connection.vendor == "postgresql":
            due = "CASE WHEN i %% 10 = 5 THEN %s::timestamptz ELSE %s::timestamptz END"
        cursor.execute(
            f"INSERT INTO jobs_job ({COLUMNS}) {NUMBERS} SELECT %s, %s, %s, 'pending', 0, 0, "
            f"{lane_of}, {due}, %s, %s, NULL, NULL, '{{}}', 1 FROM n",
            [waiting, task, queue, PAYLOAD, deep * 10, later, lately, lately, lately],
        )
        cursor.execute("ANALYZE jobs_job")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="bench.nobody_serves")
    parser.add_argument("--queue", default="bench-nobody")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    fill(task=options.task, queue=options.queue)


if __name__ == "__main__":
    main()
