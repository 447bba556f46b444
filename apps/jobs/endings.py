"""How a run of a job can end, and which ending an exception means.

Complete   done
Retry      again after a backoff; an attempt is spent
Postpone   again later; none is spent (rate limit, open breaker)
Fail       never: a dead letter with its reason
Unknown    cut off after it may have happened: the owner's choice decides
"""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apps.jobs import storable
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError
from apps.reliability.redaction import redact_text

if TYPE_CHECKING:
    from apps.jobs.claimed import ClaimedJob
    from apps.jobs.task import JobTask

JITTER = 0.2
ERROR_LENGTH = 2000


class Ending:
    """The base of all endings. `error` is for people, `code` for programs."""

    error: str = ""
    code: str = ""
    traceback: str = ""


@dataclass(slots=True)
class Complete(Ending):
    result: Any = None


@dataclass(slots=True)
class Retry(Ending):
    delay: float
    error: str = ""
    code: str = ""
    traceback: str = field(default="", repr=False)


@dataclass(slots=True)
class Postponed(Ending):
    delay: float
    error: str = ""
    code: str = ""


@dataclass(slots=True)
class Fail(Ending):
    error: str
    code: str = ""
    reason: str = "permanent"
    traceback: str = field(default="", repr=False)


@dataclass(slots=True)
class Unknown(Ending):
    error: str
    code: str = ""


def backoff(task: JobTask, attempts: int, retry_after: float | None = None) -> float:
    """Return the seconds to wait before the next attempt after `attempts` failed ones.

    1, 2, 4, 8 … times the task's `retry_backoff`, at most its `retry_backoff_max`, plus up to 20 % so that
    what failed together does not come back together. `retry_after` is a floor that the maximum does not cut.
    """
    wait = min(task.retry_backoff * 2.0 ** min(attempts, 30), task.retry_backoff_max)
    return max(wait, retry_after or 0.0) * (1 + random.random() * JITTER)  # noqa: S311 - not a secret  # nosec B311


def from_exception(task: JobTask, job: ClaimedJob, error: BaseException) -> Ending:
    """Return the ending that `error` means for `job`. What is not in the tree is our bug: kept with its traceback."""
    message = words_of(error)
    code = str(getattr(error, "code", "") or type(error).__name__)[: storable.CODE_LENGTH]
    match error:
        case Postpone():
            return Postponed(storable.delay(error.seconds), message, code)
        case PermanentError():
            return Fail(f"{message} {error.advice}".strip()[:ERROR_LENGTH], code)
        case OutcomeUnknown():
            return Unknown(message, code)
        case TransientError():
            return _again(task, job, message, code, retry_after=storable.delay(error.retry_after))
        case TimeoutError():
            return _again(task, job, message, code)
        case _ if isinstance(error, task.autoretry_for):
            return _again(task, job, message, code)
        case _:
            trace = redact_text("".join(traceback.format_exception(error, limit=-30)))
            return _again(task, job, f"{type(error).__name__}: {message}"[:ERROR_LENGTH], code, trace=trace)


def words_of(error: BaseException) -> str:
    """What `error` says, without secrets. Whoever wrote it, reading it never raises."""
    try:
        words = str(getattr(error, "message", "") or error)
    except Exception:  # its own __str__ fails: its name must do, and the traceback is kept beside it
        words = ""
    return redact_text(words or type(error).__name__)[:ERROR_LENGTH]


def _again(
    task: JobTask,
    job: ClaimedJob,
    message: str,
    code: str,
    *,
    retry_after: float | None = None,
    trace: str = "",
) -> Ending:
    if job.is_last_attempt:
        return Fail(message, code, reason="exhausted", traceback=trace)
    return Retry(backoff(task, job.attempts, retry_after), message, code, traceback=trace)


def in_time(job: ClaimedJob, ending: Ending) -> Ending:
    """Turn a retry or postponement that would come too late into what it is: expired."""
    left = job.seconds_left
    if left is None or not isinstance(ending, Retry | Postponed) or ending.delay < left:
        return ending
    return Fail(ending.error or "not done in time", ending.code or "expired", "expired", ending.traceback)
