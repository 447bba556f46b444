"""The database is away, and finding that out took time: nobody else at the door waits for it until it answers again.

A server that refuses says no in a millisecond, and each request may ask. One that is frozen, behind a network that
swallows everything, or locked (SQLite) keeps whoever asks waiting; after the first of these, those who come are told at
once. A thread asks on a connection of its own, and with its first answer the door is open.
"""

import sqlite3

from django.db import OperationalError, connection, transaction
from psycopg.errors import ConnectionTimeout

from apps.reliability import patience
from apps.reliability.outage import Outage

PROBE_SECONDS = 3.0


class StillAway(OperationalError):
    """Nobody asked the database: it kept somebody waiting, and has not answered since. Nothing was written."""


def refuse() -> None:
    """Return if the database may be asked. Raises StillAway."""
    if outage.quiet():
        raise StillAway("the database has not answered since it kept somebody waiting")


def noticed(error: BaseException) -> bool:
    """Tell of what a question to the database raised; True if whoever asked was kept waiting."""
    cause = error.__cause__ or error
    locked = getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    if not locked and not isinstance(cause, patience.NoAnswer | ConnectionTimeout):
        return False
    outage.began(cause if isinstance(cause, Exception) else OperationalError(str(cause)))
    return True


def _probe() -> None:
    """A transaction, since a locked SQLite can be read all the while."""
    with patience.of(PROBE_SECONDS):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()


outage = Outage("database", "intake answers 503 at once", probe=_probe)
