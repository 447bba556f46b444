"""Shared limits: how often a key may be used, for all processes together.

GCRA (the leaky bucket as a meter, ITU-T I.371) in one Redis script on Redis' own clock. Per key one number is kept: the
moment at which the key would be as good as unused. Each use moves it on by 1/rate; a use is let through if that moment
lies at most `burst - 1` such steps ahead. Keys expire by themselves when they are as good as unused.

Redis away: everything may go. A limit protects an account with a provider; it is no reason to stop.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from apps.reliability.outage import Outage
from apps.reliability.redis_client import redis_client
from apps.reliability.scripts import MICROSECONDS, Script

LONGEST_HOLD_SECONDS = 86_400.0
LIMITS = "switchboard:limit:"
HOLDS = "switchboard:hold:"
# Which keys are held: a sorted set, by until when (microseconds).
HELD = "switchboard:holds"

_outage = Outage(
    "limiter", consequence="limits of providers are not kept", probe=lambda: redis_client().ping()
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `rate` a second in the long run, `burst` at once. The key names what is limited; no secrets in it.

    One key, one rate and burst: two limits of one thing ("a second" and "a minute") have two keys.
    """

    key: str
    rate: float
    burst: int = 1

    def __post_init__(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate) and self.burst >= 1):
            raise ValueError(f"a limit needs a rate above 0 and a burst of 1 or more: {self!r}")


# KEYS: the limits' keys, then their holds in the same order.
# ARGV: how many keys there are; then for each item how many limits it has, and for each limit the number of its key,
# the step and the tolerance (microseconds).
# `planned` is for those who must wait: each comes after those before it in this call. It is not kept.
_RESERVE = Script("""
local count = tonumber(ARGV[1])
local moments, planned, holds, changed = {}, {}, {}, {}
local function load(key)
    if moments[key] then return end
    moments[key] = math.max(now, tonumber(redis.call('GET', KEYS[key]) or 0))
    planned[key] = moments[key]
    holds[key] = math.max(0, tonumber(redis.call('GET', KEYS[count + key]) or 0) - now)
end
local waits, place = {}, 2
while place <= #ARGV do
    local limits, first = tonumber(ARGV[place]), place + 1
    place = first + 3 * limits
    local held, early = 0, false
    for at = first, place - 1, 3 do
        local key = tonumber(ARGV[at])
        load(key)
        held = math.max(held, holds[key])
        if moments[key] - ARGV[at + 2] > now then early = true end
    end
    if held == 0 and not early then
        for at = first, place - 1, 3 do
            local key = tonumber(ARGV[at])
            moments[key] = moments[key] + ARGV[at + 1]
            planned[key] = math.max(planned[key], moments[key])
            changed[key] = true
        end
        waits[#waits + 1] = 0
    else
        local wait = math.max(held, 1)
        for at = first, place - 1, 3 do
            wait = math.max(wait, planned[tonumber(ARGV[at])] - ARGV[at + 2] - now)
        end
        for at = first, place - 1, 3 do
            local key = tonumber(ARGV[at])
            planned[key] = math.max(planned[key], now + wait) + ARGV[at + 1]
        end
        waits[#waits + 1] = wait
    end
end
for key in pairs(changed) do
    redis.call('SET', KEYS[key], whole(moments[key]), 'PX', whole(math.ceil((moments[key] - now) / 1000) + 1))
end
return waits
""")

# KEYS: the limit, its hold. ARGV: how many are wanted, the step and the tolerance (microseconds).
# Returns how many may go now, and how long until the next.
_TAKE = Script("""
local wanted, step, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local moment = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local held = math.max(0, tonumber(redis.call('GET', KEYS[2]) or 0) - now)
if held > 0 then return {0, held} end
local free = math.max(0, math.min(wanted, math.floor((now + tolerance - moment) / step) + 1))
if free > 0 then
    moment = moment + free * step
    redis.call('SET', KEYS[1], whole(moment), 'PX', whole(math.ceil((moment - now) / 1000) + 1))
end
return {free, math.max(0, moment - tolerance - now)}
""")

