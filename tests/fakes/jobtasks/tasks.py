"""A task that kills its process, one that never ends, a neighbour that behaves, and a plain Celery task."""

import asyncio
import os
import threading
from typing import Any

from celery import shared_task

from apps.jobs.task import JobTask
from tests.fakes.plugin import post


class ExitHard(JobTask):
    """Ends its process in the middle of a call, as a crash in a C library would."""

    name, queue = "survival.exit_hard", "survival-bad"
    time_limit = 30

    async def call(self, item: dict[str, Any]) -> None:
        await post("/mark", {"who": "exit_hard", "pid": os.getpid(), **item}, timeout=10)
        os._exit(7)


class NeverEnds(JobTask):
    """A call in a thread that nothing can interrupt."""

    name, queue = "survival.never_ends", "survival-bad"
    time_limit = 2

    def call(self, item: dict[str, Any]) -> None:
        threading.Event().wait()


class Neighbour(JobTask):
    """One call outside, marked with its number; it may be held for long."""

    name, queue = "survival.neighbour", "survival-good"
    time_limit = 300

    async def call(self, item: dict[str, Any]) -> dict[str, Any]:
        await post("/mark", {"who": "neighbour", "pid": os.getpid(), **item}, timeout=290)
        return {}


class Sits(JobTask):
    """A call in a thread that takes a minute, as a slow library would."""

    name, queue = "survival.sits", "survival-good"
    time_limit = 120

    def call(self, item: dict[str, Any]) -> None:
        asyncio.run(post("/mark", {"who": "sits", "pid": os.getpid(), **item}, timeout=10))
        threading.Event().wait(60)


@shared_task(name="survival.plain_sum", ignore_result=False)
def plain_sum(one: int, other: int) -> int:
    """A plain Celery task that wants its result kept."""
    return one + other
