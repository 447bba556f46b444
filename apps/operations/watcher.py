"""Notices changed source files by their times, looked at once a second: enough for `make dev`, everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

EVERY = 1.0  # seconds
SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".txt", ".toml"})


class Watcher:
    """Watches the files under some directories."""

    def __init__(self, directories: Iterable[Path], *, every: float = EVERY) -> None:
        self._directories = list(directories)
        self._every = every
        self._seen = self._look()
        self._next = time.monotonic() + every

    def changed(self) -> Path | None:
        """One file that changed, came or went since the last look; None between looks."""
        if time.monotonic() < self._next:
            return None
        now = self._look()
        before, self._seen = self._seen, now
        self._next = time.monotonic() + self._every
        different = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        return different[0] if different else None

    def _look(self) -> dict[Path, int]:
        return {path: modified for directory in self._directories for path, modified in _files(directory)}


def _files(directory: Path) -> Iterator[tuple[Path, int]]:
    for path in directory.rglob("*"):
        if path.suffix in SUFFIXES:
            try:
                yield path, path.stat().st_mtime_ns
            except FileNotFoundError:  # an editor replaced it between the listing and the look
                continue
