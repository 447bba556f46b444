"""The net under everything: a thread in every worker, any one of which is enough.

It asks the ledger, never the broker. Four times a second: is something of ours due, bell or no bell. Every second:
workers that are gone, jobs they left, jobs too old, suspects. Every half minute, one process at a time: parked jobs
whose lane is free.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, connection, transaction

from apps.jobs import failures, leases, ledger
from apps.jobs.adrift import Adrift
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import drop_if_broken
from apps.jobs.endings import Fail
from apps.jobs.quarantine import Quarantine
from apps.jobs.taking_back import take_back_abandoned
from apps.jobs.tally import Tally
from apps.jobs.task import get_task, registry

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)

TICK = 0.25
"""Seconds between two looks for due work: how late a retry or a debounced turn may begin."""
ROUND = 1.0
ORPHANS_EVERY = 30.0
ASLEEP = 3.0
"""A gap between two ticks that means this process, or its database, was away."""


class Sweeper:
    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._quarantine = Quarantine(crew)
        self._adrift = Adrift(crew)
        self._stopped = threading.Event()
        self._seen_since = time.monotonic()
        self._last_tick = time.monotonic()
        self._next_round = 0.0
        self._orphans_likely = False

    @property
    def quarantine(self) -> Quarantine:
        return self._quarantine

    def run(self) -> None:
        while not self._stopped.wait(TICK) and not self.crew.stopping:
            now = time.monotonic()
            if now - self._last_tick > ASLEEP:
                self._seen_since = now
            self._last_tick = now
            try:
                drop_if_broken()
                self.crew.throttle.refresh()
                self.wake_due()
                if now >= self._next_round:
                    self._next_round = now + ROUND
                    self.round()
            except DatabaseError as error:
                self._seen_since = time.monotonic()
                self._orphans_likely = True
                connection.close()
                log.warning("sweep_failed", error=str(error))
            except Exception:
                log.exception("sweep_broken")
        connection.close()

    def wake_due(self) -> None:
        """Wake the lines that have something due; they claim it in this process."""
        free = [name for name, line in self.crew.lines.items() if line.in_flight < line.places]
        if free:
            for task in ledger.tasks_with_due_jobs(free):
                self.crew.wake(task)

    def round(self) -> None:
        ended = leases.end_dead_processes(me=self.crew.worker_id)
        # Only then: after an outage of the database every lease looks expired, the jobs' own too.
        settled = time.monotonic() - self._seen_since > leases.LEASE
        if settled:
            ended += ledger.expire_leases()
        else:
            self._adrift.hand_back()
        self._take_back(overdue=settled)
        self._bury_expired()
        self._quarantine.feed()
        # Who died may have died between a commit and the promotion after it; so may a sweep that failed.
        self._orphans_likely |= bool(ended)
        if ledger.take_seat("orphans", seconds=ORPHANS_EVERY) or self._orphans_likely:
            self.crew.wake_promoted(ledger.promote_orphans())
            self._orphans_likely = False

    def _take_back(self, *, overdue: bool = True) -> None:
        while True:
            count, lanes = take_back_abandoned(me=self.crew.worker_id, overdue=overdue)
            self.crew.wake_promoted(ledger.promote(lanes))
            if count < 500:
                break
        if count:
            self.wake_due()

    def _bury_expired(self) -> None:
        with transaction.atomic():
            late = ledger.bury_expired()
            for name in sorted({job.task for job in late}):
                self._bury_of_task(name, [job for job in late if job.task == name])
        self.crew.wake_promoted(ledger.promote({job.lane for job in late if job.lane}))

    def _bury_of_task(self, name: str, late: list[ClaimedJob]) -> None:
        dead = [(job, Fail("not done in time", "expired", "expired")) for job in late]
        tally = Tally(self.crew.worker_id, name)
        for job in late:
            tally.add(job, "failed")
        tally.write()
        if name in registry():
            failures.bury_each(get_task(name), dead)
        for job, ending in dead:
            failures.log_failure(job, ending)
