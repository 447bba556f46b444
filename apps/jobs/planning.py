"""How PostgreSQL plans the ledger's statements: once a connection. Planning costs more than running most of them.

Behind PgBouncer in transaction mode this needs version 1.21 or later (it must know prepared statements).
"""

from __future__ import annotations

from typing import Any, Self

import psycopg
from django.db import connection
from django.db.backends.signals import connection_created


class _Preparing(psycopg.Cursor[tuple[Any, ...]]):
    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        return super().execute(query, params, prepare=True, **options)


def preparing_cursor() -> Any:
    """Return a cursor whose statements PostgreSQL prepares; on SQLite, which keeps them anyway, and where
    queries are logged, the plain one."""
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = _Preparing(connection.connection)
    return connection.make_cursor(cursor)


def plan_for_a_crew() -> None:
    """Let every connection that this worker process opens keep one plan a statement, on an index wherever there is one.

    A plan that was made while the tables were small would go on reading them whole when they have grown.
    """
    connection_created.connect(_plan, dispatch_uid="jobs.plan_for_a_crew")


def _plan(connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            # Off means "only where there is no index"; what such a scan then costs would start the JIT compiler.
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("SET jit = off")
