"""Give many rows a value each in one UPDATE, without a CASE that grows with them."""

import json
from collections.abc import Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, TextField, Value
from django.db.models.sql.compiler import SQLCompiler


class TextByKey(Func):
    """The text that `values` has for the row's primary key; one parameter however many there are."""

    output_field = TextField()

    def __init__(self, values: Mapping[int, str]) -> None:
        super().__init__(F("pk"), Value(json.dumps(values)))

    def copy(self) -> "TextByKey":
        copied = super().copy()
        copied.source_expressions = self.source_expressions[:]
        return copied

    def _parts(self, compiler: SQLCompiler) -> tuple[str, str, list[Any]]:
        key, key_values = compiler.compile(self.source_expressions[0])
        table, table_values = compiler.compile(self.source_expressions[1])
        return key, table, [*table_values, *key_values]

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, list[Any]]:
        key, table, values = self._parts(compiler)
        return f"(({table})::jsonb ->> ({key})::text)", values

    def as_sqlite(  # type: ignore[override]  # the stubs want a tuple; Django takes either
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, list[Any]]:
        key, table, values = self._parts(compiler)
        return f"json_extract({table}, '$.\"' || ({key}) || '\"')", values
