"""`INSERT … ON CONFLICT DO NOTHING RETURNING`: many rows in one statement, and which of them are new.

Django's bulk_create can ignore conflicts or return what it inserted, not both, and the door needs both.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model

from apps.reliability.prepared import preparing_cursor, records_sql


def insert_new(
    model: type[Model], rows: Sequence[Mapping[str, Any]], returning: Sequence[str]
) -> set[tuple[object, ...]]:
    """Insert `rows` of `model` unless a unique constraint says they are there; one statement, planned once.

    A row maps names of the model's fields to JSON values, UUIDs or datetimes, the same names in each; the rest of the
    columns take the database's defaults. Returns the `returning` values of the new rows. The order of `rows` is the
    order in which they are locked: sort them, so that two groups can't wait for each other.
    """
    if not rows:
        return set()
    text = _statement(connection.vendor, model, tuple(rows[0]), tuple(returning))
    with preparing_cursor() as cursor:
        cursor.execute(text, {"rows": json.dumps(rows, default=_as_text, ensure_ascii=False)})
        return set(cursor.fetchall())


@cache
def _statement(vendor: str, model: type[Model], columns: tuple[str, ...], returning: tuple[str, ...]) -> str:
    fields: list[Field] = [model._meta.get_field(name) for name in columns]  # type: ignore[misc]
    returned: list[Field] = [model._meta.get_field(name) for name in returning]  # type: ignore[misc]
    # Names come from our models, values travel as one parameter. Records are named by the fields, not the columns.
    kinds = {field.name: field.rel_db_type(connection) or "" for field in fields}
    records = records_sql(vendor, "%(rows)s", kinds, "r")
    return (
        f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({_columns(fields)}) "  # noqa: S608
        f"SELECT {', '.join(f'r.{name}' for name in columns)} FROM {records} WHERE true "
        f"ON CONFLICT DO NOTHING RETURNING {_columns(returned)}"
    )


def _as_text(value: Any) -> str:
    if isinstance(value, uuid.UUID):
        return value.hex  # both databases read this
    if isinstance(value, datetime):
        return str(connection.ops.adapt_datetimefield_value(value))
    raise TypeError(f"{type(value).__name__} is no value of a row")


def _columns(fields: Sequence[Field]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
