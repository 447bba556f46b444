"""Redis: limits, breakers, bell keys and live updates stand on it."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import RedisError

from apps.operations.doctor.finding import Finding, Settings, fail, ok, warn
from apps.reliability.redaction import redact_text
from apps.reliability.redis_client import redis_client

SLOW_MILLISECONDS = 50.0
OLDEST = (6, 2)
FULL = 0.9
PINGS = 5


def check(asked: Settings) -> Iterator[Finding]:
    """Reads, writes and runs a script, as the limiter does."""
    try:
        client = redis_client()
        times = []
        for _ in range(PINGS):
            began = time.perf_counter()
            client.ping()
            times.append((time.perf_counter() - began) * 1000)
    except (RedisError, ImproperlyConfigured, ValueError, OSError) as error:
        advice = (
            "Is the server running, and is REDIS_URL right? Without Redis there are no limits, no breakers, and "
            "live pages update late."
        )
        yield fail("reachable", redact_text(f"{error}"), advice, "redis-cli -u $REDIS_URL ping")
        return
    took = statistics.median(times)
    if took > SLOW_MILLISECONDS:
        yield warn("latency", f"{took:.1f} ms", "Put Redis near the workers: every send asks it.")
    else:
        yield ok("latency", f"{took:.1f} ms")
    yield from _information(client.info())
    yield _works()


def _works() -> Finding:
    key = f"switchboard:doctor:{secrets.token_hex(8)}"
    script = "redis.call('SET', KEYS[1], ARGV[1], 'EX', 10) return redis.call('GET', KEYS[1])"
    try:
        answer = redis_client().eval(script, 1, key, "works")
        redis_client().delete(key)
    except RedisError as error:
        advice = "Limits and breakers are scripts that write: the user of REDIS_URL needs EVAL and all keys."
        return fail("scripts", redact_text(f"{error}"), advice)
    if answer != "works":
        return fail(
            "scripts", "a script wrote and read back something else", "Is it a proxy? Use Redis itself."
        )
    return ok("scripts", "a script wrote a key and read it")


def _information(info: dict[str, Any]) -> Iterator[Finding]:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < OLDEST:
        yield fail("version", f"{name} {version}", f"Use {'.'.join(map(str, OLDEST))} or newer.")
    else:
        yield ok("version", f"{name} {version}")
    if info.get("role") == "slave":
        yield fail("role", "a replica, which takes no writes", "Point REDIS_URL to the primary.")
    policy, most, used = (
        info.get("maxmemory_policy", "?"),
        int(info.get("maxmemory", 0)),
        info.get("used_memory", 0),
    )
    if most and policy != "noeviction":
        yield warn(
            "memory",
            f"maxmemory-policy is {policy}: when it is full, limits and bells are thrown away",
            "Let it refuse instead:",
            "redis-cli -u $REDIS_URL config set maxmemory-policy noeviction",
        )
    elif most and int(used) > most * FULL:
        yield warn("memory", f"{int(used) / most:.0%} of maxmemory is used", "Raise maxmemory.")
    else:
        yield ok("memory", f"{policy}, {info.get('used_memory_human', '?')} used")
