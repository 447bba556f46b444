"""How a worker stops: SIGTERM, and at most 23 seconds later its process is gone.

1. No new claims. What is under way gets 5 seconds to end by itself.
2. Async calls that may be repeated are cut off and handed back, with no attempt spent, and so is what has not begun.
3. Sends that can't be repeated, sync calls and the quarantine child get 20 seconds in all.
4. What may be repeated and still runs is handed back too. A send that hangs even now is left to those who live on: its
   outcome is unknown. The worker says in the ledger that it stopped, so that nothing of it counts as a crash.
5. The process ends, whoever still hangs in it: a thread can't be killed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from celery.worker import state
from django.db import DatabaseError, connection

from apps.jobs import ledger
from apps.reliability import patience

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)

FINISH_WITHIN = 5.0
"""Seconds for calls which may be repeated."""
STOP_WITHIN = 20.0
LEAVE_WITHIN = 23.0
"""Seconds after SIGTERM until the process ends, whatever hangs."""
LAST_MOMENT = 1.0
"""Seconds between handing back and the end, for a send that comes to its end just now."""

leaving = threading.Event()
"""This process was asked to stop."""


def stop(crew: Crew) -> bool:
    """Stop `crew`. False where calls still run: only the end of the process ends them (`stop_and_leave`)."""
    until = time.monotonic() + STOP_WITHIN
    _wait_idle(crew, time.monotonic() + FINISH_WITHIN)
    crew.loop.call_soon_threadsafe(crew.cancel_repeatable)
    _wait_idle(crew, until)
    crew.stopped.set()
    crew.end_quarantine()
    flights = [flight for line in crew.lines.values() for flight in list(line.flights.values())]
    with patience.of(patience.GOODBYE):
        try:
            ledger.hand_back([flight.job for flight in flights if not flight.marked])
            if not any(flight.marked for flight in flights):
                ledger.end_worker(crew.worker_id, how="stopped")
        except DatabaseError as error:
            log.warning("goodbye_failed", error=str(error), hint="the lease ends by itself")
        connection.close()
    log.info("crew_stopped", worker=crew.worker_id, left=[flight.job.id for flight in flights])
    return not flights


def _wait_idle(crew: Crew, until: float) -> None:
    waiting = threading.Event()
    while time.monotonic() < until and not crew.is_idle:
        waiting.wait(0.05)


def hear() -> None:
    """Mind SIGTERM from now on. Celery does so only when it has started, and a crew may have claimed jobs by then."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _heard_early)


def _heard_early(_number: int, _frame: FrameType | None) -> None:
    setattr(state, "should_stop", os.EX_OK)  # noqa: B010 - Celery looks at it when it has started; typed as None
    begin()


def begin() -> None:
    """SIGTERM has come. Returns at once: this runs in the signal's handler."""
    leaving.set()
    threading.Thread(target=_leave_at_last, name="leaving", daemon=True).start()
    threading.Thread(target=stop_and_leave, name="stopping", daemon=True).start()


def stop_and_leave() -> None:
    """Stop this process's crew, if it has one, and where calls still run end the process."""
    from apps.jobs import crew

    mine = crew.current()
    if mine is None or mine.stop():
        return
    # A send keeps its lease to the last moment: taken back while it runs, it might be made twice.
    _wait_idle(mine, time.monotonic() + LAST_MOMENT)
    with patience.of(patience.GOODBYE):
        try:
            ledger.end_worker(mine.worker_id, how="stopped")
        except DatabaseError as error:
            log.warning("goodbye_failed", error=str(error), hint="the lease ends by itself")
    os._exit(os.EX_OK)


def _leave_at_last() -> None:
    threading.Event().wait(LEAVE_WITHIN)
    log.warning("worker_left", why=f"it had not ended {LEAVE_WITHIN:.0f} s after SIGTERM")
    os._exit(os.EX_OK)
