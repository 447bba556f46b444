"""What was asked of the fake and when it was answered; and calls that are kept waiting on purpose."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Call:
    """One call of the Bot API. Times are `time.time()`; `ended` None: under way. `cut`: its caller had hung up."""

    number: int
    method: str
    token: str = field(repr=False)
    chat_id: str
    text: str
    begun: float
    ended: float | None = None
    status: int = 0
    cut: bool = False


@dataclass
class Manners:
    """How calls of one method are answered once they are done: after `delay` seconds, and not before `hold` ends."""

    delay: float = 0.0
    hold: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0


class Record:
    """All calls in the order of their coming. A call is written down before it is answered."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.manners: defaultdict[str, Manners] = defaultdict(Manners)

    def begin(self, method: str, token: str, parameters: dict[str, Any]) -> Call:
        chat, text = str(parameters.get("chat_id") or ""), str(parameters.get("text") or "")
        call = Call(len(self.calls), method.lower(), token, chat, text, time.time())
        self.calls.append(call)
        return call

    async def wait(self, call: Call) -> None:
        """As long as calls of this method are to be kept."""
        manners = self.manners[call.method]
        if manners.hold:
            manners.held += 1
            await manners.released.wait()
            manners.held -= 1
        if manners.delay:
            await asyncio.sleep(manners.delay)

    def behave(self, method: str, *, delay: float | None = None, hold: bool | None = None) -> None:
        """For the calls to come; hold=False lets go those that are held."""
        manners = self.manners[method.lower()]
        if delay is not None:
            manners.delay = delay
        if hold is not None:
            manners.hold = hold
            manners.released.set()
            manners.released = asyncio.Event()

    def behave_again(self) -> None:
        for method in list(self.manners):
            self.behave(method, delay=0.0, hold=False)

    def shown(self, since: int) -> list[dict[str, Any]]:
        """The calls from this number on, for a test in another process."""
        return [asdict(call) for call in self.calls[since:]]
