"""A suspect that was only near, one that kills its process, one that never ends, one that takes its time."""

import os
import threading
from pathlib import Path
from typing import Any

from apps.jobs.task import JobTask


class Bystander(JobTask):
    name, queue = "suspects.bystander", "maintenance"
    keep_result = True

    def call(self, item: dict[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid()}


class Killer(JobTask):
    name, queue = "suspects.killer", "maintenance"

    async def call(self, item: dict[str, Any]) -> None:
        os._exit(9)


class Endless(JobTask):
    """Nothing can interrupt a thread that waits; says that it has begun by a file."""

    name, queue = "suspects.endless", "maintenance"
    time_limit = 0.5

    def call(self, item: dict[str, Any]) -> None:
        if begun := item.get("begun"):
            Path(begun).touch()
        threading.Event().wait()


class Slow(Endless):
    """The same with all the time in the world."""

    name, queue = "suspects.slow", "maintenance"
    time_limit = 600
