"""What a worker says while it works on an answer, said by the test: the channel's own `typing` and `show`."""

import asyncio
import json
from threading import Thread
from typing import Any

from playwright.sync_api import Page

from apps.channels import registry
from apps.channels.base import Listener
from apps.channels.widget import drafts


class Voice:
    """Speaks to the pages of a conversation, from a loop in a thread of its own (Playwright has this one)."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def typing(self, page: Page) -> None:
        self._say(registry.get("widget").typing(_listener(page)))

    def show(self, page: Page, text: str) -> None:
        self._say(registry.get("widget").show(_listener(page), text))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _say(self, words: Any) -> None:
        async def say() -> None:
            await words
            await drafts.outbox().settled()

        asyncio.run_coroutine_threadsafe(say(), self._loop).result(10)


def _listener(page: Page) -> Listener:
    kept = page.evaluate("Object.entries(localStorage).find(([key]) => key.startsWith('switchboard:'))[1]")
    return Listener(json.loads(kept)["conversation"], "")
