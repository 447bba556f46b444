"""`INSERT … ON CONFLICT DO NOTHING RETURNING`: many rows in one statement, and which of them are new.

Django's bulk_create can ignore conflicts or return what it inserted, not both, and the door needs both.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Field, Model


def insert_new(
    rows: Sequence[Model], columns: Sequence[str], returning: Sequence[str]
) -> set[tuple[object, ...]]:
    """Insert `rows` (of one model) unless a unique constraint says they are there; one statement.

    `columns` and `returning` are names of the model's fields; the rest of the columns take the database's
    defaults. Returns the `returning` values of the new rows. The order of `rows` is the order in which they are
    locked: sort them, so that two groups can't wait for each other.
    """
    if not rows:
        return set()
    meta = type(rows[0])._meta
    fields: list[Field] = [meta.get_field(name) for name in columns]  # type: ignore[misc]
    returned: list[Field] = [meta.get_field(name) for name in returning]  # type: ignore[misc]
    marks = f"({', '.join(['%s'] * len(fields))})"
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields
    ]
    # Names come from our models, values travel as parameters.
    text = (
        f"INSERT INTO {connection.ops.quote_name(meta.db_table)} ({_columns(fields)}) "  # noqa: S608
        f"VALUES {', '.join([marks] * len(rows))} ON CONFLICT DO NOTHING "
        f"RETURNING {_columns(returned)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return set(cursor.fetchall())


def _columns(fields: Sequence[Field]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
