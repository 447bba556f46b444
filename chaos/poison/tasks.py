"""Poison: what ends its process, what grows until the kernel ends it, what never ends."""

import os
import signal
import threading
from typing import Any

from apps.jobs.task import JobTask

GROWTH = 200 * 1024 * 1024


class ExitHard(JobTask):
    """As a crash in a C library."""

    name, queue = "chaos.exit_hard", "chaos-poison"
    time_limit = 30

    async def call(self, item: dict[str, Any]) -> None:
        os._exit(7)


class Grows(JobTask):
    """Takes 200 MB and touches them; then the signal that the kernel's OOM killer would send, which is not asked to do
    it here because it might choose a neighbour of ours."""

    name, queue = "chaos.grows", "chaos-poison"
    time_limit = 30

    def call(self, item: dict[str, Any]) -> None:
        grown = bytearray(GROWTH)
        grown[::4096] = b"x" * len(range(0, GROWTH, 4096))
        os.kill(os.getpid(), signal.SIGKILL)


class NeverEnds(JobTask):
    """A call in a thread that nothing can interrupt."""

    name, queue = "chaos.never_ends", "chaos-poison"
    time_limit = 2

    def call(self, item: dict[str, Any]) -> None:
        threading.Event().wait()
