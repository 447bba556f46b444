"""Circuit breakers, shared by all processes: stop asking what keeps failing; one call finds out when it is back.

A call goes through one or more breakers, the widest first: its provider as a whole, then the account that it uses. One
round trip asks all of them, for any number of calls, and one tells all of them how calls ended.

1. CLOSED: calls go. Outcomes are counted in a sliding window; `failures` of them within `window_seconds` open the
   breaker, if at least half of all calls in that time failed: five among ten thousand stop nobody. A provider's
   breaker opens only if more than one account has failed, and hears nothing of the failures of an account whose own
   breaker is open: what one account meets may be its own fault.
2. OPEN: nobody goes for `open_seconds`. Outcomes of calls that began earlier are left out: they tell nothing new.
3. HALF_OPEN, when that time is over: the first who asks goes, as the probe, with a permit of `lease_seconds`, or for
   as long as its call may take where that is longer: a probe that outlasted its permit would never be heard. All
   others are told to ask again. A probe whose process died gives its place to the next when the permit runs out. A
   permit is taken at all breakers of a call or at none; the account whose probe failed lets others go first.
4. The probe fails: OPEN again, for twice as long as before, up to `longest_open_seconds`. It succeeds: CLOSED, with an
   empty window. It came to no call (an outcome with neither ok nor failed): the next who asks is the probe.
5. Retries have a budget: while more than a tenth of the calls fail, retries are at most a tenth of all calls in the
   window, or LEAST_RETRIES, whichever is more. The others are told when to ask again. First tries always go.
6. Stragglers: an outcome says how long ago its call began. What began before the last change of state (opened, probe
   sent, closed, reset) counts in no way. Without `took` it counts as of a call that has just begun.
7. Redis away: everybody goes, and outcomes are forgotten.

A failure is what says that the other side is down: no connection, a time-out, 5xx, overload. A refusal (bad input, a
wrong key, a rate limit) is an answer; record it as ok, or the probe that met it keeps its permit for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import redis
import structlog

from apps.reliability.breaker_scripts import ADMIT, RECORD, RESET, SLOTS, STANDING
from apps.reliability.outage import Outage
from apps.reliability.policies import Policy, policy_of
from apps.reliability.redis_client import redis_client
from apps.reliability.scripts import MICROSECONDS, microseconds

logger = structlog.get_logger(__name__)

BREAKERS = "switchboard:breaker:"
# Which are not closed, or have failed within their window: a sorted set, by when they are forgotten (microseconds).
TROUBLED = "switchboard:breakers"
# Those who wait for a probe ask again after this long at most: most probes are quick.
LOOK_AGAIN_SECONDS = 2.0
# For the way of a probe's outcome, after the longest that its call may take.
REPORT_SECONDS = 5.0
# Nobody asked for so long after its time was over: the breaker is forgotten, and so closed.
FORGOTTEN_SECONDS = 3600.0
# Of all calls to something that is failing. Above this share of failures it counts as failing.
RETRY_SHARE = 0.1
# So many retries within the window always go: a lone message has its tries.
LEAST_RETRIES = 3

_outage = Outage(
    "breaker", consequence="failing services are called all the same", probe=lambda: redis_client().ping()
)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Call(NamedTuple):
    """A call that somebody wants to make: the names of its breakers, the widest first, whether it is a retry, and the
    seconds that it may take, where that may be more than its policies' `lease_seconds`."""

    breakers: tuple[str, ...]
    retry: bool = False
    longest: float = 0.0


class Admission(NamedTuple):
    """Whether a call may go. `seconds` 0.0: now; else until it is worth asking again, and `code` says why:
    `breaker_open`, or `retry_budget`."""

    seconds: float = 0.0
    code: str = ""


