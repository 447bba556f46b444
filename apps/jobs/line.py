"""One task in one worker process: its places, its jobs in flight, the groups in which they end.

    wake -> look (claim while places are free) -> admit (read, mark) -> calls side by side -> finish (grouped)

Everything that touches the database runs on the crew's few ledger threads; calls run on its event loop or its
call threads. While one group is being written the next gathers: alone, a job goes at once; under load the costs of
a group are shared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, connection

from apps.jobs import ledger, life
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import drop_if_broken, is_away
from apps.jobs.flight import Flight
from apps.jobs.hosting import Host
from apps.jobs.life import DatabaseAway, Outcome, Ready
from apps.jobs.lookout import LINGER, Lookout
from apps.jobs.queue import page
from apps.jobs.settling import settle
from apps.jobs.task import JobTask

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)

TRY_AGAIN = 0.5
"""Seconds until a group that the database did not take is offered again."""
LARGEST_GROUP = 200
SYNC_CALLS = 64
"""The most sync calls of a task side by side: each has a thread from the moment it is claimed."""


class Line:
    def __init__(self, crew: Crew, task: JobTask) -> None:
        self.crew, self.task = crew, task
        self.places = page(task.queue).in_flight
        if task.call is not None and not task.is_async:
            self.places = min(self.places, SYNC_CALLS)
        self.host = Host(self)
        self.lookout = Lookout(self)
        self._lock = threading.Lock()
        self._taken = 0
        self.behind = False
        """The last claim came back full: more may wait, so nothing is handed over past it."""
        self.flights: dict[tuple[int, int], Flight] = {}
        self._finished: list[Outcome] = []
        self._last_group = 0
        self._settling = False

    # --- places -------------------------------------------------------------------------------

    def reserve(self) -> bool:
        """Take a place for a job that is handed over, unless others wait for it or all workers share its queue's."""
        if self.crew.throttle.of(self.task.queue):
            return False
        with self._lock:
            if self.behind or self._taken >= self.places or self.crew.stopping:
                return False
            self._taken += 1
            return True

    def give_back(self, places: int) -> None:
        with self._lock:
            self._taken -= places

    def take_free(self) -> int:
        """Take what is free, at most a batch; 0 when nothing is, and then whoever leaves a place looks again."""
        with self._lock:
            free = min(self.places - self._taken, self.task.batch)
            if free <= 0 or self.crew.stopping:
                self.behind = True
                return 0
            self._taken += free
            return free

    @property
    def in_flight(self) -> int:
        return self._taken

    @property
    def is_full(self) -> bool:
        return self._taken >= self.places

    # --- looking for work ----------------------------------------------------------------------

    def wake(self) -> bool:
        """Look for work soon; False if there is no place for any (whoever leaves one looks again)."""
        return self.lookout.wake()

    @property
    def looking(self) -> bool:
        return self.lookout.looking

    @property
    def hot(self) -> bool:
        return self.lookout.hot

    # --- running ---------------------------------------------------------------------------------

    def admit(self, jobs: Sequence[ClaimedJob], holder: Line | None = None) -> None:
        """Take on claimed jobs, on a ledger thread. `holder`: the line that handed them over."""
        with self._lock:
            for job in jobs:
                self.flights[job.key] = Flight(job, holder or self)
        if holder is None:
            self.host.hold(len(jobs))
        try:
            ready, over = life.begin(self.task, jobs)
            if ready:
                ready = self._mark(ready)
        except Exception as error:
            if isinstance(error, DatabaseAway) or is_away(error):
                connection.close()
                log.warning("read_failed", task=self.task.name, error=str(error), jobs=len(jobs))
                self.crew.later(TRY_AGAIN, self._admit_again, jobs)
                return
            # A bug of the ledger itself. Its jobs come back when their lease is over.
            log.exception("admit_broken", task=self.task.name, jobs=[job.id for job in jobs])
            self.release(jobs)
            return
        if ready:
            self._start(ready)
        if over:
            self.finish(over)

    def _admit_again(self, jobs: Sequence[ClaimedJob]) -> None:
        """The database was away between claim and call: hand back; whoever is first claims them again."""
        try:
            drop_if_broken()
            ledger.hand_back(jobs)
        except DatabaseError:
            connection.close()
            self.crew.later(TRY_AGAIN, self._admit_again, jobs)
            return
        self.release(jobs)
        self.wake()

    def _mark(self, ready: list[Ready]) -> list[Ready]:
        ours = life.mark(ready, worker=self.crew.worker_id)
        if len(ours) < len(ready):
            kept = {one.job.key for one in ours}
            lost = [one.job for one in ready if one.job.key not in kept]
            ids = [job.id for job in lost]
            log.warning(
                "fenced_off", task=self.task.name, jobs=ids, reason="lease or claim lost before the call"
            )
            self.release(lost)
        return ours

    def _start(self, ready: list[Ready]) -> None:
        if self.crew.stopping and not any(one.marked for one in ready):
            self.crew.hand_back(self, [one.job for one in ready])
            return
        for one in ready:
            flight = self.flights[one.job.key]
            flight.marked = one.marked
        if self.task.is_async:
            self.crew.start_async(self, ready)
        else:
            for one in ready:
                self.flights[one.job.key].handle = self.crew.start_sync(self, one)

    def begun(self, job: ClaimedJob) -> None:
        if flight := self.flights.get(job.key):
            flight.begun = time.monotonic()

    # --- ending ----------------------------------------------------------------------------------

    def finish(self, outcomes: list[Outcome]) -> None:
        """Take outcomes to be written; whoever is first writes for all that gather."""
        for outcome in outcomes:
            if flight := self.flights.get(outcome.job.key):
                flight.ended = True
        with self._lock:
            self._finished.extend(outcomes)
            if self._settling:
                return
            self._settling = True
            crowded = self._last_group > 1
        if crowded:
            self.crew.later(LINGER, self._settle)
        else:
            self.crew.on_ledger(self._settle)

    def _settle(self) -> None:
        while True:
            with self._lock:
                group, self._finished = self._finished[:LARGEST_GROUP], self._finished[LARGEST_GROUP:]
                if not group:
                    self._settling = False
                    return
                self._last_group = len(group)
            try:
                drop_if_broken()
                self._write(group)
            except Exception as error:
                if isinstance(error, DatabaseAway) or is_away(error):
                    connection.close()
                    log.warning("settle_waits", task=self.task.name, jobs=len(group), error=str(error))
                    with self._lock:
                        self._finished[:0] = group
                    self.crew.later(TRY_AGAIN, self._settle)
                    return
                # A bug of the ledger itself. Its jobs come back when their lease is over.
                log.exception(
                    "settle_broken", task=self.task.name, jobs=[outcome.job.id for outcome in group]
                )
                self.release([outcome.job for outcome in group])

    def _write(self, group: list[Outcome]) -> None:
        settled = settle(self.task, group, worker=self.crew.worker_id, taker=self.crew)
        # It is committed: whatever fails from here on, the group is not written again.
        if settled.handed:
            holders = [flight.holder for outcome in group if (flight := self.flights.get(outcome.job.key))]
            self.crew.hand_over(settled.handed, holders[0] if holders else self)
        was_full = self.release([outcome.job for outcome in group])
        if settled.lanes:
            self._promote(settled.lanes)
        if was_full:
            self.wake()

    def _promote(self, lanes: set[str]) -> None:
        """Let the next of these lanes begin; again until the database takes it, since nobody else knows of them."""
        try:
            drop_if_broken()
            promoted = ledger.promote(lanes)
        except DatabaseError as error:
            connection.close()
            log.warning("promote_waits", task=self.task.name, lanes=len(lanes), error=str(error))
            self.crew.later(TRY_AGAIN, self._promote, lanes)
            return
        self.crew.wake_promoted(promoted)

    def release(self, jobs: Sequence[ClaimedJob]) -> bool:
        """Free the places of these jobs; say whether somebody may be waiting for one."""
        holders: list[Line] = []
        with self._lock:
            for job in jobs:
                if flight := self.flights.pop(job.key, None):
                    self._taken -= 1
                    holders.append(flight.holder)
            behind = self.behind
        for holder in holders:
            holder.host.let_go()
        return behind
