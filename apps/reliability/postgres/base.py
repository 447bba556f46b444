"""What Django loads for this ENGINE: its own PostgreSQL backend, on connections that don't wait for ever."""

import time
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout

from apps.reliability import patience

SLOW = 1.0
"""Seconds after which a connection that could not be made counts as one that got no answer."""

CHECK_SECONDS = 2.0


class Connection(psycopg.Connection[Any]):
    """Waits for each answer as long as the thread's patience says."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = patience.seconds() if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout:
            # Half an answer may still come: nobody may use this connection any more.
            self.pgconn.finish()
            raise patience.NoAnswer(f"the database did not answer within {limit:g} s") from None


def connect(*args: Any, **kwargs: Any) -> Connection:
    """As psycopg.connect. Raises NoAnswer where the attempt took long, another OperationalError where it failed at
    once."""
    begun = time.monotonic()
    try:
        return Connection.connect(*args, **kwargs)
    except psycopg.OperationalError as error:
        if time.monotonic() - begun < SLOW:
            raise
        raise patience.NoAnswer(str(error)) from error


class DatabaseWrapper(base.DatabaseWrapper):
    # What Django calls the driver: psycopg, but for the way a connection is made.
    Database: Any = SimpleNamespace(**(vars(psycopg) | {"connect": connect}))

    def is_usable(self) -> bool:
        """Asked before a kept connection is used again. What doesn't answer is given up sooner than a statement: what
        follows is a new connection, which takes its time too."""
        with patience.of(min(patience.seconds() or CHECK_SECONDS, CHECK_SECONDS)):
            return super().is_usable()

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Leaving a transaction whose connection broke, Django would connect anew, only to say this; that takes as long
        again and hides what happened. Whoever needs the next connection makes it, and it begins with autocommit."""
        if autocommit and self.connection is None:
            self.autocommit = True
            return
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