class Outcome(NamedTuple):
    """How calls through these breakers ended: so many ok, so many failed. Neither: no call was made, and a probe gives
    its place back. `took`: seconds since they began (the quickest of them), see step 6 above."""

    breakers: tuple[str, ...]
    ok: int = 0
    failed: int = 0
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a breaker.

    seconds              until it is worth asking again; 0.0 where a call would go now
    ok, failed, retries  calls in the window (closed only); retries as they were let through
    openings             how often in a row it has opened
    age                  seconds since it first opened; None where it is closed
    """

    key: str
    state: State = State.CLOSED
    seconds: float = 0.0
    ok: int = 0
    failed: int = 0
    retries: int = 0
    openings: int = 0
    age: float | None = None


GO = Admission()
_CODES = ("", "breaker_open", "retry_budget")


def admit(calls: Sequence[Call], policy: Policy | None = None) -> list[Admission]:
    """For each call whether it may go, possibly as the one probe. Calls are taken in order.

    Whoever was told to go calls `record` afterwards. `policy` stands in for those of the names (tests). One round
    trip; never raises because of Redis.
    """
    if not any(call.breakers for call in calls) or _outage.quiet():
        return [GO] * len(calls)
    places: dict[str, int] = {}
    asked: list[int] = []
    for call in calls:
        longest = microseconds(call.longest + REPORT_SECONDS) if call.longest > 0 else 0
        asked += (int(call.retry), longest, len(call.breakers))
        asked += [places.setdefault(name, len(places) + 1) for name in call.breakers]
    numbers: list[float] = [microseconds(LOOK_AGAIN_SECONDS), LEAST_RETRIES, RETRY_SHARE]
    for name in places:
        lease, length, *_ = _numbers(policy or policy_of(name))
        numbers += (lease, length)
    try:
        found = iter(ADMIT([BREAKERS + name for name in places], [*numbers, *asked]))
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [GO] * len(calls)
    _outage.ended()
    return [
        Admission(wait / MICROSECONDS, _CODES[why]) if wait else GO
        for wait, why in zip(found, found, strict=True)
    ]


def record(*outcomes: Outcome, policy: Policy | None = None) -> None:
    """Tell the breakers how calls ended. One round trip; never raises because of Redis."""
    outcomes = tuple(outcome for outcome in outcomes if outcome.breakers)
    if not outcomes or _outage.quiet():
        return
    places: dict[str, int] = {}
    told: list[int] = []
    for outcome in outcomes:
        told += (
            int(outcome.ok),
            int(outcome.failed),
            microseconds(max(0.0, outcome.took)),
            len(outcome.breakers),
        )
        told += [places.setdefault(name, len(places) + 1) for name in outcome.breakers]
    names = list(places)
    numbers: list[float | str] = [microseconds(FORGOTTEN_SECONDS)]
    for name in names:
        _, length, failures, first, longest = _numbers(policy or policy_of(name))
        numbers += (name, failures, length, first, longest)
    try:
        happened = iter(RECORD([*(BREAKERS + name for name in names), TROUBLED], [*numbers, *told]))
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return
    _outage.ended()
    for place, what, duration in zip(happened, happened, happened, strict=True):
        if what == 3:
            logger.info("breaker_closed", breaker=names[place - 1])
        else:
            seconds = duration / MICROSECONDS
            logger.warning(
                "breaker_opened", breaker=names[place - 1], seconds=seconds, after_a_probe=what == 2
            )


def reset(name: str, policy: Policy | None = None) -> bool:
    """Close it with an empty window, whatever it knew; calls that are under way do not count any more.

    Returns whether there was anything to reset. Raises redis.RedisError or OSError when Redis is away.
    """
    policy = policy or policy_of(name)
    remembered = microseconds(max(policy.window_seconds, policy.lease_seconds))
    return bool(RESET([BREAKERS + name, TROUBLED], [name, remembered]))


def state(key: str, policy: Policy | None = None) -> Standing:
    """How this breaker stands. Changes nothing; closed when Redis is away."""
    return states([key], policy)[0]


def states(keys: Sequence[str] | None = None, policy: Policy | None = None) -> list[Standing]:
    """How these breakers stand, in their order; without keys all that are not closed or have failed within their
    window, by name. Changes nothing. When Redis is away: as if all were closed.
    """
    if _outage.quiet():
        return [Standing(key) for key in keys or ()]
    try:
        asked = _troubled() if keys is None else list(keys)
        lengths = [_numbers(policy or policy_of(key))[1] for key in asked]
        found = STANDING([BREAKERS + key for key in asked], lengths) if asked else []
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
        return [Standing(key) for key in keys or ()]
    _outage.ended()
    standings = [
        _standing(key, numbers)
        for key, numbers in zip(asked, zip(*[iter(found)] * 7, strict=True), strict=True)
    ]
    return [one for one in standings if keys is not None or one.state is not State.CLOSED or one.failed]


def is_away() -> bool:
    """Whether Redis did not answer a moment ago: then nothing is known of any breaker."""
    return _outage.quiet()


def _standing(key: str, numbers: Sequence[int]) -> Standing:
    kind, wait, ok, failed, retries, openings, age = numbers
    since = None if age < 0 else age / MICROSECONDS
    return Standing(key, tuple(State)[kind], wait / MICROSECONDS, ok, failed, retries, openings, since)


@lru_cache(maxsize=64)
def _numbers(policy: Policy) -> tuple[int, int, int, int, int]:
    """Lease, length of a slot, failures, open, longest open; times in microseconds."""
    return (
        microseconds(policy.lease_seconds),
        max(1, microseconds(policy.window_seconds / SLOTS)),
        policy.failures,
        microseconds(policy.open_seconds),
        microseconds(policy.longest_open_seconds),
    )


def _troubled() -> list[str]:
    names: Any = redis_client().zrange(TROUBLED, 0, -1)
    return sorted(names)
