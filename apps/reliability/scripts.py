"""Scripts that Redis runs as one step, for all processes: the server's own clock, one round trip, nothing half done."""

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import redis

from apps.reliability.redis_client import redis_client

# Microseconds as whole numbers: a double holds them exactly, and adding them up loses nothing.
MICROSECONDS = 1_000_000
NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function whole(number) return string.format('%.0f', number) end
"""


class Script:
    """One Lua script; the variable `now` (microseconds) and `whole(number)` are there for it."""

    def __init__(self, text: str) -> None:
        self.text = NOW + text
        self._sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], arguments: Sequence[int | float | str] = ()) -> Any:
        """What the script returns. One round trip; a server that doesn't know the script yet costs a second.

        Raises redis.RedisError or OSError.
        """
        client = redis_client()
        try:
            return client.evalsha(self._sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self.text, len(keys), *keys, *arguments)


def microseconds(seconds: float) -> int:
    """Whole microseconds, rounded to the nearest."""
    return round(seconds * MICROSECONDS)
