"""What is happening right now in a conversation, told to the pages that show it: somebody is typing, and the answer
as far as it has been written. Nothing of it is kept anywhere.

1. `typing` and `show` only put down the latest and return at once.
2. One task a loop carries all conversations of the process to Redis together, in one publish, as often as a person
   can see; alone, a draft leaves at once.
3. A draft travels in pieces, with the whole text now and then, so that a page that joins in the middle catches up.

A line on the topic is `<conversation> <event> <JSON>`: whoever relays it needs to read no JSON. What is lost costs
nothing: the message itself comes from the database.
"""

import asyncio
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import structlog
from redis.exceptions import RedisError

from apps.reliability.redis_client import async_redis_client

TOPIC = "switchboard:drafts"
TYPING, DRAFT = "typing", "draft"
PAUSE_SECONDS = 0.04
"""Between two publishes of a process."""
SNAPSHOT_SECONDS = 1.0
"""How often a draft is sent whole."""
FORGET_SECONDS = 30.0
"""A draft that nobody has added to for this long is over."""
QUIET_SECONDS = 1.0
"""After a failure nothing is sent for this long."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Draft:
    """What the pages have of one answer. `units` counts what was sent in UTF-16 units, as browsers count."""

    id: str = field(default_factory=lambda: secrets.token_hex(4))
    sent: str = ""
    units: int = 0
    whole_at: float = 0.0
    used_at: float = 0.0


class Outbox:
    """The latest of each conversation, and the task that carries it to Redis. Belongs to one event loop."""

    def __init__(self) -> None:
        self._typing: dict[str, float] = {}
        self._texts: dict[str, str] = {}
        self._drafts: OrderedDict[str, _Draft] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._quiet_until = 0.0

    def typing(self, conversation_id: str, seconds: float) -> None:
        """Somebody is typing, and will be for `seconds` unless it is said again."""
        self._typing[conversation_id] = seconds
        self._carry()

    def show(self, conversation_id: str, text: str) -> None:
        """The answer so far. Only the latest counts: what could not leave meanwhile is left out."""
        self._texts[conversation_id] = text
        self._carry()

    async def settled(self) -> None:
        """Wait until everything that was put down has left or was given up."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def _carry(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="widget-drafts")

    async def _run(self) -> None:
        while self._typing or self._texts:
            lines = list(self._lines(time.monotonic()))
            if time.monotonic() >= self._quiet_until:
                await self._publish(lines)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _publish(self, lines: list[str]) -> None:
        try:
            await async_redis_client().publish(TOPIC, "\n".join(lines))
        except (RedisError, OSError, TimeoutError) as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            self._drafts.clear()  # nobody knows what arrived: the next piece is a whole text
            log.debug("drafts_without_redis", error=type(error).__name__)  # `live` says it to the operator

    def _lines(self, now: float) -> Iterator[str]:
        typing, self._typing = self._typing, {}
        texts, self._texts = self._texts, {}
        for conversation_id, seconds in typing.items():
            yield line(conversation_id, TYPING, {"seconds": seconds})
        for conversation_id, text in texts.items():
            piece = self._piece(conversation_id, text, now)
            if piece["text"]:
                yield line(conversation_id, DRAFT, piece)
        while self._drafts and next(iter(self._drafts.values())).used_at < now - FORGET_SECONDS:
            self._drafts.popitem(last=False)

    def _piece(self, conversation_id: str, text: str, now: float) -> dict[str, str | int]:
        draft = self._drafts.get(conversation_id)
        if draft is None or not text.startswith(draft.sent):  # another answer, or the same begun anew
            draft = self._drafts[conversation_id] = _Draft()
        self._drafts.move_to_end(conversation_id)
        new = text[len(draft.sent) :]
        is_whole = now - draft.whole_at >= SNAPSHOT_SECONDS
        piece: dict[str, str | int] = {"draft": draft.id, "offset": draft.units, "text": new}
        if is_whole:
            piece |= {"offset": 0, "text": text}
            draft.whole_at = now
        draft.sent, draft.units, draft.used_at = text, draft.units + _units(new), now
        return piece


def line(conversation_id: str, event: str, data: Mapping[str, str | int | float]) -> str:
    """One line of the topic; JSON has no line breaks of its own."""
    return f"{conversation_id} {event} {json.dumps(data)}"


def lines_of(payload: str) -> Iterator[tuple[str, str, str]]:
    """(conversation, event, JSON) of each line of a publish; what is not ours is left out."""
    for one in payload.split("\n"):
        conversation_id, _, rest = one.partition(" ")
        event, _, data = rest.partition(" ")
        if event in (TYPING, DRAFT) and data.startswith("{") and "\r" not in data:
            yield conversation_id, event, data


def outbox() -> Outbox:
    """The running loop's outbox."""
    loop = asyncio.get_running_loop()
    found = _outboxes.get(loop)
    if found is None:
        found = _outboxes[loop] = Outbox()
    return found


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


_outboxes: "WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox]" = WeakKeyDictionary()
