"""The channel `bench`: an HTTP POST to the stand-in.

    EXTRA_CHANNELS="bench=bench.plugin.channel.BenchChannel"

A send is not repeatable, like that of a messenger, so the sending mark is part of what is measured.
"""

from __future__ import annotations

from typing import ClassVar

from apps.channels.base import Channel, Outgoing, Sent
from bench.plugin.outside import post


class BenchChannel(Channel):
    """Delivers to the stand-in."""

    name: ClassVar[str] = "bench"
    label: ClassVar[str] = "Yardstick"
    debounce_seconds: ClassVar[float] = 0.0
    repeatable: ClassVar[bool] = False

    async def send(self, outgoing: Outgoing) -> Sent:
        body = {
            "conversation": outgoing.conversation_id,
            "recipient": outgoing.recipient,
            "message": outgoing.message_id,
            "text": outgoing.text,
        }
        answer = await post("/send", body, timeout=30.0)
        return Sent(provider_message_id=answer["id"])
