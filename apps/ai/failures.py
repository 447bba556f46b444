"""What a provider's refusals mean, and what follows from each: two tables, kept as data.

A provider's own table (`OPENAI`, `ANTHROPIC` in apps/ai/rules.py) says by status, words and text what a refusal means;
the first rule that fits decides. `FOLLOWS` says what becomes of each meaning in the error tree.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Any

from apps.ai.prompting import clean
from apps.reliability.errors import PermanentError, Postpone, SwitchboardError, TransientError
from apps.reliability.http import LONGEST_RETRY_AFTER, pause, retry_after

LONGEST_EXCERPT = 300


class Means(StrEnum):
    """What a refusal comes down to; the value is the error's code."""

    QUOTA = "quota_exhausted"
    RATE_LIMIT = "rate_limited"
    KEY = "key_invalid"
    REGION = "region_refused"
    MODEL = "model_not_found"
    CONTEXT = "context_too_long"
    TOO_LARGE = "request_too_large"
    CONTENT = "content_refused"
    NO_USAGE = "stream_options_refused"
    NO_STREAM = "streaming_refused"
    ADDRESS = "wrong_address"
    BAD_REQUEST = "bad_request"
    OVERLOADED = "overloaded"
    TROUBLE = "provider_trouble"


@dataclass(frozen=True, slots=True)
class Follows:
    """What becomes of it: the class of error, a sentence, and what a person can do."""

    kind: type[SwitchboardError]
    says: str
    advice: str = ""


FOLLOWS: dict[Means, Follows] = {
    Means.QUOTA: Follows(
        PermanentError,
        "the account has no credit left, or reached its spending limit",
        "Add credit or raise the limit with the provider, or put another AI account first. Waiting does not help.",
    ),
    Means.RATE_LIMIT: Follows(Postpone, "too many requests for this account"),
    Means.KEY: Follows(
        PermanentError,
        "the key is not accepted, or may not do this",
        "Check the API key of this AI account, and what it may use.",
    ),
    Means.REGION: Follows(
        PermanentError,
        "the provider does not serve the country this server stands in",
        "Use another provider, or one of its regions by base_url.",
    ),
    Means.MODEL: Follows(
        PermanentError,
        "the provider doesn't know this model",
        "Check the model's name in the AI account; your own server must have loaded it.",
    ),
    Means.CONTEXT: Follows(
        PermanentError,
        "the conversation is too long for this model",
        "Use a model with a larger context, a shorter system prompt, or fewer output tokens.",
    ),
    Means.TOO_LARGE: Follows(
        PermanentError,
        "the request is too large",
        "Shorten the system prompt or the items of the knowledge base.",
    ),
    Means.CONTENT: Follows(
        PermanentError,
        "the provider refuses this content",
        "Read the conversation: its own rules on content were broken, or thought to be.",
    ),
    Means.NO_USAGE: Follows(
        PermanentError, "the server refuses stream_options", "Report this: it was left out."
    ),
    Means.NO_STREAM: Follows(
        PermanentError, "the server refuses to stream", "Report this: it was not asked to."
    ),
    Means.ADDRESS: Follows(
        PermanentError,
        "this is no address of a chat API",
        "Check base_url of the AI account: it usually ends in /v1, and https is not the same as http.",
    ),
    Means.BAD_REQUEST: Follows(
        PermanentError,
        "the provider refuses the request",
        "Check the options of the chatbot and the AI account: not every model knows every option.",
    ),
    Means.OVERLOADED: Follows(TransientError, "the provider is overloaded"),
    Means.TROUBLE: Follows(TransientError, "the provider has trouble"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the other side said. `status` 0: inside a stream that began well. `words`: its types, codes, parameters."""

    status: int = 0
    words: frozenset[str] = frozenset()
    message: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits a refusal that has one of the statuses, one of the words and the text; what is left empty, any."""

    means: Means
    statuses: Sequence[int] = ()
    words: frozenset[str] = frozenset()
    text: str = ""

    def fits(self, refusal: Refusal) -> bool:
        return (
            (not self.statuses or refusal.status in self.statuses)
            and (not self.words or not self.words.isdisjoint(refusal.words))
            and (not self.text or re.search(self.text, refusal.message, re.IGNORECASE) is not None)
        )


def meaning(rules: Sequence[Rule], refusal: Refusal) -> Means:
    """What it means by the first rule that fits; trouble where none does."""
    return next((rule.means for rule in rules if rule.fits(refusal)), Means.TROUBLE)


def error_for(means: Means, refusal: Refusal, *, who: str, mask: str = "") -> SwitchboardError:
    """The error to raise. `who` names provider and model; `mask` is the key, in case the provider repeats it."""
    follows = FOLLOWS[means]
    said = f"{refusal.status or ''} {excerpt(refusal.message, mask)}".strip()
    message = f"{who}: {follows.says}" + (f" ({said})" if said else "")
    if follows.kind is Postpone:
        return Postpone(pause(refusal.retry_after), message, code=means.value)
    if follows.kind is TransientError:
        return TransientError(message, retry_after=refusal.retry_after, code=means.value)
    return PermanentError(message, code=means.value, advice=follows.advice)


def refusal_of(status: int, headers: Mapping[str, str], body: str) -> Refusal:
    """Read an answer with an error in it, of whatever shape."""
    try:
        found = json.loads(body)
    except ValueError:
        found = body
    return refusal_in(found, status, _wait(headers))


def refusal_in(found: Any, status: int = 0, wait: float | None = None) -> Refusal:
    """The same for what was in it: {"error": {…}}, {"error": "…"}, {"object": "error", …}, {"detail": …}, any text."""
    inner = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict):
        return Refusal(status, frozenset(), inner if isinstance(inner, str) else str(found), wait)
    details = inner.get("details")
    named = [inner.get("type"), inner.get("code"), inner.get("param")]
    # Azure's own reason; Anthropic's stable name of a cause
    named += [one.get("code") for one in [inner.get("innererror")] if isinstance(one, dict)]
    named += [details.get("error_code")] if isinstance(details, dict) else []
    words = frozenset(str(name) for name in named if name)
    code = inner.get("code")
    if not status and isinstance(code, int | str) and str(code).isdecimal() and 400 <= int(code) < 600:
        status = int(code)
    message = inner.get("message") or inner.get("detail") or inner.get("error") or ""
    return Refusal(status, words, message if isinstance(message, str) else json.dumps(message), wait)


def excerpt(text: str, mask: str = "") -> str:
    """The beginning of what was said, on one line, without the secret."""
    if mask:
        text = text.replace(mask, "***")
    return clean(" ".join(text.split()))[:LONGEST_EXCERPT]


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds by retry-after-ms (the finer one) or Retry-After; None if neither says anything."""
    try:
        seconds = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        return retry_after(headers.get("retry-after"), now=datetime.now(UTC))
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if isfinite(seconds) else None
