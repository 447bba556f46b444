"""Answers that are asked for at every message, remembered for two seconds in this process.

What is remembered is small and frozen. Nothing is remembered about what was not found: something new works at once,
something switched off is noticed two seconds later at most.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar
from weakref import WeakSet

FRESH_SECONDS = 2.0
MOST_REMEMBERED = 10_000

K = TypeVar("K")
V = TypeVar("V")

_all: "WeakSet[ShortMemory]" = WeakSet()


class ShortMemory(Generic[K, V]):
    """Remembers what was found for FRESH_SECONDS. Safe between threads: each step is one operation on a dict."""

    def __init__(self) -> None:
        self._known: dict[K, tuple[float, V]] = {}
        _all.add(self)

    def get(self, key: K, find: Callable[[K], V | None]) -> V | None:
        """Return what `find(key)` says now, or said less than FRESH_SECONDS ago."""
        known = self.known(key)
        if known is not None:
            return known
        asked_at = time.monotonic()
        found = find(key)
        if found is None:
            self._known.pop(key, None)
        else:
            self._keep(key, found, asked_at)
        return found

    def get_many(self, keys: Iterable[K], find: Callable[[set[K]], Mapping[K, V]]) -> dict[K, V]:
        """Return what is known of these keys; `find` is asked once for those that are not in memory."""
        found: dict[K, V] = {}
        missing: set[K] = set()
        for key in set(keys):
            known = self.known(key)
            if known is None:
                missing.add(key)
            else:
                found[key] = known
        if missing:
            asked_at = time.monotonic()
            answers = find(missing)
            for key in missing - answers.keys():
                self._known.pop(key, None)  # gone; some of it is secret, so it does not stay
            for key, value in answers.items():
                found[key] = value
                self._keep(key, value, asked_at)
        return found

    def known(self, key: K) -> V | None:
        """Return what is remembered, and ask nobody."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > time.monotonic() else None

    def forget(self) -> None:
        self._known.clear()

    def _keep(self, key: K, value: V, asked_at: float) -> None:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = (asked_at + FRESH_SECONDS, value)


def forget_all() -> None:
    """Forget everything that is remembered in this process (tests)."""
    for memory in list(_all):
        memory.forget()
