"""What a task sees of a job that it has claimed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

PAYLOAD, RESULT, PUBLIC_ID = 5, 14, 16
"""Where these stand among CLAIMED_COLUMNS."""


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


@dataclass(eq=False)
class ClaimedJob:
    """A job under a claim: a snapshot, and the fence that every write for it must show."""

    id: int
    status: str
    task: str
    queue: str
    fence: int
    payload: dict[str, Any]
    payload_version: int
    attempts: int
    max_retries: int | None
    crashes: int
    lane: str | None
    customer_id: int | None
    priority: int
    correlation_id: str
    result: Any
    parent_id: int | None
    public_id: UUID | None
    time_limit: float
    waited: float
    """Seconds between due and claimed, by the database's clock."""
    time_left: float | None
    """Seconds until it expires, counted from the claim; None: never."""
    claimed_at: float = field(default_factory=time.monotonic)

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> ClaimedJob:
        """Build one from CLAIMED_COLUMNS and the two times, in their order."""
        columns = list(row[:20])
        columns[PAYLOAD], columns[RESULT] = _json(row[PAYLOAD]), _json(row[RESULT])
        if isinstance(row[PUBLIC_ID], str):
            columns[PUBLIC_ID] = UUID(row[PUBLIC_ID])
        return cls(*columns)

    @property
    def key(self) -> tuple[int, int]:
        """What names this claim: the same job claimed again is another."""
        return self.id, self.fence

    @cached_property
    def data(self) -> Any:
        """The payload as its task's type, decrypted where the type says so."""
        from apps.jobs.task import registry

        return registry()[self.task].payload_type.load(self.payload)

    @property
    def seconds_left(self) -> float | None:
        """Seconds from now until it expires; None: never."""
        return None if self.time_left is None else self.time_left - (time.monotonic() - self.claimed_at)

    @property
    def is_last_attempt(self) -> bool:
        return self.max_retries is not None and self.attempts >= self.max_retries
