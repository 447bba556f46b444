"""API keys that opened the door within the last two seconds, so that a busy caller costs one dict lookup.

Kept by the hash of the secret, never by the secret. Only keys that were accepted are kept: what is refused is
asked again, and a stranger can't fill the memory. Revoking a key, or switching its customer off, therefore holds
everywhere after at most LIFETIME seconds, and at once in the process that did it.
"""

import time
from collections.abc import Callable

from apps.accounts.models import ApiKey

LIFETIME = 2.0
MOST_KEYS = 10_000


class KeyCache:
    """`clock` gives seconds that only grow. Safe between threads: each step is one operation on a dict."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._kept: dict[str, tuple[float, ApiKey]] = {}

    def get(self, key_hash: str) -> ApiKey | None:
        """The key accepted less than LIFETIME seconds ago. Shared between requests: don't change it."""
        kept = self._kept.get(key_hash)
        if kept is None or self.clock() >= kept[0]:
            return None
        return kept[1]

    def keep(self, key: ApiKey, *, asked_at: float) -> None:
        """Keep `key` as it stood in the database when that was asked (by `clock`), not when it answered."""
        if len(self._kept) >= MOST_KEYS:
            self._kept.clear()
        self._kept[key.key_hash] = (asked_at + LIFETIME, key)

    def forget(self, key_hash: str) -> None:
        self._kept.pop(key_hash, None)

    def clear(self) -> None:
        self._kept.clear()
