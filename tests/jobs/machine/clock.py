"""A clock that is moved by hand, for the ledger's own statements: their texts stay what they are.

SQLite      `strftime(format, 'now')` is answered by a function of ours on this connection.
PostgreSQL  a schema that is searched before the built-in one has a `statement_timestamp()` of its own.
Processes   what the ledger's modules ask `time.monotonic()` is answered from here too.
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from apps.jobs import claimed, sweeper, tally
from apps.jobs.claimed import ClaimedJob

START = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
SCHEMA = """
    CREATE SCHEMA IF NOT EXISTS virtual_clock;
    CREATE OR REPLACE FUNCTION virtual_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
        AS $$ SELECT current_setting('virtual_clock.now')::timestamptz $$;
    SET search_path TO virtual_clock, public, pg_catalog;
"""


class VirtualClock:
    """Seconds since START. One for the test; each run begins at 0."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def set(self, seconds: float) -> None:
        """Move it, for this process and for the database."""
        self.seconds = seconds
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('virtual_clock.now', %s, false)", [self.now.isoformat()])

    def advance(self, seconds: float) -> None:
        self.set(self.seconds + seconds)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it under this thread's connection and the ledger's modules. The connection is closed afterwards."""
        for module in (claimed, sweeper, tally):
            monkeypatch.setattr(module, "time", self)
        from_row = ClaimedJob.from_row

        def claimed_now(row):
            job = from_row(row)
            job.claimed_at = self.seconds
            return job

        monkeypatch.setattr(ClaimedJob, "from_row", staticmethod(claimed_now))
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            connection.connection.create_function("strftime", 2, self._strftime)
        else:
            with connection.cursor() as cursor:
                cursor.execute(SCHEMA)

    def remove(self) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("DROP SCHEMA IF EXISTS virtual_clock CASCADE")
        connection.close()

    def _strftime(self, wanted: str, moment: str) -> str:
        at = self.now if moment.lower() == "now" else datetime.fromisoformat(moment)
        return at.strftime(wanted.replace("%f", f"{at:%S}.{at.microsecond // 1000:03d}"))
