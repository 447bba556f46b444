"""Wake the pages that listen, through Redis publish/subscribe.

Redis only says "look again": a wake carries the public ids of conversations, never their content, and what a
listener missed it finds in the database. So a wake that is lost costs a listener some delay, nothing else, and
nobody who sends one is ever disturbed by Redis being away.
"""

import json
import threading
import time
from collections.abc import Sequence

import redis
import structlog

from apps.reliability.redis_client import redis_client

logger = structlog.get_logger(__name__)

# One Redis channel for all: listeners are few processes with many pages each. Payload: a JSON list of ids.
TOPIC = "switchboard:live"

# After a failure the next wakes are dropped for this long, so that an address that swallows packets holds up
# no worker at every message.
QUIET_SECONDS = 1.0


class _Outage:
    """Whether Redis is away, so that it is said once and not once per message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: float | None = None

    def quiet(self) -> bool:
        return self._until is not None and time.monotonic() < self._until

    def began(self, error: Exception) -> None:
        with self._lock:
            first = self._until is None
            self._until = time.monotonic() + QUIET_SECONDS
        if first:
            logger.warning("live_wake_unavailable", error=str(error), consequence="pages update late")

    def ended(self) -> None:
        if self._until is None:
            return
        with self._lock:
            self._until = None
        logger.info("live_wake_available")


_outage = _Outage()


def wake(conversation_ids: Sequence[str]) -> None:
    """Tell everybody who listens that these conversations (public ids) changed. One round trip; never raises."""
    if not conversation_ids or _outage.quiet():
        return
    try:
        redis_client().publish(TOPIC, json.dumps([str(public_id) for public_id in conversation_ids]))
    except (redis.RedisError, OSError) as error:
        _outage.began(error)
    else:
        _outage.ended()


def woken(payload: str | bytes) -> list[str]:
    """The conversations a wake names; none when it isn't one of ours."""
    try:
        ids = json.loads(payload)
    except ValueError:
        return []
    return [item for item in ids if isinstance(item, str)] if isinstance(ids, list) else []
