"""Making jobs: one row each, in the caller's transaction. After the commit a bell rings.

Tasks are named, not imported, so that a room may enqueue what stands above it in the house.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from apps.jobs import bell, handover, ledger
from apps.jobs.claimed import ClaimedJob
from apps.jobs.payloads import PayloadError
from apps.jobs.queue import page
from apps.jobs.statements import statements
from apps.jobs.task import JobTask, get_task

LONGEST_DEBOUNCE = 30.0
TASKS_CHOICE: Any = object()
"""Stands for "as the task says" where None has a meaning of its own."""


@dataclass(slots=True)
class NewJob:
    """A job to be made. Seconds for `delay`, `debounce`, `expires_in`; 0 (first) to 9 for `priority`."""

    task: str
    payload: Any = field(default_factory=dict)
    lane: str | None = None
    """Jobs of one lane run one at a time, in the order in which they were accepted."""
    priority: int = 5
    customer: int | None = None
    dedupe_key: str | None = None
    """At most one job per key that has not begun; a second one takes the earlier of the two times."""
    debounce: float | None = None
    """With a dedupe key: run after this long without another one, at most 30 s after the first."""
    delay: float = 0.0
    run_at: datetime | None = None
    expires_in: float | None = TASKS_CHOICE
    """From the moment it is due; None: never. Without it, as the page of the queues says."""
    max_retries: int | None = TASKS_CHOICE
    correlation_id: str = ""
    parent: int | None = None
    redrive_of: int | None = None
    public_id: UUID | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that stands in the ledger (or, for a dedupe key that was there, the one that stood there)."""

    id: int
    task: str
    queue: str


def enqueue(task: str, payload: Any = None, **options: Any) -> Enqueued:
    """Make one job of `task` in the caller's transaction; `options` are the fields of NewJob.

    Raises LookupError for an unknown task, PayloadError for a payload that does not fit, ValueError for
    options that contradict each other.
    """
    return enqueue_many([NewJob(task, payload if payload is not None else {}, **options)])[0]


def enqueue_many(new: Sequence[NewJob]) -> list[Enqueued]:
    """Make these jobs in the caller's transaction: one INSERT (two where some are debounced).

    Inside a task's `write` those whose turn has come are handed over to the same worker.
    """
    rows = [_Row(job) for job in new]
    _hand_over(rows)
    _insert([row for row in rows if row.new.debounce is None], statements().insert)
    _insert([row for row in rows if row.new.debounce is not None], statements().insert_debounced)
    to_ring = {
        (row.task.name, row.task.queue) for row in rows if row.is_due and not row.taken and not row.merged
    }
    if to_ring:
        transaction.on_commit(partial(bell.ring_all, to_ring))
    return [Enqueued(row.id, row.task.name, row.task.queue) for row in rows]


