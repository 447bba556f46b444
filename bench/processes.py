"""What processes cost: CPU seconds and proportional memory, by kind, read from /proc.

A kind is a list of root processes; everything they started counts, children that have ended included (the
kernel adds a reaped child's time to its parent's cutime), so PostgreSQL's short-lived backends are not missed.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
Kinds = Mapping[str, Sequence[int]]


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def family(roots: Sequence[int]) -> list[int]:
    """The roots and all their living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children[int(_stat(int(entry))[1])].append(int(entry))
            except (OSError, ValueError):
                continue  # it ended while we looked
    found: list[int] = []
    left = list(roots)
    while left:
        pid = left.pop()
        found.append(pid)
        left.extend(children.get(pid, ()))
    return found


def cpu_seconds(kinds: Kinds) -> dict[str, float]:
    """CPU seconds used so far by each kind. The difference of two calls is what happened between them."""
    used = {}
    for kind, roots in kinds.items():
        total = 0
        for pid in family(roots):
            try:
                total += sum(int(ticks) for ticks in _stat(pid)[11:15])
            except OSError:
                continue
        used[kind] = total / TICK
    return used


def memory_mb(kinds: Kinds) -> dict[str, float]:
    """Proportional set size (shared pages divided among those who share them) of each kind, in MB."""
    sizes = {}
    for kind, roots in kinds.items():
        total = 0
        for pid in family(roots):
            try:
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
            except OSError:
                continue
        sizes[kind] = total / 1024
    return sizes


def database_connections(postmaster: int) -> int:
    """Client backends of a PostgreSQL cluster, by their process titles (asking the server would cost it CPU)."""
    count = 0
    for pid in family([postmaster]):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        except OSError:
            continue
        count += b"127.0.0.1(" in title or b"[local]" in title
    return count


class Sampler:
    """Peaks of memory and database connections while a scenario runs; a look each `every` seconds."""

    def __init__(self, kinds: Kinds, *, postmaster: int | None, every: float = 1.0) -> None:
        self.peak_memory: dict[str, float] = {}
        self.peak_total = 0.0
        self.peak_connections = 0
        self._kinds = kinds
        self._postmaster = postmaster
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _look(self) -> None:
        now = memory_mb(self._kinds)
        for kind, size in now.items():
            self.peak_memory[kind] = max(self.peak_memory.get(kind, 0.0), size)
        self.peak_total = max(self.peak_total, sum(now.values()))
        if self._postmaster is not None:
            self.peak_connections = max(self.peak_connections, database_connections(self._postmaster))

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def __enter__(self) -> Sampler:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
