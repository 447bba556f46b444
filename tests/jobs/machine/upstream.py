"""The other side, in memory. It writes each call down before it answers, and is asked for no other opinion.

machine.ask    a call that may be repeated, such as a question to an AI
machine.send   one that may not; its owner wants it sent again after an unknown outcome, or asks a person
machine.echo   no call. Each of the others leaves one behind: "done" when it succeeded, "dead" when it was given up
"""

from collections import Counter
from dataclasses import dataclass

from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.task import JobTask
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError

ASK, SEND, ECHO = "machine.ask", "machine.send", "machine.echo"
TASKS = (ASK, SEND, ECHO)
DONE, DEAD = "done", "dead"

ANSWERS = {
    "ok": None,
    "later": TransientError("busy", code="busy"),
    "much later": TransientError("flooded", code="flood", retry_after=40),
    "never": PermanentError("no such person", code="gone"),
    "lost": OutcomeUnknown("cut before it was read", code="cut_off"),
    "arrived, cut": OutcomeUnknown("cut after it was read", code="cut_off"),
    "not now": Postpone(7, "the limit says later", code="limit"),
    "bug": ValueError("a bug of ours, before anything was sent"),
}
ARRIVES = ("ok", "arrived, cut")


@dataclass(frozen=True)
class Call:
    job: int
    fence: int
    answer: str
    rightful: bool
    """Whether the claim under which it was made was still the row's."""


class Upstream:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.arrived: Counter[int] = Counter()
        """By job: how often what it says reached somebody."""
        self.next_answer = "ok"
        self.next_is_rightful = True

    def take(self, item: dict) -> dict:
        self.calls.append(Call(item["job"], item["fence"], self.next_answer, self.next_is_rightful))
        self.arrived[item["job"]] += self.next_answer in ARRIVES
        error = ANSWERS[self.next_answer]
        if error is not None:
            raise type(error)(*error.args) if isinstance(error, ValueError) else error
        return {"receipt": len(self.calls)}

    def answers(self, job: int) -> set[str]:
        return {call.answer for call in self.calls if call.job == job}


class Scene:
    """What the tasks of the present run see."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.upstream = Upstream()
        self.unwritable: set[int] = set()
        """Jobs whose `write` raises."""


scene = Scene()


class Ask(JobTask):
    name, queue = ASK, "maintenance"
    time_limit, retry_backoff, retry_backoff_max = 20, 1, 8

    def read(self, jobs):
        return {job.id: {"job": job.id, "fence": job.fence, "again": job.data["again"]} for job in jobs}

    def call(self, item):
        return scene.upstream.take(item)

    def write(self, done):
        if any(one.job.id in scene.unwritable for one in done):
            raise RuntimeError("its effects can't be written")
        enqueue_many([_echo(one.job, DONE) for one in done])

    def dead(self, jobs, reason):
        enqueue_many([_echo(job, DEAD) for job in jobs])

    def may_repeat(self, jobs):
        return {job.id for job in jobs if job.data["again"]}


class Send(Ask):
    name, queue = SEND, "maintenance"

    def repeatable(self, item):
        return False


class Echo(JobTask):
    name, queue = ECHO, "maintenance"
    max_retries = None


def _echo(job, kind: str) -> NewJob:
    lane = job.lane and f"echo of {job.lane}"
    return NewJob(ECHO, {}, lane=lane, parent=job.id, correlation_id=kind, expires_in=None)
