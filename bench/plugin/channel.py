"""The channel `bench`: an HTTP POST to the stand-in.

    EXTRA_CHANNELS="bench=bench.plugin.channel.BenchChannel"

A send is not repeatable, like that of a messenger, so the sending mark is part of what is measured. With
BENCH_DRAFTS=1 it takes growing answers, as the widget does, so that the AI is asked to stream; nobody looks at them.
"""

from __future__ import annotations

import os
from typing import ClassVar

from apps.channels.base import Channel, Listener, Outgoing, Sent
from bench.plugin.outside import post


class BenchChannel(Channel):
    """Delivers to the stand-in."""

    name: ClassVar[str] = "bench"
    label: ClassVar[str] = "Yardstick"
    debounce_seconds: ClassVar[float] = 0.0
    repeatable: ClassVar[bool] = False
    shows_drafts: ClassVar[bool] = bool(os.environ.get("BENCH_DRAFTS"))

    async def show(self, listener: Listener, text: str) -> None:
        """Nobody looks."""

    async def send(self, outgoing: Outgoing) -> Sent:
        body = {
            "conversation": outgoing.conversation_id,
            "recipient": outgoing.recipient,
            "message": outgoing.message_id,
            "text": outgoing.text,
        }
        answer = await post("/send", body, timeout=30.0)
        return Sent(provider_message_id=answer["id"])
