"""A job in flight in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.jobs.claimed import ClaimedJob

if TYPE_CHECKING:
    from apps.jobs.line import Line


@dataclass(slots=True)
class Flight:
    job: ClaimedJob
    holder: Line
    """The line whose bell answers for it: where it was claimed, or where it was handed over from."""
    begun: float | None = None
    """When its call began; None: not yet."""
    marked: bool = False
    ended: bool = False
    """Its call has ended, or there is none; the outcome waits to be written."""
    handle: Any = None
    """The asyncio task or the thread's future."""
