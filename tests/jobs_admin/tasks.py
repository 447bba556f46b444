"""A task whose calls fail in every way, with a secret in its payload."""

from dataclasses import dataclass
from typing import Annotated

from apps.jobs.payloads import Sensitive
from apps.jobs.task import JobTask
from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError

HOSTILE = "<script>alert('x')</script>"
SECRET = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class LetterPayload:
    how: str
    pin: Annotated[str, Sensitive()] = SECRET
    text: str = HOSTILE
    message: int | None = None
    conversation: int | None = None


class FailingLetter(JobTask):
    """Deliver a letter that never arrives.

    Only for tests.
    """

    name, queue = "test.failing_letter", "maintenance"
    payload = LetterPayload
    retry_backoff, max_retries = 1, 2

    def call(self, item: LetterPayload) -> str:
        match item.how:
            case "permanent":
                raise PermanentError("the person has blocked us", code="blocked")
            case "exhausted":
                raise TransientError(f"502 {HOSTILE} token=abcdef123456", code="http_502")
            case "unknown":
                raise OutcomeUnknown("cut off after the body was sent", code="reset")
            case "bug":
                raise ValueError(f"can't read {HOSTILE}")
        return "delivered"
