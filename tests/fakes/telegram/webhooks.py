"""Calling a bot's webhook: in order for each chat, again and again until it answers 2xx.

A failing update holds up only the others of its chat. The delay doubles from `first_delay` to `longest_delay`
(the real ones are seconds to minutes); a Retry-After is honoured up to `longest_delay`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import aiohttp

from tests.fakes.telegram.methods import DEFAULT_UPDATES_LEFT_OUT
from tests.fakes.telegram.world import Bot, World

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"


class Webhooks:
    """The updates that wait, and the tasks that bring them. Lives on the server's event loop."""

    def __init__(self, world: World, *, first_delay: float = 0.05, longest_delay: float = 1.0) -> None:
        self.world = world
        self.first_delay, self.longest_delay = first_delay, longest_delay
        self.attempts: list[tuple[int, int]] = []  # (update_id, status; 0 where there was no answer)
        self._waiting: dict[tuple[str, int], deque[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def add(self, bot: Bot, chat_id: int, update: dict[str, Any]) -> None:
        """An update for this bot; kept until a webhook takes it."""
        wanted = bot.webhook.allowed_updates if bot.webhook else ()
        kind = next(name for name in update if name != "update_id")
        if (kind not in wanted) if wanted else (kind in DEFAULT_UPDATES_LEFT_OUT):
            return
        with self.world.lock:
            bot.pending += 1
        line = self._waiting.setdefault((bot.token, chat_id), deque())
        line.append(update)
        self._go(bot, chat_id)

    def wake(self, bot: Bot) -> None:
        """A webhook was set: bring what has been waiting."""
        for token, chat_id in list(self._waiting):
            if token == bot.token:
                self._go(bot, chat_id)

    def drop(self, bot: Bot) -> None:
        for (token, _), line in self._waiting.items():
            if token == bot.token:
                with self.world.lock:
                    bot.pending -= len(line)
                line.clear()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def _go(self, bot: Bot, chat_id: int) -> None:
        name = f"{bot.token} {chat_id}"
        # One that has just ended may still be in the set: it brings nothing any more.
        running = any(task.get_name() == name and not task.done() for task in self._tasks)
        if bot.webhook and not running:
            task = asyncio.get_running_loop().create_task(self._bring(bot, chat_id), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _bring(self, bot: Bot, chat_id: int) -> None:
        line, delay = self._waiting[bot.token, chat_id], self.first_delay
        while line and bot.webhook:
            update = line[0]
            asked_to_wait = await self._call(bot, update)
            if asked_to_wait is None:
                if line and line[0] is update:
                    line.popleft()
                    with self.world.lock:
                        bot.pending -= 1
                delay = self.first_delay
                continue
            await asyncio.sleep(max(delay, min(asked_to_wait, self.longest_delay)))
            delay = min(delay * 2, self.longest_delay)

    async def _call(self, bot: Bot, update: dict[str, Any]) -> float | None:
        """None when it was taken, else for how long the other side wants to be left alone (0: it said nothing)."""
        webhook = bot.webhook
        assert webhook
        if self._session is None:
            self._session = aiohttp.ClientSession()
        headers = {SECRET_HEADER: webhook.secret_token} if webhook.secret_token else {}
        try:
            async with self._session.post(
                webhook.url, json=update, headers=headers, timeout=aiohttp.ClientTimeout(total=10)
            ) as response:
                status, said = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status, said = 0, ""
            webhook.last_error = (int(time.time()), f"Connection failed: {type(error).__name__}")
        self.attempts.append((update["update_id"], status))
        if 200 <= status < 300:
            return None
        if status:
            webhook.last_error = (int(time.time()), f"Wrong response from the webhook: {status}")
        return float(said) if said.isdigit() else 0.0
