"""What a person sees while the AI thinks: a sign of typing, and on channels that can show it the growing answer.

All of it is best effort. It never delays the answer and never fails the turn, and it ends by itself: a sign of typing
lasts `typing_seconds`, and nobody renews it when the turn is over or its worker is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from apps.ai.base import OnText
from apps.channels import registry as channels
from apps.channels.base import Channel, Listener
from apps.reliability import limiter
from apps.reliability.background import in_background
from apps.reliability.errors import Postpone

SHOW_EVERY = 0.08
"""Seconds between two looks at a growing answer."""
LONGEST_CALL = 10.0
"""Seconds after which a channel that does not take a sign of typing is not asked again in this turn."""

log = structlog.get_logger(__name__)


class Draft:
    """The answer as far as it has come."""

    def __init__(self) -> None:
        self.text = ""
        self.changed = asyncio.Event()
        self._writer: object = None

    def begin(self) -> OnText:
        """Somebody begins to answer, from the first word; what is still to come of whoever tried before is left out."""
        self.text = ""
        self._writer = writer = object()

        def add(piece: str) -> None:
            if self._writer is writer:
                self.text += piece
                self.changed.set()

        return add


@contextlib.asynccontextmanager
async def watched(channel_name: str, listener: Listener) -> AsyncIterator[Draft | None]:
    """Let the listener see that an answer is coming while the body runs. Gives the draft to fill, where the channel
    shows drafts."""
    channel = _channel(channel_name)
    draft = Draft() if channel and channel.shows_drafts else None
    signs = []
    if channel and channel.typing_seconds:
        signs.append(asyncio.create_task(_type(channel, listener, channel.typing_seconds)))
    if channel and draft:
        signs.append(asyncio.create_task(_show(channel, listener, draft)))
    try:
        yield draft
    finally:
        for sign in signs:
            sign.cancel()


async def _type(channel: Channel, listener: Listener, seconds: float) -> None:
    try:
        while not _is_over():
            if not await _is_held(channel, listener):
                async with asyncio.timeout(LONGEST_CALL):
                    await channel.typing(listener)
            await asyncio.sleep(seconds * 0.8)  # renewed before it ends
    except Postpone as error:
        in_background(limiter.hold, channel.hold_key(listener.account), error.seconds)
    except Exception as error:  # whatever a channel raises: the answer matters, the sign doesn't
        log.debug("typing_not_shown", channel=channel.name, error=type(error).__name__)


async def _is_held(channel: Channel, listener: Listener) -> bool:
    """Whether the account's provider asked us to wait: then nobody types either."""
    if not channel.has_breaker:
        return False  # nobody outside
    [wait] = await in_background(limiter.held, [channel.hold_key(listener.account)])
    return wait > 0


async def _show(channel: Channel, listener: Listener, draft: Draft) -> None:
    try:
        while not _is_over():
            await draft.changed.wait()
            draft.changed.clear()
            if draft.text:
                await channel.show(listener, draft.text)
            await asyncio.sleep(SHOW_EVERY)
    except Exception as error:
        log.debug("draft_not_shown", channel=channel.name, error=type(error).__name__)


def _is_over() -> bool:
    """Whether this sign was taken back, also where a channel swallowed the cancellation."""
    me = asyncio.current_task()
    return me is None or me.cancelling() > 0


def _channel(name: str) -> Channel | None:
    try:
        return channels.get(name)
    except LookupError:
        return None  # the send will say what is wrong with it
