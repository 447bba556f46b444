"""What was asked of the fake and when it was answered; and calls that are kept waiting on purpose."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Call:
    """One call of the Bot API. Times are `time.time()`; `ended` None: under way. `cut`: its caller had hung up.

    `sender`: who called, where it says so in the address (/from/<sender>/bot…); `fault`: the name of what it met.
    """

    number: int
    method: str
    token: str = field(repr=False)
    chat_id: str
    text: str
    begun: float
    ended: float | None = None
    status: int = 0
    cut: bool = False
    sender: str = ""
    fault: str = ""


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
        # Hears of each call when it came ("begin"), before it is answered ("done": status 200 = it took effect, 0 =
        # nothing was done) and when the answer has gone out ("end").
        self.told: Callable[[str, Call], None] = lambda moment, call: None

    def begin(
        self, method: str, token: str, parameters: dict[str, Any], *, sender: str = "", fault: str = ""
    ) -> Call:
        chat, text = str(parameters.get("chat_id") or ""), str(parameters.get("text") or "")
        call = Call(
            len(self.calls), method.lower(), token, chat, text, time.time(), sender=sender, fault=fault
        )
        self.calls.append(call)
        self.told("begin", call)
        return call

    def done(self, call: Call, status: int) -> None:
        """What became of it, before anybody is answered."""
        call.status = status
        self.told("done", call)

    def end(self, call: Call, *, status: int, cut: bool) -> None:
        call.cut, call.ended, call.status = cut, time.time(), status
        self.told("end", call)

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
