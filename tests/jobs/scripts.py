"""Tasks that do what a test tells them to, and remember what was asked of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from apps.jobs.payloads import Sensitive
from apps.jobs.task import JobTask


class Script:
    """What the scripted tasks do. Each hook gets what the task's own part gets; None: the plain thing."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.read: Callable[..., Any] | None = None
        self.call: Callable[..., Any] = lambda item: {"ok": True}
        self.write: Callable[..., Any] = lambda done: None
        self.dead: Callable[..., Any] = lambda jobs, reason: None
        self.repeatable: Callable[..., bool] = lambda item: True
        self.send_again = False
        self.called: list[Any] = []
        self.written: list[tuple[int, Any]] = []
        self.groups: list[list[int]] = []
        self.buried: list[tuple[int, str]] = []


script = Script()


def raising(*errors):
    """A call that raises these one after the other, then succeeds."""
    left = list(errors)

    def call(item):
        if left:
            raise left.pop(0)
        return {"ok": True}

    return call


class Scripted(JobTask):
    """Does what `script` says, in a thread."""

    name, queue = "test.script", "maintenance"
    time_limit = 5

    def read(self, jobs):
        return script.read(jobs) if script.read else super().read(jobs)

    def call(self, item):
        script.called.append(item)
        return script.call(item)

    def write(self, done):
        script.groups.append([one.job.id for one in done])
        script.write(done)
        script.written += [(one.job.id, one.result) for one in done]

    def dead(self, jobs, reason):
        script.dead(jobs, reason)
        script.buried += [(job.id, reason) for job in jobs]

    def repeatable(self, item):
        return script.repeatable(item)

    def may_repeat(self, jobs):
        return {job.id for job in jobs} if script.send_again else set()


class ScriptedAsync(Scripted):
    """The same on the event loop."""

    name, queue = "test.script_async", "maintenance"

    async def call(self, item):
        script.called.append(item)
        answer = script.call(item)
        return await answer if hasattr(answer, "__await__") else answer


class Patient(Scripted):
    """Tries until it expires, with retry options of its own."""

    name, queue = "test.patient", "maintenance"
    max_retries = None
    retry_backoff, retry_backoff_max = 2, 9
    autoretry_for = (ConnectionResetError,)


@dataclass(frozen=True)
class Letter:
    """A payload with a secret in it."""

    recipient: int
    password: Annotated[str, Sensitive()]
    words: list[str] = field(default_factory=list)


class SendLetter(Scripted):
    name, queue = "test.letter", "maintenance"
    payload = Letter
    max_retries = 0
    keep_result = True


class WritesOnly(JobTask):
    """No call: its whole work is its write."""

    name, queue = "test.writes_only", "maintenance"

    def write(self, done):
        script.groups.append([one.job.id for one in done])
        script.write(done)
        script.written += [(one.job.id, one.result) for one in done]
