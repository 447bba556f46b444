"""A ledger as it is after a busy day: 50,000 rows, put in by one statement each, and what a plan looks like."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

TASKS = ("busy.receive", "busy.reply", "busy.send", "quiet.idle")
FINISHED, WAITING, DEEP, RUNNING, SUSPECTS, DEAD = 35_000, 8_000, 5_000, 500, 50, 1_450
LEFT_PARKED = 4_900


def fill() -> None:
    """35,000 finished, 8,000 due in 2,000 lanes or in none, one lane of 5,000 (nearly all parked), 500 running, 50
    suspects, 1,450 dead letters."""
    with transaction.atomic(), connection.cursor() as cursor:
        for status, how_many, extra in (
            ("completed", FINISHED, {}),
            ("failed", DEAD, {}),
            ("pending", DEEP, {"lane": "'deep'", "run_at": "PARKED", "task": "'busy.reply'"}),
            ("pending", WAITING, {"lane": "CASE WHEN n % 4 = 0 THEN NULL ELSE 'lane-' || (n % 2000) END"}),
            ("processing", RUNNING, {"worker_id": "1", "lease_until": "LATER"}),
            ("retry", SUSPECTS, {"crashes": "2"}),
        ):
            cursor.execute(_insert(status, how_many, extra))
        # The deep lane's head and a hundred that nobody has looked at yet.
        cursor.execute(
            f"UPDATE jobs_job SET run_at = {_words()['NOW']} WHERE lane = 'deep' AND id IN "
            f"(SELECT id FROM jobs_job WHERE lane = 'deep' ORDER BY id LIMIT {DEEP - LEFT_PARKED})"
        )
        cursor.execute(
            "INSERT INTO jobs_worker (id, host, hostname, pid, process_start, queues, started_at, heartbeat_at, "
            "lease_until) VALUES (1, 'h', 'h', 1, '1', '[]', {NOW}, {NOW}, {LATER})".format(**_words())
        )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which does so by itself; nobody ever tells SQLite to
            cursor.execute("VACUUM ANALYZE jobs_job")


def empty() -> None:
    with connection.cursor() as cursor:
        for table in ("jobs_job", "jobs_worker", "jobs_seat", "jobs_jobcounter"):
            cursor.execute(f"DELETE FROM {table}")
        if connection.vendor == "postgresql":
            # Or the planner of every later test thinks of 50,000 rows.
            cursor.execute("VACUUM ANALYZE jobs_job")


def _words() -> dict[str, str]:
    if connection.vendor == "postgresql":
        return {"NOW": "now() - interval '10 s'", "LATER": "now() + interval '1 h'",
                "PARKED": "'9000-01-01 00:00:00+00'::timestamptz"}  # fmt: skip
    return {"NOW": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-10 seconds')",
            "LATER": "strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 hour')", "PARKED": "'9000-01-01 00:00:00'"}  # fmt: skip


def _insert(status: str, how_many: int, extra: dict[str, str]) -> str:
    words = _words()
    columns = {
        "queue": "'maintenance'",
        "task": "CASE n % 3 WHEN 0 THEN 'busy.receive' WHEN 1 THEN 'busy.reply' ELSE 'busy.send' END",
        "payload": "'{}'",
        "metadata": "'{}'",
        "priority": "CASE WHEN n % 10 = 0 THEN 1 ELSE 5 END",
        "status": f"'{status}'",
        "run_at": "NOW",
        "expires_at": "CASE WHEN n % 2 = 0 THEN LATER END",
        "customer_id": "n % 5",
        "fence": "1" if status in ("processing", "completed", "failed") else "0",
        **extra,
    }
    values = ", ".join(columns.values())
    for word, text in words.items():
        values = values.replace(word, text)
    numbers = (
        f"generate_series(1, {how_many}) n"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {how_many}) SELECT n FROM c)"
    )
    return f"INSERT INTO jobs_job ({', '.join(columns)}) SELECT {values} FROM {numbers}"


# --- plans -----------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What the database did, or would do, for one statement."""

    lines: list[str]
    """PostgreSQL: one for each node that reads jobs_job, "<kind> <index>"; SQLite: the plan's own lines."""
    pages: int
    """PostgreSQL: pages touched, 8 kB each; SQLite: 0, it doesn't say."""

    @property
    def walks(self) -> list[str]:
        """Where it reads the whole table or the whole of an index."""
        if connection.vendor == "postgresql":
            return [line for line in self.lines if line.startswith("Seq Scan")]
        # Lists of values and WITHs are scanned as well: only these names stand for the table.
        table = {"jobs_job", "j", "b", "e", "r", "n"}
        scans = [line for line in self.lines if line.split()[0] == "SCAN" and line.split()[1] in table]
        # The whole of an index that holds only what runs, what is suspect or dead letters: that is the question.
        return [line for line in scans if not line.endswith(("job_lane_running", "job_suspect", "job_dead"))]

    @property
    def indexes(self) -> set[str]:
        """The indexes of the ledger that it uses."""
        words = " ".join(self.lines).replace("(", " ").split()
        return {word for word in words if word.startswith("job_")}


def plans_of(move: Callable[[], Any]) -> list[Plan]:
    """Run `move` and take back what it did; return the plan of each of its statements."""
    seen: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "jobs_" in sql:
            seen.append((sql, params))
        return execute(sql, params, many, context)

    with _taken_back(), connection.execute_wrapper(remember):
        move()
    assert seen
    return [_plan(sql, params) for sql, params in seen]


@contextmanager
def _taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _plan(sql: str, params: Any) -> Plan:
    with _taken_back(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("EXPLAIN QUERY PLAN " + sql, params)
            return Plan([row[3] for row in cursor.fetchall()], 0)
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, params)
        [(found,)] = cursor.fetchall()
        root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
        lines = [f"{node['Node Type']} {node.get('Index Name', '')}" for node in _nodes(root)]
        return Plan(lines, root["Shared Hit Blocks"] + root["Shared Read Blocks"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node.get("Relation Name") == "jobs_job" or "Index Name" in node:
        yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
