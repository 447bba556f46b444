"""Ask the AI: the chatbot's accounts in their order, each behind its breaker and its provider's limits.

1. An account whose breaker is open, or whose provider asked us to wait, is passed over without a call.
2. Each gets half of the time that is left, the last one all of it: one that hangs can't use up the patience of all.
3. The first answer counts. What failed before it is noted in the answer's details.
4. If none answers, the turn fails with the most hopeful of the reasons: later (soonest first), else never.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from apps.ai import registry as providers
from apps.ai.base import Answer, Turn
from apps.conversations.facts import Choice
from apps.pipeline.watching import Draft
from apps.reliability import breaker, limiter
from apps.reliability.errors import (
    OutcomeUnknown,
    PermanentError,
    Postpone,
    SwitchboardError,
    TransientError,
)

SHORTEST_TRY = 0.05
"""Seconds below which an account is not asked any more."""

log = structlog.get_logger(__name__)


async def ask(turn: Turn, choices: tuple[Choice, ...], draft: Draft | None = None) -> tuple[Answer, Choice]:
    """The answer, and who gave it. `draft` gets the text as it grows.

    Raises TransientError, Postpone or PermanentError when nobody answered.
    """
    ends_at = time.monotonic() + turn.timeout_seconds
    reasons: list[SwitchboardError] = []
    for place, choice in enumerate(choices):
        left = ends_at - time.monotonic()
        if reasons and left < SHORTEST_TRY:
            break
        share = left if place == len(choices) - 1 else left / 2
        try:
            return await _ask(turn, choice, min(share, choice.timeout_seconds), draft), choice
        except (TransientError, Postpone, PermanentError) as error:
            reasons.append(error)
        except OutcomeUnknown as error:  # a question may be asked twice
            reasons.append(TransientError(str(error), code=error.code))
        if place < len(choices) - 1:
            log.warning("ai_passed_over", account=choice.name or choice.provider, reason=str(reasons[-1]))
    raise _most_hopeful(reasons)


async def _ask(turn: Turn, choice: Choice, seconds: float, draft: Draft | None) -> Answer:
    if not choice.key:
        return await _complete(turn, choice, seconds, draft)
    if wait := await asyncio.to_thread(_wait, choice.key):
        raise Postpone(wait, f"{choice.name}: resting after failures or a rate limit", code="ai_resting")
    began = time.monotonic()
    ok, failed = 0, 0
    try:
        answer = await _complete(turn, choice, seconds, draft)
        ok = 1
        return answer
    except Postpone as error:
        ok = 1  # a refusal is an answer
        await asyncio.to_thread(limiter.hold, choice.key, error.seconds)
        raise
    except PermanentError:
        ok = 1
        raise
    except (TransientError, OutcomeUnknown, TimeoutError):
        failed = 1
        raise
    finally:
        record: Callable[[], None] = lambda: breaker.record(  # noqa: E731 - for the thread
            choice.key, ok=ok, failed=failed, took=time.monotonic() - began
        )
        await asyncio.shield(asyncio.to_thread(record))


async def _complete(turn: Turn, choice: Choice, seconds: float, draft: Draft | None) -> Answer:
    if draft:
        draft.restart()
    mine = replace(
        turn, options=choice.options, access=choice.access, timeout_seconds=max(SHORTEST_TRY, seconds)
    )
    try:
        async with asyncio.timeout(seconds):
            answer = await providers.get(choice.provider).complete(mine, draft.add if draft else None)
    except TimeoutError as error:
        who = choice.name or choice.provider
        raise TransientError(f"{who}: no answer within {seconds:.0f} s", code="ai_timeout") from error
    if not answer.text.strip():
        raise PermanentError("the AI gave an empty answer", code="empty_answer")
    return answer


def _wait(key: str) -> float:
    """Seconds until this account may be asked; 0.0: now, and its breaker counts on hearing how it went."""
    return limiter.held([key])[0] or breaker.admit([key])[0]


def _most_hopeful(reasons: list[SwitchboardError]) -> SwitchboardError:
    later = [reason for reason in reasons if isinstance(reason, TransientError)]
    if later:
        return min(later, key=lambda reason: reason.retry_after or 0.0)
    waiting = [reason for reason in reasons if isinstance(reason, Postpone)]
    if waiting:
        return min(waiting, key=lambda reason: reason.seconds)
    return reasons[0]
