"""Time and restraint: nothing after its expiry, one probe at a time, nobody calls while Telegram asked for quiet."""

from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise

from chaos.checker.desk import SEND
from chaos.checker.evidence import Call, Evidence
from chaos.checker.finding import Finding
from chaos.checker.logs import ALL_BOTS
from chaos.upstream.drawing import RETRY_AFTER

GRACE = 1.5
"""Seconds in which the others may not have heard yet: a call that had been let go, a busy machine."""


def nothing_after_its_expiry(evidence: Evidence) -> Finding:
    """No send, and no question to the AI, begins when its job's time is over."""
    broken, looked, left_out = [], 0, 0
    for job in evidence.desk.jobs:
        if job.question is None or job.expires is None or job.fallback:
            continue
        calls = evidence.sends_of if job.task == SEND else evidence.asks_of
        for call in calls.get(job.question, []):
            looked += 1
            late = call.begun - job.expires
            if late <= GRACE:
                continue
            if _held(evidence, call, job.expires):
                left_out += 1
            else:
                broken.append(f"{job.question.text}: {job.task} {late:.1f} s after its expiry: {call}")
    return Finding("expiry", "nothing goes out after its expiry", broken, looked, left_out)


def _held(evidence: Evidence, call: Call, since: float) -> bool:
    """Whether its process was held between the decision and the call. The AI does not say who asks it."""
    found = evidence.disturbances
    if call.sender:
        return found.stopped(call.sender, since, call.begun)
    return any(span.kind == "stop_worker" and span.touches(since, call.begun) for span in found.faults)


def one_probe(evidence: Evidence) -> Finding:
    """Between a breaker's opening and its closing, one call at a time is under way to its bot."""
    broken, looked, left_out = [], 0, 0
    for bot, opened, closed in evidence.desk.breakers:
        calls = sorted(
            (
                call
                for call in evidence.sends
                if bot in (call.bot, ALL_BOTS) and opened + GRACE < call.begun < closed
            ),
            key=lambda call: call.begun,
        )
        looked += len(calls)
        for before, after in pairwise(calls):
            if after.begun < before.over:
                lost = evidence.disturbances.redis_lost(opened, after.begun)
                given_up = evidence.unknown_because(before)
                if lost or given_up:  # forgotten; or the probe's lease ran out while nobody answered it
                    left_out += 1
                else:
                    broken.append(f"{bot}: {after} while {before} was under way")
    return Finding("one_probe", "one half-open probe at a time", broken, looked, left_out)


def retry_after_kept(evidence: Evidence) -> Finding:
    """After a 429 that asked for some seconds, no worker calls for that bot until they are over."""
    by_bot: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.sends:
        by_bot[call.bot].append(call)
    broken, looked, left_out = [], 0, 0
    for bot, calls in by_bot.items():
        calls.sort(key=lambda call: call.begun)
        begins = [call.begun for call in calls]
        for asked in calls:
            if asked.status != 429 or asked.fault != "429" or asked.ended is None:
                continue
            looked += 1
            if evidence.unknown_because(asked):
                continue  # its answer may have reached nobody
            first = bisect_left(begins, asked.ended + GRACE)
            for call in calls[first : bisect_left(begins, asked.ended + RETRY_AFTER - 0.2)]:
                lost = evidence.disturbances.redis_lost(asked.ended, call.begun)
                if lost or evidence.disturbances.stopped(call.sender, asked.ended, call.begun):
                    left_out += 1
                else:
                    broken.append(f"{bot}: {call}, {call.begun - asked.ended:.1f} s after the 429 of {asked}")
    return Finding("retry_after", "retry_after is kept by all workers", broken, looked, left_out)
