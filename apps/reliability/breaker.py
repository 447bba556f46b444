"""Circuit breakers, shared by all processes: stop asking what keeps failing; one call finds out when it is back.

1. CLOSED: everybody goes. Outcomes are counted in a sliding window; at `calls` outcomes or more of which at least the
   share `ratio` failed, the breaker opens.
2. OPEN: nobody goes for `open_seconds`. Outcomes of calls that began earlier are left out: they tell nothing new.
3. HALF_OPEN, when that time is over: the first who asks goes, as the probe, and holds a lease of `lease_seconds`. All
   others are told to ask again. A probe whose process died gives its place to the next when the lease runs out.
4. The probe fails: OPEN again, for twice as long as before, up to `longest_open_seconds`. It succeeds: CLOSED, with an
   empty window. It came to no call (`record` with neither ok nor failed): the next who asks is the probe.
5. Stragglers: `record(…, took=seconds)` says how long ago the call began. What began before the last change of state
   (opened, probe sent, closed) counts in no way. Without `took` an outcome counts as of a call that has just begun.
6. Redis away: everybody goes, and outcomes are forgotten.

A failure is what says that the other side is down: no connection, a time-out, 5xx, overload. A refusal (bad input, a
wrong key, a rate limit) is an answer; record it as ok, or the probe that met it keeps its lease for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis
import structlog

from apps.reliability.outage import Outage
from apps.reliability.redis_client import redis_client
from apps.reliability.scripts import MICROSECONDS, Script, microseconds

logger = structlog.get_logger(__name__)

BREAKERS = "switchboard:breaker:"
# Which are not closed: a sorted set, by when they are forgotten (microseconds).
NOT_CLOSED = "switchboard:breakers"
SLOTS = 12  # the window moves on by a twelfth of itself
# Those who wait for a probe ask again after this long at most: most probes are quick.
LOOK_AGAIN_SECONDS = 2.0
# Nobody asked for so long after its time was over: the breaker is forgotten, and so closed.
FORGOTTEN_SECONDS = 3600.0

_outage = Outage("breaker", consequence="failing services are called all the same")


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Policy:
    """When a breaker opens, and for how long. Seconds; `ratio` is failed / all."""

    calls: int = 10
    ratio: float = 0.5
    window_seconds: float = 60.0
    open_seconds: float = 10.0
    longest_open_seconds: float = 300.0
    lease_seconds: float = 60.0


DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a breaker.

    seconds     until it is worth asking again; 0.0 where a call would go now
    ok, failed  outcomes in the window (closed only)
    openings    how often in a row it has opened
    """

    key: str
    state: State = State.CLOSED
    seconds: float = 0.0
    ok: int = 0
    failed: int = 0
    openings: int = 0


# ARGV: the lease, and how long others wait at most for a probe (microseconds). A key may stand there several times.
_ADMIT = Script("""
local waits = {}
for place, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'until', 'lease')
    local opens, lease = tonumber(found[1] or 0), tonumber(found[2] or 0)
    if not found[1] then
        waits[place] = 0
    elseif opens > now then
        waits[place] = opens - now
    elseif lease > now then
        waits[place] = math.min(lease - now, tonumber(ARGV[2]))
    else
        redis.call('HSET', key, 'lease', whole(now + ARGV[1]), 'since', whole(now))
        waits[place] = 0
    end
end
return waits
""")

# KEYS: the breaker, the set of those not closed.
# ARGV: its name, ok, failed, took, calls, ratio, length of a slot, slots, open, longest open, forgotten (microseconds).
# Returns what happened (0 nothing, 1 opened, 2 opened again, 3 closed) and for how long it is open.
_RECORD = Script("""
local name, ok, failed, took = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local length, slots, forgotten = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[11])
local fields, known = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #fields, 2 do known[fields[at]] = tonumber(fields[at + 1]) end

local function expire(duration) redis.call('PEXPIRE', KEYS[1], whole(math.ceil(duration / 1000))) end
local function open(openings)
    local duration = math.min(tonumber(ARGV[9]) * 2 ^ math.min(openings - 1, 30), tonumber(ARGV[10]))
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'until', whole(now + duration), 'openings', openings, 'since', whole(now))
    expire(duration + forgotten)
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now))
    redis.call('ZADD', KEYS[2], whole(now + duration + forgotten), name)
    redis.call('PEXPIRE', KEYS[2], whole(math.ceil((duration + forgotten) / 1000)))
    return {openings > 1 and 2 or 1, duration}
end

if known['since'] and now - took < known['since'] then return {0, 0} end
if known['until'] then
    if known['until'] > now or (known['lease'] or 0) <= now then return {0, 0} end
    if ok == 0 and failed == 0 then
        redis.call('HDEL', KEYS[1], 'lease')
        return {0, 0}
    end
    if failed > ok then return open(known['openings'] + 1) end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'since', whole(now))
    expire(length * slots)
    redis.call('ZREM', KEYS[2], name)
    return {3, 0}
end
if ok == 0 and failed == 0 then return {0, 0} end
local bucket = math.floor(now / length)
local all, bad = ok + failed, failed
for slot = 0, slots - 1 do
    local of = known['b' .. slot]
    if of and of > bucket - slots and of <= bucket then
        all = all + known['o' .. slot] + known['f' .. slot]
        bad = bad + known['f' .. slot]
    end
end
if failed > 0 and all >= tonumber(ARGV[5]) and bad >= all * ARGV[6] then return open(1) end
local slot = bucket % slots
if known['b' .. slot] == bucket then
    ok, failed = ok + known['o' .. slot], failed + known['f' .. slot]
end
redis.call('HSET', KEYS[1], 'b' .. slot, whole(bucket), 'o' .. slot, whole(ok), 'f' .. slot, whole(failed))
expire(length * (slots + 1))
return {0, 0}
""")

