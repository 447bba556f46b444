"""What the workers' logs say: when breakers opened and closed, and which unknown outcomes were resolved late.

Only these moments are the system's own word; what went on outside between them is the witness'.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos import journal as journals

if TYPE_CHECKING:
    from chaos.checker.desk import Desk

ALL_BOTS = "*"
"""The breaker of Telegram as a whole."""
SKEWED = "worker-skewed.log"
Said = tuple[float, str, dict[str, Any]]


def by_logs(desk: Desk, directory: Path, known: dict[str, Any]) -> None:
    lines = sorted(_lines(directory), key=lambda said: said[0])
    bots = {f"channel:{one['account']}": name for name, one in known["bots"].items()}
    opened: dict[str, float] = {}
    for at, event, more in lines:
        if event == "late_success":
            desk.late[more["task"]] = desk.late.get(more["task"], 0) + len(more["jobs"])
            continue
        bot = ALL_BOTS if more["breaker"].startswith("service:chat:") else bots.get(more["breaker"])
        if bot is None:
            continue
        if event == "breaker_opened" and not more.get("after_a_probe"):
            # Out of order: whoever closed it was killed before it could say so, so when that was is not known.
            opened[bot] = at
        elif event == "breaker_closed" and bot in opened:
            desk.breakers.append((bot, opened.pop(bot), at))


def _lines(directory: Path) -> list[Said]:
    """(moment, event, line) of what is looked for. One worker's clock was wrong on purpose: it is set right by the
    fault during which it spoke."""
    skews = _skews(directory)
    found: list[Said] = []
    for log in directory.glob("worker*.log"):
        for text in log.read_text(errors="replace").splitlines():
            if not text.startswith("{") or not ('"breaker_' in text or '"late_success"' in text):
                continue
            with suppress(ValueError, KeyError):
                line = json.loads(text)
                at = datetime.fromisoformat(line["timestamp"]).timestamp()
                if log.name == SKEWED:
                    right = [at - by for by, begin, end in skews if begin <= at - by <= end]
                    if not right:
                        continue
                    at = right[0]
                if line["event"] in ("breaker_opened", "breaker_closed", "late_success"):
                    found.append((at, line["event"], line))
    return found


def _skews(directory: Path) -> list[tuple[float, float, float]]:
    """(seconds by which the clock is wrong, begin, end) of each time."""
    lines = journals.read(directory / journals.FAULTS)
    ends = {line["id"]: line["end"] for line in lines if "end" in line}
    return [
        (float(line["target"]), line["begin"], ends.get(line["id"], line["begin"] + line["seconds"]) + 5)
        for line in lines
        if line.get("kind") == "skew_clock"
    ]
