"""The run of a bell that answers for what is in flight, so that Celery, Flower and a warm shutdown see the truth.

One run per task and process stays until everything claimed through it has ended, jobs handed over included; the runs
of later bells wake the line and return at once. So a handful of Celery slots is enough for thousands of jobs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.jobs.line import Line

LOOK_EVERY = 1.0


class Host:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._idle = threading.Condition()
        self.held = 0
        self._hosted = False

    def hold(self, jobs: int) -> None:
        """Answer for this many jobs more."""
        with self._idle:
            self.held += jobs

    def let_go(self) -> None:
        """One of them has ended."""
        with self._idle:
            self.held -= 1
            if self.held <= 0:
                self._idle.notify_all()

    def stay(self) -> None:
        """Return when nothing is held any more; at once if another run stays already."""
        with self._idle:
            if self._hosted:
                return
            self._hosted = True
            try:
                while self.held > 0 or self._line.looking:
                    self._idle.wait(timeout=LOOK_EVERY)
            finally:
                self._hosted = False
