"""How long a thread waits for one answer of PostgreSQL.

A server that is frozen, and a network that swallows what is sent, still look alive to TCP: nothing in the driver or the
kernel would ever end such a wait. So the wait itself has an end. One that took too long closes the connection and
raises NoAnswer; the statement may have been executed.

Processes that serve say so at their start (`by_default`); commands such as `migrate` wait as long as it takes. SQLite
has its own limit, for a lock that somebody else holds (`timeout` in project/addresses.py).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

DOOR = 5.0
"""Seconds for one answer while somebody outside waits for ours."""
ADMIN = 30.0
WORKER = 15.0
LEASE = 4.0
"""For what keeps a worker's lease: shorter than the lease, so that there is time to do it anew."""
GOODBYE = 2.0
"""For what a process says while it stops."""

_local = threading.local()
_default: float | None = None


class NoAnswer(psycopg.OperationalError):
    """The database did not answer in time. Its connection is closed; the statement may have been executed."""


def seconds() -> float | None:
    """How long this thread waits; None: as long as it takes."""
    limit: float | None = getattr(_local, "seconds", _default)
    return limit


def by_default(limit: float | None) -> None:
    """From now on each thread of this process that says nothing else waits so many seconds."""
    global _default
    _default = limit


@contextmanager
def of(limit: float) -> Iterator[None]:
    """In this block this thread waits so many seconds."""
    before = vars(_local).get("seconds")
    _local.seconds = limit
    try:
        yield
    finally:
        if before is None:
            del _local.seconds
        else:
            _local.seconds = before
