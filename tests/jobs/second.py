"""A second party at the database: a thread with a connection of its own, driven step by step."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, transaction

from tests.waiting import wait_until


class Second:
    """Runs what it is given, in order, on its own connection; `begin` to `commit` is one transaction."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="second")
        self._atomic: Any = None
        self.pid: int = self.do(self._backend)

    @staticmethod
    def _backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def start(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin `work`; its result comes later."""
        return self._thread.submit(work, *args, **kwargs)

    def do(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `work` to its end."""
        return self.start(work, *args, **kwargs).result(20)

    def begin(self) -> None:
        def enter() -> None:
            self._atomic = transaction.atomic()
            self._atomic.__enter__()

        self.do(enter)

    def commit(self) -> None:
        def leave() -> None:
            self._atomic.__exit__(None, None, None)
            self._atomic = None

        self.do(leave)

    def waits(self) -> None:
        """Return once it waits for somebody's lock."""

        def waiting() -> bool:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", [self.pid]
                )
                return cursor.fetchone() is not None

        wait_until(waiting, 10, "the second connection to wait for a lock")

    def close(self) -> None:
        def leave() -> None:
            if self._atomic is not None:
                transaction.set_rollback(True)
                self._atomic.__exit__(None, None, None)
            connection.close()

        self.do(leave)
        self._thread.shutdown()