# ARGV: length of a slot, slots. Five numbers for each key: state, wait, ok, failed, openings. Changes nothing.
_STANDING = Script("""
local length, slots, found = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
local bucket = math.floor(now / length)
for _, key in ipairs(KEYS) do
    local fields, known = redis.call('HGETALL', key), {}
    for at = 1, #fields, 2 do known[fields[at]] = tonumber(fields[at + 1]) end
    local state, wait, ok, failed = 0, 0, 0, 0
    if known['until'] and known['until'] > now then
        state, wait = 1, known['until'] - now
    elseif known['until'] then
        state, wait = 2, math.max(0, (known['lease'] or 0) - now)
    end
    for slot = 0, slots - 1 do
        local of = known['b' .. slot]
        if of and of > bucket - slots and of <= bucket then
            ok, failed = ok + known['o' .. slot], failed + known['f' .. slot]
        end
    end
    for _, number in ipairs({state, wait, ok, failed, known['openings'] or 0}) do found[#found + 1] = number end
end
return found
""")


def admit(keys: Sequence[str], policy: Policy = DEFAULT) -> list[float]:
    """For each key: 0.0 = go, possibly as the one probe; more = seconds until it is worth asking again.

    Whoever was told to go calls `record` afterwards. One round trip; never raises because of Redis.
    """
    if not keys or _outage.quiet():
        return [0.0] * len(keys)
    lease = [microseconds(policy.lease_seconds), microseconds(LOOK_AGAIN_SECONDS)]
    try:
        waits = _ADMIT([BREAKERS + key for key in keys], lease)
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [0.0] * len(keys)
    _outage.ended()
    return [wait / MICROSECONDS for wait in waits]


def record(key: str, *, ok: int = 0, failed: int = 0, took: float = 0.0, policy: Policy = DEFAULT) -> None:
    """How calls ended: so many ok, so many failed. Neither: no call was made, and a probe gives its place back.

    `took`: seconds since these calls began (the quickest of them), see step 5 above. One round trip; never raises
    because of Redis.
    """
    if _outage.quiet():
        return
    numbers = [
        *(ok, failed, microseconds(max(0.0, took)), policy.calls, policy.ratio),
        *(microseconds(policy.window_seconds / SLOTS), SLOTS),
        *(microseconds(policy.open_seconds), microseconds(policy.longest_open_seconds)),
        microseconds(FORGOTTEN_SECONDS),
    ]
    try:
        happened, duration = _RECORD([BREAKERS + key, NOT_CLOSED], [key, *numbers])
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return
    _outage.ended()
    if happened == 3:
        logger.info("breaker_closed", breaker=key)
    elif happened:
        logger.warning(
            "breaker_opened", breaker=key, seconds=duration / MICROSECONDS, after_a_probe=happened == 2
        )


def state(key: str, policy: Policy = DEFAULT) -> Standing:
    """How this breaker stands. Changes nothing; closed when Redis is away."""
    return states([key], policy)[0]


def states(keys: Sequence[str] | None = None, policy: Policy = DEFAULT) -> list[Standing]:
    """How these breakers stand, in their order; without keys all that are not closed, by name. Changes nothing.

    When Redis is away: as if all were closed.
    """
    if _outage.quiet():
        return [Standing(key) for key in keys or ()]
    slots = [microseconds(policy.window_seconds / SLOTS), SLOTS]
    try:
        asked = _not_closed() if keys is None else list(keys)
        found = _STANDING([BREAKERS + key for key in asked], slots) if asked else []
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [Standing(key) for key in keys or ()]
    _outage.ended()
    standings = [
        Standing(key, tuple(State)[kind], wait / MICROSECONDS, ok, failed, openings)
        for key, (kind, wait, ok, failed, openings) in zip(
            asked, zip(*[iter(found)] * 5, strict=True), strict=True
        )
    ]
    return [one for one in standings if keys is not None or one.state is not State.CLOSED]


def _not_closed() -> list[str]:
    names: Any = redis_client().zrange(NOT_CLOSED, 0, -1)
    return sorted(names)
