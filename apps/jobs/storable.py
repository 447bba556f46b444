"""What both databases can keep of an outcome. A job that has ended must be able to say so, whatever its task made
of result, words and times: an outcome that is refused would be offered for ever.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

CODE_LENGTH = 64
LONGEST_DELAY = 30 * 86_400.0
DEEPEST = 50
# Half a surrogate pair is no Unicode; NUL is what PostgreSQL refuses.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPICIOUS = ("\\u0000", "\\ud8", "\\ud9", "\\uda", "\\udb", "\\udc", "\\udd", "\\ude", "\\udf")


def text(value: str) -> str:
    """Return `value` with what can't be kept replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", value)


def code(value: str) -> str:
    return text(value)[:CODE_LENGTH]


def delay(seconds: Any) -> float:
    """Return `seconds` as a time to wait: 0 to 30 days. What is no number is no wait."""
    try:
        number = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return 0.0 if math.isnan(number) else min(max(number, 0.0), LONGEST_DELAY)


def as_json(value: Any) -> str:
    """Return `value` as JSON. What JSON or the databases don't have becomes text, null or U+FFFD."""
    try:
        dumped = json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        dumped = ""
    if dumped and not any(mark in dumped for mark in _SUSPICIOUS):
        return dumped
    return json.dumps(_plain(value, 0))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) < 1 << 4096:
        return value
    if depth < DEEPEST:
        if isinstance(value, dict):
            return {text(str(name)): _plain(one, depth + 1) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(one, depth + 1) for one in value]
    return type(value).__name__ if isinstance(value, int | dict | list | tuple) else text(str(value))
