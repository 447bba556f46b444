"""The figures of a run, from the same evidence that the invariants look at."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter
from typing import Any

from chaos.checker.evidence import Evidence
from chaos.checker.finding import Finding
from chaos.checker.invariants.delivery import duplicates
from chaos.checker.invariants.endings import dead_letters, lost
from chaos.upstream.drawing import DELIVERED_UNKNOWN


def figures(evidence: Evidence, findings: list[Finding]) -> dict[str, Any]:
    by_name = {finding.name: finding for finding in findings}
    dead = dead_letters(evidence)
    letters = [job for jobs in dead.values() for job in jobs]
    unknown = [question for question, jobs in dead.items() if any(job.reason == "unknown" for job in jobs)]
    twice = duplicates(evidence)
    hidden = [
        call
        for calls in evidence.deliveries.values()
        for call in calls
        if call.fault in DELIVERED_UNKNOWN or evidence.unknown_because(call)
    ]
    recovered = recoveries(evidence)
    return {
        "accepted": len(evidence.accepted),
        "delivered": sum(question in evidence.deliveries for question in evidence.accepted),
        "fallbacks": sum(map(len, evidence.fallbacks.values())),
        "dead": dict(sorted(Counter(f"{_stage(job.task)} {job.reason}" for job in letters).items())),
        "unknown": {
            "outcomes nobody could know": len(hidden),
            "asked a person": len(unknown),
            "asked a person, had arrived": sum(question in evidence.deliveries for question in unknown),
            "sent again, arrived twice": sum(calls[0].bot != "ask" for calls in twice.values()),
        },
        "lost": len(lost(evidence)),
        "duplicated": {
            "where a person is asked": sum(calls[0].bot == "ask" for calls in twice.values()),
            "unexplained": len(by_name["twice_send_again"].broken),
        },
        "reordered": len(by_name["order"].broken),
        "limbo": len(by_name["limbo"].broken),
        "refused_input": len(evidence.refused),
        "faults": _faults(evidence),
        "upstream_faults": dict(
            sorted(Counter(call.fault for call in [*evidence.sends, *evidence.asks] if call.fault).items())
        ),
        "recovery": {
            "p50": round(statistics.median(recovered), 2) if recovered else None,
            "max": round(max(recovered), 2) if recovered else None,
        },
        "deaths": {name: len(at) for name, at in sorted(evidence.disturbances.deaths.items())},
    }


def recoveries(evidence: Evidence) -> list[float]:
    """For each fault the seconds from its end to the first delivery that began after it."""
    moments = sorted(call.begun for calls in evidence.deliveries.values() for call in calls)
    found = []
    for span in evidence.disturbances.faults:
        place = bisect_right(moments, span.end)
        if place < len(moments):
            found.append(moments[place] - span.end)
    return found


def _faults(evidence: Evidence) -> dict[str, int]:
    return dict(sorted(Counter(span.kind for span in evidence.disturbances.faults).items()))


def _stage(task: str) -> str:
    return {"delivery.send_telegram": "send", "pipeline.generate_reply": "turn"}.get(task, task)
