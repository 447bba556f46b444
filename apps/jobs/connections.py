"""The ledger's own care for database connections, since Celery's and Django's are for other lives.

Celery would close them around every task; Django checks them once a request, with a query. Ours are few, live
long and belong to threads that never end: one that failed is looked at before its next use, the others are trusted.
"""

from __future__ import annotations

from django.db import connection


def drop_if_broken() -> None:
    """Close this thread's connection if its last use failed and it can't be used any more. Costs no query else."""
    if connection.errors_occurred or connection.closed_in_transaction:
        connection.close_if_unusable_or_obsolete()
