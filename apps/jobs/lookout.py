"""How a line finds its work: woken by a bell, by the sweeper, or by a place that was left.

Under load it is hot: it looks again by itself after a moment in which the next batch gathers, and keeps its bell
from ringing until it finds nothing. The last look comes after the bell may ring again, so nothing falls between.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, IntegrityError, connection

from apps.jobs import bell, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import drop_if_broken
from apps.jobs.sharing import Ring

if TYPE_CHECKING:
    from apps.jobs.line import Line

log = structlog.get_logger(__name__)

LINGER = 0.02
"""Seconds in which the next batch gathers, where the last one had more than one job."""
MOMENT = 0.05
"""Seconds until it looks again where another worker was claiming from its queue."""


class Lookout:
    def __init__(self, line: Line) -> None:
        self.line = line
        self._lock = threading.Lock()
        self.looking = self._look_again = False
        self.hot = False
        """It looks again by itself: the bell need not ring."""
        self._levels: set[int] = set()
        """The priorities seen here: with one only, a claim that is not full has taken everything."""
        self._ring = Ring()
        self._looks_at = math.inf
        """When it looks again because of what all workers share: the next slot of a rate, their turns to claim."""
        self._no_room = False
        """The last claim was cut short by what all workers together may have in flight."""

    def wake(self) -> bool:
        """Look soon; False if there is no place."""
        with self._lock:
            if self.line.crew.stopping:
                return False
            if self.looking:
                self._look_again = True
                return True
            if self.line.is_full:
                self.line.behind = True
                if self.line.is_full:  # else the last place was left while nobody was behind yet
                    return False
            self.looking = True
        self.line.crew.on_ledger(self._look)
        return True

    def _look(self) -> None:
        try:
            self._look_while_free()
        except BaseException:
            self._rest()
            raise

    def _rest(self) -> None:
        with self._lock:
            self.looking = False
            woken, self._look_again = self._look_again, False
        if self.hot:
            self._cool()
        if woken:  # while we were about to rest, perhaps by the very place that was missing
            self.wake()

    def _cool(self) -> None:
        """Let the bell ring again. Whoever cools looks once more, or knows that it has no place."""
        self.hot = False
        bell.silence(self.line.task.name)

    def _look_while_free(self) -> None:
        line = self.line
        while True:
            with self._lock:
                self._look_again = False
            free = self._take_slots(line.take_free())
            if not free:
                self._rest()
                return
            jobs: list[ClaimedJob] = []
            try:
                jobs, seen = self._claim(free)
            except DatabaseError as error:
                log.warning(
                    "claim_failed", task=line.task.name, error=str(error), hint="the sweeper tries again"
                )
                self._rest()
                return
            finally:
                line.give_back(free - len(jobs))
                line.crew.throttle.give_back(line.task.queue, free - len(jobs))
            full = seen == free
            line.behind = full or self._no_room
            self._levels.update(job.priority for job in jobs)
            if full:
                if self.hot:
                    self._cool()
                bell.ring_others(line.task.name, line.task.queue)
            if jobs:
                line.admit(jobs)
            if not self._look_on(seen, full):
                return

    def _take_slots(self, free: int) -> int:
        """As many of these places as the queue's rate has slots for; looks again when there is the next one."""
        line = self.line
        slots, wait = line.crew.throttle.take(line.task.queue, free) if free else (0, 0.0)
        if slots < free:
            line.give_back(free - slots)
            line.behind = True
            self._look_in(wait)
        return slots

    def _look_in(self, wait: float) -> None:
        """Look again by itself, unless it does sooner."""
        at = time.monotonic() + wait
        if at < self._looks_at - LINGER:  # else known; sooner, where a rate was raised or slots came back
            self._looks_at = at
            self.line.crew.later(wait, self._moment_is_there)

    def _moment_is_there(self) -> None:
        self._looks_at = math.inf
        self.wake()

    def _look_on(self, seen: int, full: bool) -> bool:
        """Whether to look again at once; else later, by itself, or when somebody wakes it."""
        if self.hot and not seen:
            self._cool()
            return True
        with self._lock:
            if not full and (seen > 1 or (self.hot and seen)):
                self.hot = True
                self.line.crew.later(LINGER, self._look)
                return False
            self.looking = full or self._look_again or (seen > 0 and len(self._levels) > 1)
            return self.looking

    def _claim(self, places: int) -> tuple[list[ClaimedJob], int]:
        drop_if_broken()
        for _ in range(3):
            try:
                return self._claim_once(places)
            except IntegrityError:
                continue  # somebody took a job of the same lane meanwhile; the next look parks it
            except DatabaseError:
                connection.close()
        return self._claim_once(places)

    def _claim_once(self, places: int) -> tuple[list[ClaimedJob], int]:
        line = self.line
        # Where a place has been missing, whoever asks first must not get them all.
        claim = self._ring.claim if line.behind else ledger.claim
        with line.crew.throttle.room(line.task.queue, places) as room:
            self._no_room = room is None or room < places  # then whoever ends a job looks again
            if room is None:
                self._look_in(MOMENT)
            return claim(line.task.name, places=room, worker=line.crew.worker_id) if room else ([], 0)
