"""What each reason of failing means, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass

from apps.jobs.models import Job


@dataclass(frozen=True, slots=True)
class Advice:
    means: str
    do: str
    may_repeat: bool = False
    """Whether trying again may do a second time what was done already."""


ADVICE: dict[str, Advice] = {
    Job.Reason.PERMANENT: Advice(
        "It will never work as things stand: the other side refused it, something it needs is missing, or its "
        "input is wrong. It was not tried again.",
        "Read the error. If you can mend the cause (a key, a right, a setting), mend it and retry. "
        "If the other side does not want it (blocked, gone), discard it.",
    ),
    Job.Reason.EXHAUSTED: Advice(
        "Every attempt it was allowed failed; the error is that of the last one.",
        "If the other side was down, retry when it is well again. If the story has a traceback, "
        "it is a fault of ours: retry after it has been mended.",
    ),
    Job.Reason.EXPIRED: Advice(
        "It was not done within its longest age, so doing it was no longer worth anything.",
        "Look at the queues and workers first: somebody may have to serve its queue, or something slow held its "
        "lane. Retry only if it still makes sense to do it now; otherwise discard it.",
    ),
    Job.Reason.UNKNOWN: Advice(
        "The call was cut off after it may have arrived. Nobody here knows whether it was done.",
        "Look at the other side (the chat, the account). If it arrived, say so with “It arrived”; where the provider "
        "reports it, that happens by itself. If it did not, retry. A retry without looking may do it twice.",
        may_repeat=True,
    ),
    Job.Reason.POISON: Advice(
        "It killed its worker, or ran beyond its time limit, three times; the last time it ran alone, so there is "
        "no doubt that it was this job.",
        "Do not retry it as it is: each try costs a worker process. Look at its payload and at the worker's "
        "log, mend the task, then retry; or discard it.",
    ),
    Job.Reason.CANCELLED: Advice(
        "A person or a program cancelled it before it began.",
        "Nothing: it was closed when it was cancelled.",
    ),
}
NO_REASON = Advice("It failed, and no reason is on record.", "Read the error, then decide.")


def advice_for(job: Job) -> Advice:
    return ADVICE.get(job.failure_reason, NO_REASON)
