"""Wakes the listeners of this process: one Redis subscription, however many pages are open.

Of messages Redis only says "look again"; what there is to see comes from the database. So nothing is lost when Redis
goes away: listeners are woken once more as soon as it is back, and until then they look by themselves every few
seconds.

What passes by (somebody types, a draft grows) is handed on as it comes, without a look into the database. A listener
that is too slow for it misses some; the next whole draft mends that.
"""

import asyncio
import math
from collections.abc import Iterable

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from apps.channels.widget import drafts, live
from apps.reliability.redis_client import async_redis_client

QUIET_SECONDS = 10.0
"""After this long without a word from Redis the connection is tested with a ping."""
RECONNECT_SECONDS = 1.0
TRUST_SECONDS = 5.0
"""Those who wake us may notice a moment later than we do that Redis is back."""
MOST_PER_CONVERSATION = 10
MOST_PER_PROCESS = 5_000
MOST_PASSING = 30
"""Events that pass by, kept for one listener that is busy; then all of them are dropped."""

log = structlog.get_logger(__name__)


class TooManyListeners(Exception):
    """This conversation, or this process, has as many open streams as it may have."""


class Listener:
    """One open stream. `woken` is set when there is something to do for it: `must_look` says that its conversation
    should be read again, `passing` holds the server-sent events that only need to be handed on."""

    __slots__ = ("conversation_id", "must_look", "passing", "woken")

    def __init__(self, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.woken = asyncio.Event()
        self.must_look = True
        self.passing: list[str] = []

    def look_again(self) -> None:
        self.must_look = True
        self.woken.set()

    def pass_on(self, event: str) -> None:
        if len(self.passing) >= MOST_PASSING:
            self.passing.clear()
        self.passing.append(event)
        self.woken.set()

    def take_passing(self) -> str:
        """What passed by since the last time, ready to be written."""
        events = "".join(self.passing)
        self.passing.clear()
        return events


class Hub:
    """All open streams of a process. The subscription lives as long as there is at least one."""

    def __init__(self) -> None:
        self._trusted_from = math.inf
        self._listeners: dict[str, set[Listener]] = {}
        self._count = 0
        self._subscription: asyncio.Task[None] | None = None

    @property
    def hears(self) -> bool:
        """Whether wakes can be relied on: Redis is there, and has been for a while."""
        return asyncio.get_running_loop().time() >= self._trusted_from

    def join(self, conversation_id: str) -> Listener:
        """Begin to listen. Raises TooManyListeners. Read the database after joining, or a wake may be missed."""
        listeners = self._listeners.setdefault(conversation_id, set())
        if len(listeners) >= MOST_PER_CONVERSATION or self._count >= MOST_PER_PROCESS:
            if not listeners:
                del self._listeners[conversation_id]
            raise TooManyListeners
        listener = Listener(conversation_id)
        listeners.add(listener)
        self._count += 1
        if self._subscription is None or self._subscription.done():
            self._subscription = asyncio.create_task(self._stay_subscribed(), name="frontdoor-live")
        return listener

    async def leave(self, listener: Listener) -> None:
        """Stop listening. With the last one the subscription ends too."""
        listeners = self._listeners[listener.conversation_id]
        listeners.discard(listener)
        self._count -= 1
        if not listeners:
            del self._listeners[listener.conversation_id]
        if self._listeners or self._subscription is None:
            return
        subscription, self._subscription = self._subscription, None
        self._trusted_from = math.inf
        # More than once if need be: a cancellation that meets the client while it connects or closes can get lost.
        while not subscription.done():
            subscription.cancel()
            await asyncio.wait([subscription], timeout=0.5)

    async def _stay_subscribed(self) -> None:
        mine = asyncio.current_task()
        was_away = False
        while mine is self._subscription:
            try:
                async with async_redis_client().pubsub() as pubsub:
                    await pubsub.subscribe(live.TOPIC, drafts.TOPIC)
                    await self._listen(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                if mine is not self._subscription:
                    return
                if self._trusted_from < math.inf or not was_away:
                    log.warning("live_updates_without_redis", error=type(error).__name__)
                was_away, self._trusted_from = True, math.inf
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, pubsub: PubSub) -> None:
        unanswered = 0
        while True:
            heard = await pubsub.get_message(timeout=QUIET_SECONDS)
            if heard is None:
                if unanswered:
                    raise TimeoutError("Redis does not answer")
                unanswered += 1
                await pubsub.ping()
                continue
            unanswered = 0
            if heard["type"] == "subscribe":
                self._trusted_from = asyncio.get_running_loop().time() + TRUST_SECONDS
                self._wake(self._listeners)  # whatever happened while nobody listened
            elif heard["type"] == "message":
                self._hear(heard["channel"], heard["data"])

    def _hear(self, topic: str, payload: str) -> None:
        if topic == live.TOPIC:
            self._wake(live.woken(payload))
            return
        for conversation_id, event, data in drafts.lines_of(payload):
            if conversation_id in self._listeners:
                # No id: what a page names when it connects again must stay the last message it saw.
                text = f"event: {event}\ndata: {data}\n\n"
                for listener in self._listeners[conversation_id]:
                    listener.pass_on(text)

    def _wake(self, conversation_ids: Iterable[str]) -> None:
        for conversation_id in conversation_ids:
            for listener in self._listeners.get(conversation_id, ()):
                listener.look_again()
