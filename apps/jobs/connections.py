"""The ledger's own care for database connections, since Celery's and Django's are for other lives.

Celery would close them around every task; Django checks them once a request, with a query. Ours are few, live
long and belong to threads that never end: one that failed is looked at before its next use, the others are trusted.
"""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError, connection

# How a SQLSTATE begins that says nothing about the statement: try it again later (25006: a standby, read only).
AWAY = ("08", "25006", "25P03", "40", "53", "55", "57", "58")
STATEMENTS_FAULT = ("57014",)
"""Cancelled by a time limit: a statement that took too long would take too long for ever."""
SQLITE_AWAY = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 17, 26})
"""Busy, locked, no memory, read only, interrupted, I/O, corrupt, full, can't open, protocol, schema, no database."""


def is_away(error: Exception) -> bool:
    """Whether `error` means that the database could not be asked, not that it was asked for nonsense.

    Drivers say OperationalError for both: SQLite for any unknown column, PostgreSQL for a value too long to index.
    """
    if not isinstance(error, DatabaseError | InterfaceError):
        return False
    cause = error.__cause__
    if (sqlite := getattr(cause, "sqlite_errorcode", None)) is not None:
        return sqlite & 0xFF in SQLITE_AWAY
    state = getattr(cause, "sqlstate", None) or ""
    if state:
        return state.startswith(AWAY) and state not in STATEMENTS_FAULT
    return isinstance(error, OperationalError | InterfaceError)


def drop_if_broken() -> None:
    """Close this thread's connection if its last use failed and it can't be used any more. Costs no query else."""
    if connection.errors_occurred or connection.closed_in_transaction:
        connection.close_if_unusable_or_obsolete()
