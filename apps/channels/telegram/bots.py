"""The bots of this process: one `telegram.Bot` per token and event loop, all on the loop's one HTTP session.

A bot costs nothing until it is used: `initialize()`, which would ask Telegram who it is, is never called.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.conf import settings
from telegram import Bot
from telegram.error import TelegramError

from apps.channels.telegram.failures import classify
from apps.channels.telegram.request import Request
from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError

TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{35}")
MOST_BOTS = 1_000  # kept at once; the oldest are forgotten, which costs the next call a little
Answer = TypeVar("Answer")


class _Bots:
    """What one event loop has. Only ids of settings and tokens as keys, so a changed setting takes effect."""

    def __init__(self) -> None:
        self.requests: dict[float, Request] = {}
        self.bots: dict[tuple[str, float, str], Bot] = {}

    def bot(self, token: str) -> Bot:
        url, timeout = settings.TELEGRAM_API_URL, settings.TELEGRAM_TIMEOUT_SECONDS
        key = (url, timeout, token)
        bot = self.bots.get(key)
        if bot is None:
            if len(self.bots) >= MOST_BOTS:
                del self.bots[next(iter(self.bots))]
            request = self.requests.get(timeout)
            if request is None:
                request = self.requests[timeout] = Request(timeout)
            bot = self.bots[key] = Bot(
                token, base_url=f"{url}/bot", request=request, get_updates_request=request
            )
        return bot


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bots] = WeakKeyDictionary()


async def call(
    credentials: Mapping[str, Any],
    method: Callable[[Bot], Coroutine[Any, Any, Answer]],
    *,
    repeatable: bool = False,
) -> Answer:
    """What `method` gets from Telegram as the bot of these credentials. Raises one of our errors (failures.py)."""
    try:
        return await attempt(credentials, method, repeatable=repeatable)
    except TelegramError as error:
        raise classify(error, repeatable=repeatable) from None


async def attempt(
    credentials: Mapping[str, Any],
    method: Callable[[Bot], Coroutine[Any, Any, Answer]],
    *,
    repeatable: bool = False,
) -> Answer:
    """The same with Telegram's own errors. Raises TelegramError, PermanentError for a token that can't be one, and
    OutcomeUnknown for an answer that nobody understands."""
    token = credentials.get("bot_token")
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise PermanentError(
            "the account has no bot token, or what it has is none",
            code="bot_token_invalid",
            advice="Copy the token from @BotFather into the account's credentials.",
        )
    loop = asyncio.get_running_loop()
    here = _loops.get(loop)
    if here is None:
        here = _loops[loop] = _Bots()
    try:
        return await method(here.bot(token))
    except TelegramError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # JSON, and a status that says that all is well, but not what the Bot API answers.
        words = f"Telegram's answer is not one of the Bot API ({type(error).__name__})"
        if repeatable:
            raise TransientError(words, code="unreadable_answer") from None
        raise OutcomeUnknown(words, code="unreadable_answer") from None
