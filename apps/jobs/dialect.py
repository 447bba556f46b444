"""The few words in which PostgreSQL and SQLite differ. Every statement of the ledger is one text with these in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.db import connection

from apps.reliability.prepared import records_sql


@dataclass(frozen=True, slots=True)
class Dialect:
    vendor: str
    now: str
    """The moment of the statement, by the database's clock."""
    parked: str
    least: str
    greatest: str
    skip_locked: str
    of_jobs_skip_locked: str
    minute: str

    @property
    def pairs(self) -> str:
        """SQL for the (id, fence) rows of the JSON parameter `pairs`: the text stays the same however many."""
        if self.vendor == "postgresql":
            return "(SELECT (v->>0)::bigint, (v->>1)::int FROM jsonb_array_elements(%(pairs)s::jsonb) v)"
        return "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(%(pairs)s))"

    @property
    def lanes(self) -> str:
        """SQL for the rows (column1) of the JSON parameter `lanes`."""
        if self.vendor == "postgresql":
            return "(SELECT v AS column1 FROM jsonb_array_elements_text(%(lanes)s::jsonb) v)"
        return "(SELECT value AS column1 FROM json_each(%(lanes)s))"

    def plus(self, moment: str, seconds: str) -> str:
        """SQL for `moment` moved by `seconds` (SQL texts both)."""
        if self.vendor == "postgresql":
            return f"({moment} + make_interval(secs => {seconds}))"
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', {moment}, ({seconds}) || ' seconds')"

    def seconds(self, later: str, earlier: str) -> str:
        """SQL for the seconds from `earlier` to `later`."""
        if self.vendor == "postgresql":
            return f"EXTRACT(EPOCH FROM ({later} - {earlier}))::float8"
        return f"((julianday({later}) - julianday({earlier})) * 86400.0)"

    def records(self, rows: str, columns: Mapping[str, str], alias: str) -> str:
        """SQL for a table made of one JSON parameter `rows`, a list of objects; `columns`: name -> type."""
        return records_sql(self.vendor, rows, columns, alias)


POSTGRESQL = Dialect(
    vendor="postgresql",
    # Not clock_timestamp(): it is volatile, and a volatile bound can't be looked up in an index.
    now="statement_timestamp()",
    parked="'9000-01-01 00:00:00+00'::timestamptz",
    least="LEAST",
    greatest="GREATEST",
    skip_locked="FOR UPDATE SKIP LOCKED",
    of_jobs_skip_locked="FOR UPDATE OF j SKIP LOCKED",
    minute="date_trunc('minute', statement_timestamp())",
)
SQLITE = Dialect(
    vendor="sqlite",
    now="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
    parked="'9000-01-01 00:00:00'",
    least="MIN",
    greatest="MAX",
    skip_locked="",  # one writer at a time: a row that we see is ours
    of_jobs_skip_locked="",
    minute="strftime('%%Y-%%m-%%d %%H:%%M:00', 'now')",
)


@cache
def _by_vendor(vendor: str) -> Dialect:
    return {"postgresql": POSTGRESQL, "sqlite": SQLITE}[vendor]


def dialect() -> Dialect:
    """Return the dialect of the default database."""
    return _by_vendor(connection.vendor)
