"""While a task's `call` is outside, it has no database: a query there raises instead of holding a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db.backends.signals import connection_created

_outside: ContextVar[str] = ContextVar("outside", default="")


class DatabaseInCall(RuntimeError):
    """A task's `call` asked the database. What a call needs is read before it, what it brings is written after it."""


@contextmanager
def outside(task: str) -> Iterator[None]:
    """Mark everything inside (and the threads and coroutines it starts) as the call of `task`."""
    token = _outside.set(task)
    try:
        yield
    finally:
        _outside.reset(token)


def _refuse(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if task := _outside.get():
        raise DatabaseInCall(f"{task}: call() has no database; load in read(), store in write()")
    return execute(sql, params, many, context)


def _guard(connection: Any, **kwargs: Any) -> None:
    if _refuse not in connection.execute_wrappers:
        connection.execute_wrappers.append(_refuse)


def install() -> None:
    """Put the guard on every database connection of this process."""
    connection_created.connect(_guard, dispatch_uid="jobs.outside")
