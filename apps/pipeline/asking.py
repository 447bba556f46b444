"""Ask the AI: the chatbot's accounts in their order, each behind its breaker and its provider's limits.

1. An account whose breaker (its own, or its provider's) is open, whose provider asked us to wait, or which is failing
   and has been tried again often enough for now, is passed over without a call.
2. Each gets half of the time that is left, the last one all of it: one that hangs can't use up the patience of all.
3. The first answer counts. Who was passed over, and why, is told with it.
4. If none answers, the turn fails with the most hopeful of the reasons: later (soonest first), a fault in a provider's
   code (as a bug of ours: tried again), a wait, never.

Redis hears in the background how it went. Nobody waits for that: an answer that came in time is not lost over it, and
a turn that is cut off at any moment gives back the place of a probe that it was given.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import structlog

from apps.ai import registry as providers
from apps.ai.base import Answer, Turn
from apps.conversations.facts import Choice
from apps.conversations.text import storable
from apps.pipeline.watching import Draft
from apps.reliability import breaker, limiter
from apps.reliability.background import in_background
from apps.reliability.errors import (
    OutcomeUnknown,
    PermanentError,
    Postpone,
    SwitchboardError,
    TransientError,
)

SHORTEST_TRY = 0.05
"""Seconds below which an account is not asked any more."""
FAIR_TRY = 2.0
"""Seconds below which silence says nothing about the account: we had no time, it is not down."""

_WHY = {
    "ai_resting": "resting after failures or a rate limit",
    "retry_budget": "failing, and tried again often enough for now",
}

log = structlog.get_logger(__name__)


class Rest(NamedTuple):
    """Why, by a key of _WHY, and for how long (seconds) an account is not asked."""

    seconds: float
    code: str


class Reply(NamedTuple):
    """An answer and who gave it. `passed_over`: "account: code" of those who were to be asked before."""

    answer: Answer
    choice: Choice
    passed_over: tuple[str, ...] = ()


async def ask(
    turn: Turn,
    choices: tuple[Choice, ...],
    draft: Draft | None = None,
    *,
    ends_at: float = math.inf,
    is_retry: bool = False,
) -> Reply:
    """The first answer of these. `draft` gets the text as it grows; `ends_at`: when it must be over (monotonic);
    `is_retry`: the turn was tried before (asking the next account is no retry).

    Raises TransientError, Postpone, PermanentError, or what a faulty provider raised, when nobody answered.
    """
    ends_at = min(ends_at, time.monotonic() + turn.timeout_seconds)
    failures: list[tuple[Choice, Exception]] = []
    for place, choice in enumerate(choices):
        left = ends_at - time.monotonic()
        if failures and left < SHORTEST_TRY:
            break
        is_last = place == len(choices) - 1
        try:
            share = left if is_last else left / 2
            answer = await _ask(turn, choice, min(share, choice.timeout_seconds), draft, is_retry)
            return Reply(answer, choice, tuple(f"{_name(one)}: {_code(why)}" for one, why in failures))
        except OutcomeUnknown as error:  # a question may be asked twice
            failures.append((choice, TransientError(str(error), code=error.code)))
        except Exception as error:  # a bug in one provider leaves the others to answer
            failures.append((choice, error))
        if not is_last:
            _log_failure(*failures[-1])
    raise _most_hopeful([error for _, error in failures])


async def _ask(turn: Turn, choice: Choice, seconds: float, draft: Draft | None, is_retry: bool) -> Answer:
    if not choice.key:
        return await _complete(turn, choice, seconds, draft)
    call = breaker.Call(choice.breakers, is_retry, longest=seconds)
    if rest := await _wait(choice.key, call):
        seconds, code = rest
        raise Postpone(seconds, f"{choice.name}: {_WHY[code]}", code=code)
    began = time.monotonic()
    ok, failed = 0, 0  # neither: cut off, or a bug; a probe gives its place back
    try:
        answer = await _complete(turn, choice, seconds, draft)
        ok = 1
        return answer
    except Postpone as error:
        ok = 1  # a refusal is an answer
        in_background(limiter.hold, choice.key, error.seconds)
        raise
    except PermanentError:
        ok = 1
        raise
    except (TransientError, OutcomeUnknown):
        was_fair = seconds >= min(FAIR_TRY, choice.timeout_seconds)
        failed = int(was_fair or time.monotonic() - began < seconds * 0.9)
        raise
    finally:
        took = time.monotonic() - began
        in_background(breaker.record, breaker.Outcome(call.breakers, ok, failed, took))


async def _complete(turn: Turn, choice: Choice, seconds: float, draft: Draft | None) -> Answer:
    mine = replace(
        turn, options=choice.options, access=choice.access, timeout_seconds=max(SHORTEST_TRY, seconds)
    )
    try:
        async with asyncio.timeout(seconds):
            answer = await providers.get(choice.provider).complete(mine, draft.begin() if draft else None)
    except TimeoutError as error:
        raise TransientError(
            f"{_name(choice)}: no answer within {seconds:.1f} s", code="ai_timeout"
        ) from error
    except asyncio.CancelledError as error:
        if (me := asyncio.current_task()) and me.cancelling():
            raise
        # Not we: something inside of the provider was cancelled, such as a connection that others shared.
        raise TransientError(f"{_name(choice)}: the call was broken off", code="ai_cut_off") from error
    if not storable(answer.text).strip():
        raise PermanentError("the AI gave an empty answer", code="empty_answer")
    return answer


async def _wait(key: str, call: breaker.Call) -> Rest | None:
    """For how long this account is not asked; None: it may be, and its breakers count on hearing how it went."""
    asked = in_background(_resting, key, call)
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        asked.add_done_callback(partial(_never_asked, call))
        raise


def _resting(key: str, call: breaker.Call) -> Rest | None:
    if held := limiter.held([key])[0]:
        return Rest(held, "ai_resting")
    answer = breaker.admit([call])[0]
    if not answer.seconds:
        return None
    return Rest(answer.seconds, "retry_budget" if answer.code == "retry_budget" else "ai_resting")


def _never_asked(call: breaker.Call, asked: asyncio.Future[Rest | None]) -> None:
    if not asked.cancelled() and asked.exception() is None and asked.result() is None:
        in_background(breaker.record, breaker.Outcome(call.breakers))


def _most_hopeful(errors: list[Exception]) -> Exception:
    later = [error for error in errors if isinstance(error, TransientError)]
    if later:
        return min(later, key=lambda error: error.retry_after or 0.0)
    bugs = [error for error in errors if not isinstance(error, SwitchboardError)]
    if bugs:
        return bugs[0]
    waiting = [error for error in errors if isinstance(error, Postpone)]
    if waiting:
        return min(waiting, key=lambda error: error.seconds)
    return errors[0]


def _log_failure(choice: Choice, error: Exception) -> None:
    if isinstance(error, SwitchboardError):
        log.warning("ai_passed_over", account=_name(choice), reason=str(error))
    else:
        log.error("ai_provider_broken", account=_name(choice), exc_info=error)


def _name(choice: Choice) -> str:
    return choice.name or choice.provider


def _code(error: Exception) -> str:
    return str(getattr(error, "code", "") or type(error).__name__)