def known_options(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """Sort out what callers of Celery's `apply_async` pass. Raises TypeError for what a job can't honour."""
    about_the_broker = {
        "queue",
        "producer",
        "connection",
        "routing_key",
        "exchange",
        "add_to_parent",
        "task_id",
        "headers",  # beat sends its entry's name along
    }
    mine = {one.name for one in fields(NewJob)} - {"task", "payload"}
    if refused := {
        name for name in options if name not in mine | about_the_broker and options[name] is not None
    }:
        raise TypeError(
            f"{task}: {', '.join(sorted(refused))} can't be kept by a job; what should follow is enqueued by name in "
            f"write(), a deadline is expires_in"
        )
    return {name: value for name, value in options.items() if name in mine}


class _Row:
    """One job on its way into the table."""

    def __init__(self, new: NewJob) -> None:
        self.task: JobTask = get_task(new.task)
        if new.max_retries is TASKS_CHOICE:
            new = replace(new, max_retries=self.task.max_retries)
        if new.expires_in is TASKS_CHOICE:
            new = replace(new, expires_in=page(self.task.queue).longest_age)
        if new.debounce is not None:
            if not new.dedupe_key:
                raise ValueError(f"{new.task}: debounce goes with a dedupe_key")
            new = replace(new, delay=min(new.debounce, LONGEST_DEBOUNCE))
        elif new.lane and (new.run_at or new.delay > 0):
            raise ValueError(
                f"{new.task}: a job with a lane can't be scheduled, it would hold everything behind it; "
                f"schedule a job without a lane that enqueues this one when it is due"
            )
        if not 0 <= new.priority <= 9:
            raise ValueError(f"{new.task}: priority is 0 (first) to 9, not {new.priority}")
        self.new = new
        self.payload = self.task.payload_type.dump(new.payload)
        self.id = 0
        self.taken: handover.Handover | None = None
        self.merged = False
        """Whether another row of this call, with the same dedupe key, stands for it."""

    @property
    def is_due(self) -> bool:
        return self.new.run_at is None and self.new.delay <= 0

    def record(self) -> dict[str, Any]:
        """This row as NEW_JOB_COLUMNS has it."""
        new = self.new
        return {
            "task": new.task,
            "queue": self.task.queue,
            "payload": self.payload,
            "priority": new.priority,
            "max_retries": new.max_retries,
            "lane": new.lane,
            "dedupe_key": new.dedupe_key,
            "time_limit": self.task.time_limit,
            "customer": new.customer,
            "correlation_id": new.correlation_id,
            "public_id": _uuid(new.public_id),
            "parent": new.parent,
            "redrive_of": new.redrive_of,
            "metadata": new.metadata,
            "run_at": new.run_at and str(connection.ops.adapt_datetimefield_value(new.run_at)),
            "delay": new.delay,
            "expires_in": new.expires_in,
            "wanted": self.taken is not None,
        }

    def claimed(self) -> ClaimedJob:
        new = self.new
        return ClaimedJob(
            id=self.id,
            status="processing",
            task=self.task.name,
            queue=self.task.queue,
            fence=1,
            payload=self.payload,
            payload_version=1,
            attempts=0,
            max_retries=new.max_retries,
            crashes=0,
            lane=new.lane,
            customer_id=new.customer,
            priority=new.priority,
            correlation_id=new.correlation_id,
            result=None,
            parent_id=new.parent,
            public_id=new.public_id,
            time_limit=self.task.time_limit,
            waited=0.0,
            time_left=new.expires_in,
        )


def _dumps(value: Any) -> str:
    return json.dumps(
        value, cls=DjangoJSONEncoder, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _uuid(value: UUID | None) -> str | None:
    if value is None:
        return None
    return value.hex if connection.vendor == "sqlite" else str(value)


def _hand_over(rows: list[_Row]) -> None:
    """Choose the rows that the present transaction's worker would take on at once, one of each lane."""
    mine = handover.current()
    if mine is None or len(connection.savepoint_ids) > mine.depth:
        return
    lanes: set[str] = set()
    for row in rows:
        lane = row.new.lane
        if not row.is_due or lane in lanes:
            continue
        if lane is None and row.new.dedupe_key:
            continue  # one by this key may wait; in a lane it would make the lane busy
        if lane is not None:
            lanes.add(lane)  # also without a place: the next of its lane must not overtake it
        if mine.reserve(row.task.name):
            row.taken = mine


def _insert(rows: list[_Row], text: str) -> None:
    if not rows:
        return
    by_key: dict[str, _Row] = {}
    distinct = []
    for row in rows:  # one statement can't touch the same row twice
        key = row.new.dedupe_key
        if key is None or by_key.setdefault(key, row) is row:
            distinct.append(row)
    try:
        records = _dumps([row.record() for row in distinct])
    except (TypeError, ValueError) as error:
        tasks = ", ".join(sorted({row.task.name for row in distinct}))
        raise PayloadError(f"{tasks}: a payload (or metadata) is not JSON: {error}") from None
    takers = {row.taken.taker.worker_id for row in distinct if row.taken}
    inserted = ledger.insert(text, rows=records, worker=next(iter(takers), None))
    for row, (row_id, fence) in zip(distinct, inserted, strict=True):
        row.id = row_id
        if row.taken and fence:
            row.taken.jobs.append(row.claimed())
        elif row.taken:  # its lane was busy: it waits
            row.taken.give_back(row.task.name)
            row.taken = None
    for row in rows:
        if not row.id and row.new.dedupe_key:
            row.id, row.merged = by_key[row.new.dedupe_key].id, True
