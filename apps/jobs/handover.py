"""Handing the next job over in place: a job that a finishing transaction inserts may be inserted already claimed
by the same worker. It saves the bell and the claim: most of what a message costs when it is alone.

Only where it changes nothing for others: the worker serves the queue and has a free place, nothing of that task is
known to wait, and the job's lane is free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from apps.jobs.claimed import ClaimedJob


class Taker(Protocol):
    """A worker process that can take a job on at once."""

    worker_id: int

    def reserve(self, task: str) -> bool:
        """Take a place for one job of `task`, if one is free and nobody waits for it."""

    def give_back(self, task: str, places: int) -> None:
        """Return places that were reserved and not used."""


class Handover:
    """What one transaction hands over. Of use only after its commit."""

    def __init__(self, taker: Taker) -> None:
        self.taker = taker
        self.jobs: list[ClaimedJob] = []
        self._reserved: list[str] = []
        self.depth = 0
        """How many savepoints deep the transaction is. A deeper one may be rolled back: nothing is handed over."""

    def reserve(self, task: str) -> bool:
        if not self.taker.reserve(task):
            return False
        self._reserved.append(task)
        return True

    def give_back(self, task: str) -> None:
        """Give back a place that turned out not to be needed."""
        self._reserved.remove(task)
        self.taker.give_back(task, 1)

    def cancel(self) -> None:
        """Give every place back: the transaction did not commit."""
        self.jobs.clear()
        self.close()

    def close(self) -> None:
        """Give back the places that no job came to take."""
        unused = Counter(self._reserved) - Counter(job.task for job in self.jobs)
        for task, places in unused.items():
            self.taker.give_back(task, places)
        self._reserved.clear()


_current: ContextVar[Handover | None] = ContextVar("handover", default=None)


def current() -> Handover | None:
    return _current.get()


@contextmanager
def to(taker: Taker | None) -> Iterator[Handover | None]:
    """Let the transaction inside hand jobs to `taker`; None: to nobody. Cancelled when it raises."""
    handover = Handover(taker) if taker else None
    token = _current.set(handover)
    try:
        yield handover
        if handover:
            handover.close()
    except BaseException:
        if handover:
            handover.cancel()
        raise
    finally:
        _current.reset(token)
