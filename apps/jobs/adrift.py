"""Jobs that are this worker's in the ledger, but of which nobody in its process knows.

A database that goes away in the middle of a commit may have kept it and lost only the answer. Then a claim, or the
handing over inside a finishing transaction, has left jobs to a worker that never heard of them, and its heartbeat
keeps their lease. They are looked for after trouble with the database; their calls have not begun, so they are
handed back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from apps.jobs import ledger

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)


class Adrift:
    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._seen: set[tuple[int, int]] = set()

    def hand_back(self) -> None:
        """Hand back what was adrift at the last look too: what was claimed just now is about to be taken on."""
        ours = ledger.held_unmarked(self.crew.worker_id)
        known = {key for line in self.crew.lines.values() for key in list(line.flights)}
        adrift = {job.key: job for job in ours if job.key not in known}
        lost = [job for key, job in adrift.items() if key in self._seen]
        self._seen = set(adrift)
        if lost:
            ledger.hand_back(lost)
            log.warning("adrift_handed_back", jobs=[job.id for job in lost])
