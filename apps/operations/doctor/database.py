"""The database: there, of a version that serves, migrated, writable, and with room to grow."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from apps.jobs.models import Seat
from apps.operations.doctor.finding import Finding, Settings, fail, ok, warn
from apps.reliability.redaction import redact_text

OLDEST_POSTGRESQL = 14  # Django 5.2
SEAT = "doctor"
GIGABYTE = 1024**3
LITTLE_ROOM, NO_ROOM = 1 * GIGABYTE, GIGABYTE // 10
FULL = 0.8
LONG_TRANSACTION_SECONDS = 600
MIGRATE = "python manage.py migrate"


def check(asked: Settings) -> Iterator[Finding]:
    """Stops at the first thing without which the others can't be looked at."""
    where = "DATABASE_URL"
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except (DatabaseError, ImproperlyConfigured) as error:
        advice = f"Is the server running, and is {where} right (user, password, host, name)?"
        yield fail("reachable", redact_text(str(error).strip()), advice)
        return
    took = (time.perf_counter() - began) * 1000
    yield ok("reachable", f"{connection.display_name}, first answer after {took:.0f} ms")
    yield from _postgresql() if connection.vendor == "postgresql" else _sqlite()
    missing = _not_applied()
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        yield fail(
            "migrations", f"{len(missing)} not applied: {shown}", "Bring the tables up to date:", MIGRATE
        )
        return
    yield ok("migrations", "all applied")
    yield _writes()
    yield from _room()


def _not_applied() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _writes() -> Finding:
    """A row written and taken away again, each with a commit."""
    try:
        Seat.objects.update_or_create(name=SEAT)
        Seat.objects.filter(name=SEAT).delete()
    except DatabaseError as error:
        advice = "A full disk, a read-only file or server, or missing rights: see the database's own log."
        return fail("writes", redact_text(str(error).strip()), advice)
    return ok("writes", "a row was written, committed and removed")


def _postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),"
            " current_setting('synchronous_commit'), current_setting('max_connections')::int,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " (SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::float FROM pg_stat_activity"
            "  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())"
        )
        version, encoding, commit, most, used, oldest = cursor.fetchone()
    if version < OLDEST_POSTGRESQL:
        yield fail("version", f"PostgreSQL {version}", f"Use {OLDEST_POSTGRESQL} or newer.")
    else:
        yield ok("version", f"PostgreSQL {version}")
    if encoding != "UTF8":
        yield fail(
            "encoding", encoding, "Make the database anew: createdb --encoding=UTF8 --template=template0"
        )
    if commit == "off":
        advice = (
            "With it off, a crash of the server loses messages that were answered with 202. Set it to on."
        )
        yield warn("synchronous_commit", "off", advice)
    if used > most * FULL:
        advice = "Raise max_connections, or run fewer processes (docs/operations.md, Scaling)."
        yield warn("connections", f"{used} of {most} are in use", advice)
    if oldest > LONG_TRANSACTION_SECONDS:
        yield warn(
            "oldest transaction",
            f"open for {oldest / 60:.0f} minutes",
            "It keeps vacuum from removing dead rows, and claims get slower. Find and end it: pg_stat_activity.",
        )


def _sqlite() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    if mode == "wal":
        yield ok("journal", "WAL: readers and the writer don't wait for each other")
    else:
        advice = "The file system refuses WAL (a network share?). Put the file on a local disk: VAR_DIR."
        yield fail("journal", f"{mode} instead of WAL", advice)
    path = Path(str(connection.settings_dict["NAME"])).absolute()
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        advice = "SQLite writes the file and files beside it: give this user the directory."
        yield fail(
            "file", f"{path} or its directory can't be written", advice, f"chown -R $USER {path.parent}"
        )
    elif readable_by_others(path):
        yield warn(
            "file",
            f"every user of this machine can read {path}",
            "Messages stand in it as plain text.",
            f"chmod 700 {path.parent}",
        )
    else:
        yield ok("file", f"{path}, for this user only")


def readable_by_others(path: Path) -> bool:
    """Whether users other than owner and group can get at the file: it and each directory above let them."""
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def _room() -> Iterator[Finding]:
    if connection.vendor == "sqlite":
        place = Path(str(connection.settings_dict["NAME"])).absolute().parent
    else:
        place = Path(settings.VAR_DIR)
    if not place.is_dir():
        yield warn("disk", f"{place} does not exist", "Make it, or set VAR_DIR.", f"mkdir -p {place}")
        return
    free = shutil.disk_usage(place).free
    found = f"{free / GIGABYTE:.1f} GB free in {place}"
    if free < NO_ROOM:
        yield fail("disk", found, "Nothing can be stored soon: make room, or move VAR_DIR.")
    elif free < LITTLE_ROOM:
        yield warn("disk", found, "Make room before it is full.")
    else:
        yield ok("disk", found)
