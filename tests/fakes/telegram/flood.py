"""Telegram's flood limits as a rule: so many messages within so many seconds, for a bot and for one of its chats."""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Flood:
    """None leaves a limit out."""

    per_bot: tuple[int, float] | None = (30, 1.0)
    per_private_chat: tuple[int, float] | None = (3, 1.0)
    per_group: tuple[int, float] | None = (20, 60.0)


class FloodControl:
    """Counts the messages that were taken; `wait` says how long one more would have to."""

    def __init__(self, flood: Flood | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.flood = flood
        self._clock = clock
        self._taken: dict[tuple[str, int], deque[float]] = defaultdict(deque)

    def wait(self, token: str, chat_id: int) -> int:
        """Whole seconds until a message may be sent; 0: now, and it is counted."""
        if self.flood is None:
            return 0
        per_chat = self.flood.per_group if chat_id < 0 else self.flood.per_private_chat
        now = self._clock()
        windows = [((token, 0), self.flood.per_bot), ((token, chat_id), per_chat)]
        waits = [self._missing(self._taken[key], limit, now) for key, limit in windows if limit]
        if any(waits):
            return math.ceil(max(waits))
        for key, limit in windows:
            if limit:
                self._taken[key].append(now)
        return 0

    @staticmethod
    def _missing(taken: deque[float], limit: tuple[int, float], now: float) -> float:
        most, seconds = limit
        while taken and taken[0] <= now - seconds:
            taken.popleft()
        return 0.0 if len(taken) < most else taken[0] + seconds - now
