"""Open pages for the tests of the live stream: the ASGI application driven as a server drives it.

The event loop runs in a thread, so that a test writes to the database in the ordinary way.
"""

import asyncio
import json
import math
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from apps.channels.widget import live
from apps.frontdoor import events
from tests.waiting import wait_until

T = TypeVar("T")
NEVER = 3600.0


class Tab:
    """One request to the live stream."""

    def __init__(self, loop: "EventLoop", headers: dict[str, str], method: str = "GET") -> None:
        self._loop = loop
        self._scope = {
            "type": "http",
            "method": method,
            "path": "/api/v1/widget/events",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False
        self._gone = loop.call(_event())
        self._task = loop.call(self._start())

    def wait_for(self, number: int, deadline: float = 10.0) -> list[dict[str, Any]]:
        """The messages so far, as soon as there are `number` of them."""
        wait_until(
            lambda: len(self.messages) >= number, deadline, f"{number} messages, there are {self.texts}"
        )
        return self.messages

    def wait_for_end(self, deadline: float = 10.0) -> None:
        wait_until(self._task.done, deadline, "the end of the request")
        self._task.result()

    def leave(self) -> None:
        """Close the page and wait until the server has noticed."""
        self._loop.call(self._leave())

    @property
    def blocks(self) -> list[dict[str, str]]:
        """All that was sent, block by block; comments under the name ""."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            pairs = [line.partition(":") for line in block.split("\n")]
            found.append({name: value.removeprefix(" ") for name, _, value in pairs})
        return found

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(block["data"]) for block in self.blocks if block.get("event") == "message"]

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]

    async def _start(self) -> "asyncio.Task[None]":
        return asyncio.create_task(events.application(self._scope, self._receive, self._send))

    async def _leave(self) -> None:
        self._gone.set()
        await asyncio.wait([self._task], timeout=10)
        assert self._task.done()

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
            self.is_complete = not message["more_body"]


class EventLoop:
    """A loop in a thread. `close` proves that no task is left."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tabs: list[Tab] = []

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def tab(self, token: str, last_seen: str = "", **headers: str) -> Tab:
        sent = {"Authorization": f"Bearer {token}"} | headers
        if last_seen:
            sent["Last-Event-ID"] = last_seen
        tab = Tab(self, sent)
        self._tabs.append(tab)
        return tab

    def tasks(self) -> list[str]:
        """What still runs in the loop, beside the question itself."""
        return self.call(_tasks())

    def close(self) -> None:
        for tab in self._tabs:
            tab.leave()
        left = self.tasks()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        assert not left


async def _event() -> asyncio.Event:
    return asyncio.Event()


async def _tasks() -> list[str]:
    mine = asyncio.current_task()
    return [repr(task) for task in asyncio.all_tasks() if task is not mine]


def wake(conversation: Any) -> None:
    live.wake([str(conversation.public_id)])


def listening() -> bool:
    """Whether Redis has confirmed the subscription."""
    return events.hub._trusted_from < math.inf


def opened(loop: EventLoop, visitor: Any, last_seen: str = "") -> Tab:
    tab = loop.tab(visitor.token, last_seen)
    wait_until(lambda: tab.body, what="the first words")
    return tab