# KEYS: the limit. ARGV: how many were not used, the step (microseconds).
_GIVE_BACK = Script("""
local moment = tonumber(redis.call('GET', KEYS[1]) or 0) - ARGV[1] * ARGV[2]
if moment > now then
    redis.call('SET', KEYS[1], whole(moment), 'PX', whole(math.ceil((moment - now) / 1000) + 1))
else
    redis.call('DEL', KEYS[1])
end
return 0
""")

_HOLD = Script("""
local held = tonumber(redis.call('GET', KEYS[1]) or 0)
local until_ = now + ARGV[1]
if until_ > held then
    redis.call('SET', KEYS[1], whole(until_), 'PX', whole(math.ceil(ARGV[1] / 1000) + 1))
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now))
    redis.call('ZADD', KEYS[2], whole(until_), ARGV[2])
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 0
""")

_HELD = Script("""
local rests = {}
for place, key in ipairs(KEYS) do
    rests[place] = math.max(0, tonumber(redis.call('GET', key) or 0) - now)
end
return rests
""")


def reserve(wanted: Sequence[Sequence[Limit]]) -> list[float]:
    """For each item, with all its limits at once: 0.0 = go now, counted in all of them; more = seconds until it may go,
    counted in none.

    Items are taken in order. Those that must wait are told to come one after the other, each at the pace of its
    limits, and not before a hold is over. One round trip for the whole list; never raises because of Redis.
    """
    if not any(wanted) or _outage.quiet():
        return [0.0] * len(wanted)
    places: dict[str, int] = {}
    numbers: list[int] = []
    for limits in wanted:
        unique = {limit.key: limit for limit in limits}  # an item counts once in each
        numbers.append(len(unique))
        for limit in unique.values():
            step = math.ceil(MICROSECONDS / limit.rate)
            numbers += (places.setdefault(limit.key, len(places) + 1), step, step * (limit.burst - 1))
    try:
        waits = _RESERVE(
            [LIMITS + key for key in places] + [HOLDS + key for key in places], [len(places), *numbers]
        )
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [0.0] * len(wanted)
    _outage.ended()
    return [wait / MICROSECONDS for wait in waits]


def take(limit: Limit, wanted: int) -> tuple[int, float]:
    """Take up to `wanted` uses of `limit` at once. Returns how many may go now, and the seconds until the next one.

    What is taken and not used goes back by `give_back`. One round trip; Redis away: all may go.
    """
    if wanted <= 0 or _outage.quiet():
        return wanted, 0.0
    step = math.ceil(MICROSECONDS / limit.rate)
    try:
        free, wait = _TAKE([LIMITS + limit.key, HOLDS + limit.key], [wanted, step, step * (limit.burst - 1)])
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return wanted, 0.0
    _outage.ended()
    return free, wait / MICROSECONDS


def give_back(limit: Limit, unused: int) -> None:
    """Return uses that were taken and not made. Never raises because of Redis."""
    if unused <= 0 or _outage.quiet():
        return
    try:
        _GIVE_BACK([LIMITS + limit.key], [unused, math.ceil(MICROSECONDS / limit.rate)])
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
    else:
        _outage.ended()


def hold(key: str, seconds: float) -> None:
    """Nobody goes on this key for so long, as a provider's 429 asked for. A longer hold stays; a day at most."""
    if not seconds > 0 or _outage.quiet():
        return
    try:
        held_for = math.ceil(min(seconds, LONGEST_HOLD_SECONDS) * MICROSECONDS)
        _HOLD([HOLDS + key, HELD], [held_for, key, int(LONGEST_HOLD_SECONDS * 1000)])
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
    else:
        _outage.ended()


def held(keys: Sequence[str]) -> list[float]:
    """For each key the seconds that it is still held, 0.0 where it isn't. Counts nothing."""
    if not keys or _outage.quiet():
        return [0.0] * len(keys)
    try:
        rests = _HELD([HOLDS + key for key in keys])
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [0.0] * len(keys)
    _outage.ended()
    return [rest / MICROSECONDS for rest in rests]


def holds() -> list[tuple[str, float]]:
    """Every key that is held now with the seconds that are left, by name; none when Redis is away. Counts nothing."""
    if _outage.quiet():
        return []
    try:
        keys: Any = redis_client().zrange(HELD, 0, -1)
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return []
    return [(key, rest) for key, rest in zip(sorted(keys), held(sorted(keys)), strict=True) if rest > 0]
