"""Our clock against those of the database, Redis, and the providers that were asked anyway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from apps.operations.doctor.finding import Finding, Settings, fail, ok, skip, warn
from apps.reliability.redis_client import redis_client

ODD_SECONDS, WRONG_SECONDS = 3.0, 30.0
SET = "timedatectl set-ntp true"
ADVICE = "Let every machine take its time from the network (NTP)."


def check(asked: Settings) -> Iterator[Finding]:
    """Runs last: the others note what the servers they asked said about the time."""
    others = [*_database(), *_redis(), *_outside(asked)]
    if not others:
        yield skip("skew", "nobody else's clock to compare with")
    for who, ahead in others:
        how = f"{abs(ahead):.1f} s {'behind' if ahead < 0 else 'ahead of'} {who}"
        if abs(ahead) > WRONG_SECONDS:
            yield fail(
                "skew", f"this machine is {how}", f"Leases, retries and signatures go wrong. {ADVICE}", SET
            )
        elif abs(ahead) > ODD_SECONDS:
            yield warn("skew", f"this machine is {how}", ADVICE, SET)
        else:
            yield ok("skew", f"within {ODD_SECONDS:g} s of {who}")


def _database() -> Iterator[tuple[str, float]]:
    """PostgreSQL only: SQLite has our clock."""
    if connection.vendor != "postgresql":
        return
    with suppress(DatabaseError), connection.cursor() as cursor:
        began = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float")
        yield "the database", (began + time.time()) / 2 - cursor.fetchone()[0]


def _redis() -> Iterator[tuple[str, float]]:
    with suppress(RedisError, ValueError, OSError):
        began = time.time()
        seconds, microseconds = redis_client().time()
        yield "Redis", (began + time.time()) / 2 - (float(seconds) + float(microseconds) / 1e6)


def _outside(asked: Settings) -> Iterator[tuple[str, float]]:
    """One for each server, the one that is furthest off."""
    worst: dict[str, float] = {}
    for who, ahead in list(asked.clocks):
        if abs(ahead) >= abs(worst.get(who, 0.0)):
            worst[who] = ahead
    yield from worst.items()
