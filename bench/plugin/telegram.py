"""Telegram with limits that nobody reaches, so that the house is measured and not Telegram's rules.

    EXTRA_CHANNELS="telegram=bench.plugin.telegram.UnlimitedTelegram"

Both limits, the bot's and the chat's, are still reserved in Redis for every send: what that costs is in the figures.
"""

from __future__ import annotations

from dataclasses import replace

from apps.channels.base import Outgoing
from apps.channels.telegram.channel import TelegramChannel
from apps.reliability.limiter import Limit


class UnlimitedTelegram(TelegramChannel):
    """The adapter as it is, but for its rates."""

    def limits(self, outgoing: Outgoing) -> tuple[Limit, ...]:
        return tuple(replace(limit, rate=100_000.0, burst=10_000) for limit in super().limits(outgoing))
