"""Statements that run at every message: planned once, with their lists in one JSON parameter.

The text of such a statement is the same however many rows it is about, so PostgreSQL can keep its plan; planning
costs more than running most of them. Behind PgBouncer in transaction mode this needs version 1.21 or later (it must
know prepared statements).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import psycopg
from django.db import connection


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


def records_sql(vendor: str, rows: str, columns: Mapping[str, str], alias: str) -> str:
    """SQL for a table made of one JSON parameter `rows`, a list of objects; `columns`: name -> PostgreSQL's type."""
    if vendor == "postgresql":
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"jsonb_to_recordset({rows}::jsonb) AS {alias}({typed})"
    values = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {values} FROM json_each({rows})) {alias}"  # noqa: S608 - names of ours
