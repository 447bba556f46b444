"""Which fault a call meets: by seed, text and how often the text has come, whatever the order of the calls."""

import hashlib
from collections import Counter
from dataclasses import dataclass

from tests.fakes.telegram.faults import Fault

RETRY_AFTER = 3
"""Seconds that a 429 asks for."""


@dataclass(frozen=True)
class Timing:
    """Seconds. `late` must be longer than the client waits (TELEGRAM_TIMEOUT_SECONDS, the AI account's timeout)."""

    slow: float = 1.0
    late: float = 6.0


# Shares in thousandths of the calls.
TELEGRAM = {
    "slow": 30, "500": 25, "cut_before": 12, "cut_after": 15, "late": 10, "429": 6, "403": 5, "400": 5, "hang": 5,
}  # fmt: skip
AI = {"slow": 30, "500": 30, "cut_before": 15, "cut_after": 15, "late": 10, "429": 5, "400": 4, "hang": 5}

# A send that met one of these reached the person although its sender can't know.
DELIVERED_UNKNOWN = frozenset({"cut_after", "late", "hang"})
# Nobody can know either, though nothing was done.
LOOKS_UNKNOWN = frozenset({"cut_before"})
NEVER = 3600.0


class Draw:
    """`draw(text)` names the fault of this call of this text, "" for none."""

    def __init__(self, seed: int, shares: dict[str, int]) -> None:
        self._seed, self._shares = seed, shares
        self._came: Counter[str] = Counter()
        self.on = True

    def __call__(self, text: str) -> str:
        self._came[text] += 1
        if not self.on:
            return ""
        words = f"{self._seed}:{text}:{self._came[text]}".encode()
        place = int.from_bytes(hashlib.sha256(words).digest()[:4]) % 1000
        for name, share in self._shares.items():
            if place < share:
                return name
            place -= share
        return ""


def telegram_fault(name: str, timing: Timing) -> Fault | None:
    """What the fake Bot API does for a fault of this name."""
    known = {
        "slow": Fault(delay=timing.slow),
        "500": Fault(status=500),
        "cut_before": Fault(cut="before"),
        "cut_after": Fault(cut="after"),
        "late": Fault(delay=timing.late),
        "429": Fault(
            status=429,
            description=f"Too Many Requests: retry after {RETRY_AFTER}",
            retry_after=RETRY_AFTER,
        ),
        "403": Fault(status=403, description="Forbidden: bot was blocked by the user"),
        "400": Fault(status=400, description="Bad Request: PEER_ID_INVALID"),
        "hang": Fault(
            delay=NEVER
        ),  # the connection stays open and nothing comes: what half-open TCP looks like
    }
    fault = known.get(name)
    if fault:
        fault.name = name
    return fault
