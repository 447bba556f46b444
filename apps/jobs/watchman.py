"""Notices a call that never ends and an event loop that no longer turns, and ends the process for them.

A thread can't be killed: hand back what has not begun, blame what overran, and exit to be restarted. When the loop
is silent nobody knows who holds it; then all that was running in this process counts one crash, and after two the
suspects run alone.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import structlog
from django.db import connection

from apps.jobs import ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.taking_back import blame

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
SILENT_LOOP = 5.0
LEAVE_WITHIN = 3.0
EXIT_TO_BE_RESTARTED = 70


class Watchman:
    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._turned_at = time.monotonic()

    def run(self) -> None:
        self._turned_at = looked_at = time.monotonic()
        while not self.crew.stopped.wait(LOOK_EVERY):
            now = time.monotonic()
            if now - looked_at > SILENT_LOOP:
                # The whole process was asleep (SIGSTOP, a frozen container): the loop had no chance to turn.
                self._turned_at = now
            looked_at = now
            self.crew.loop.call_soon_threadsafe(self._turned)
            silent = now - self._turned_at
            if silent > SILENT_LOOP:
                self._bail_out(f"the event loop has been silent for {silent:.0f} s", [])
            if overrun := self._overrun(now):
                self._bail_out("a call ran beyond its time limit", overrun)

    def _turned(self) -> None:
        self._turned_at = time.monotonic()

    def _overrun(self, now: float) -> list[ClaimedJob]:
        """The jobs whose call in a thread has run beyond its limit; async calls are cut off by themselves."""
        return [
            flight.job
            for line in self.crew.lines.values()
            if not line.task.is_async
            for flight in list(line.flights.values())
            if flight.begun is not None and not flight.ended and now - flight.begun > flight.job.time_limit
        ]

    def _bail_out(self, why: str, guilty: list[ClaimedJob]) -> None:
        self.crew.stopping = True
        log.error("worker_exits", why=why, guilty=[job.id for job in guilty], hint="a supervisor restarts it")
        helper = threading.Thread(target=self._leave_in_order, args=(why, guilty), daemon=True)
        helper.start()
        helper.join(timeout=LEAVE_WITHIN)
        os._exit(EXIT_TO_BE_RESTARTED)

    def _leave_in_order(self, why: str, guilty: list[ClaimedJob]) -> None:
        try:
            for line in self.crew.lines.values():
                flights = list(line.flights.values())
                ledger.hand_back([flight.job for flight in flights if flight.begun is None])
            if guilty:
                blame(guilty, why, worker=self.crew.worker_id)
        except Exception:
            log.exception("left_in_disorder", hint="the sweeper takes back what this process held")
        finally:
            connection.close()
