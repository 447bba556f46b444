"""Questions to the database from an event loop: a handful of threads, each with a connection that it keeps."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import OperationalError, close_old_connections

from apps.reliability import database_outage

T = TypeVar("T")


class OffLoop:
    """`threads` threads that answer for everything on the loop. `name` is what they are called."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def ask(self, question: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        """Begin `question(*args)` on one of the threads; the future gets what it returns or raises
        (StillAway at once, while the database keeps those who ask waiting)."""
        return asyncio.get_running_loop().run_in_executor(self._threads, _asked, question, args)


def _asked(question: Callable[..., T], args: tuple[Any, ...]) -> T:
    database_outage.refuse()  # who has waited for a thread must not wait for the database too
    # What Django does around each request: connections that broke or are too old are not used again.
    close_old_connections()
    try:
        return question(*args)
    except OperationalError as error:
        database_outage.noticed(error)
        raise
    finally:
        close_old_connections()
