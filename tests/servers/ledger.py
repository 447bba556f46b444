"""A look at the ledger from outside: plain SQL over a connection of its own, so that Switchboard can be dead."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from tests.waiting import Moment, wait_until

T = TypeVar("T")
LIVE = "('pending', 'processing', 'retry')"


@dataclass(frozen=True)
class Ledger:
    database_url: str

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """`%s` marks the parameters on both databases."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(query.replace("%s", "?"), parameters)]
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *parameters: Any) -> Any:
        (row,) = self.rows(query, *parameters)
        (value,) = row.values()
        return value

    def live(self) -> int:
        return int(self.one(f"SELECT count(*) AS n FROM jobs_job WHERE status IN {LIVE}"))

    def wait_until(
        self, predicate: Callable[[], T], deadline: float, what: str, *, since: Moment | None = None
    ) -> T:
        """As `tests.waiting.wait_until`; the failure tells what the ledger looked like at the end."""
        try:
            return wait_until(predicate, deadline, what, since=since)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def settled(self, deadline: float = 60.0) -> None:
        """Wait until nothing is waiting or running."""
        self.wait_until(lambda: self.live() == 0, deadline, "an empty ledger")

    def story(self) -> str:
        """What waits, where and since when: for the message of a failing test."""
        rows = self.rows(
            "SELECT task, status, failure_reason, error_code, worker_id, count(*) AS n, min(run_at) AS first_run_at,"
            " max(attempts) AS attempts, max(crashes) AS crashes FROM jobs_job"
            " GROUP BY task, status, failure_reason, error_code, worker_id ORDER BY 1, 2"
        )
        live = self.rows(
            "SELECT id, task, status, lane, fence, attempts, crashes, worker_id, run_at, lease_until, sending_at,"
            f" error FROM jobs_job WHERE status IN {LIVE} ORDER BY id LIMIT 40"
        )
        workers = self.rows(
            "SELECT id, pid, host, heartbeat_at, lease_until, ended_at, ended_how FROM jobs_worker"
        )
        return "\n".join(str(row) for row in [*rows, *live, *workers])

    def jobs(self, task: str, *, since: int = 0) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM jobs_job WHERE task = %s AND id > %s ORDER BY id", task, since)

    def last_job(self) -> int:
        return int(self.one("SELECT coalesce(max(id), 0) AS n FROM jobs_job"))

    def held_by(self, pid: int) -> list[dict[str, Any]]:
        """The jobs that the worker process with this pid holds: id, fence, task and its row's id."""
        return self.rows(
            "SELECT j.id, j.fence, j.task, j.worker_id FROM jobs_job j JOIN jobs_worker w ON w.id = j.worker_id"
            " WHERE w.pid = %s AND w.ended_at IS NULL AND j.status = 'processing' ORDER BY j.id",
            pid,
        )

    def how_ended(self, jobs: Sequence[dict[str, Any]]) -> str:
        """What the ledger says of the worker that held these jobs: stopped, dead, lease."""
        (worker,) = {job["worker_id"] for job in jobs}
        return str(self.one("SELECT ended_how FROM jobs_worker WHERE id = %s", worker))

    def is_alive(self, pid: int) -> bool:
        """Whether a worker with this pid holds a lease now, by the database's clock."""
        postgres = not self.database_url.startswith("sqlite")
        now = "statement_timestamp()" if postgres else "strftime('%Y-%m-%d %H:%M:%f', 'now')"
        query = f"SELECT id FROM jobs_worker WHERE pid = {pid} AND ended_at IS NULL AND lease_until > {now}"
        return bool(self.rows(query))

    def is_writable(self) -> bool:
        """Whether a write gets through at once: a process stopped in the middle of one blocks SQLite."""
        if not self.database_url.startswith("sqlite"):
            return True
        path = self.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
            return True

    def still_held(self, jobs: Sequence[dict[str, Any]]) -> list[int]:
        """Which of these are still processing under the same fence."""
        ids = ",".join(str(int(job["id"])) for job in jobs) or "0"
        now = self.rows(f"SELECT id, fence FROM jobs_job WHERE status = 'processing' AND id IN ({ids})")
        then = {job["id"]: job["fence"] for job in jobs}
        return [row["id"] for row in now if row["fence"] == then[row["id"]]]
