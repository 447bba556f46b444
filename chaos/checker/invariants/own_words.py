"""What the system says of itself must be what was seen outside."""

from collections import Counter

from chaos.checker.desk import REACHED
from chaos.checker.evidence import Evidence
from chaos.checker.finding import Finding
from chaos.provisioning import FALLBACK
from tests.fakes.witness import Question


def completed_was_seen(evidence: Evidence) -> Finding:
    """Nothing is shown as sent that the witness has not seen delivered."""
    broken, looked = [], 0
    for conversation, lines in evidence.desk.shown.items():
        told = Counter(line.text for line in lines if line.direction == "out" and line.status in REACHED)
        looked += sum(told.values())
        fallbacks = len(evidence.fallbacks.get(str(5_000_000 + conversation), []))
        for text, times in told.items():
            if text == FALLBACK:
                if times > fallbacks:
                    broken.append(f"conversation {conversation}: {times} fallbacks sent, {fallbacks} seen")
                continue
            seen = len(evidence.deliveries.get(_question(text) or Question("", 0, 0), []))
            if not seen:
                broken.append(f"conversation {conversation}: {text!r} is shown as sent, nobody saw it")
    return Finding("completed_was_seen", "nothing completed without a delivery seen outside", broken, looked)


def figures_are_the_outside_count(evidence: Evidence) -> Finding:
    """Usage and counters agree with the rows, and the rows with the witness: what was sent is what was seen, less the
    deliveries that nobody could know of."""
    broken = [
        f"{name}: {counted} counted, {rows} there"
        for name, (counted, rows, ahead) in evidence.desk.figures.items()
        if not rows <= counted <= rows + ahead
    ]
    if "usage: sends = messages sent" in evidence.desk.figures:
        _, sent, _ = evidence.desk.figures["usage: sends = messages sent"]
        seen = [call for calls in evidence.deliveries.values() for call in calls]
        seen += [call for calls in evidence.fallbacks.values() for call in calls]
        known = sum(not evidence.unknown_because(call) for call in seen)
        if not known <= sent <= len(seen):
            broken.append(
                f"{sent} sent by our own count; outside {len(seen)}, of which {known} must be known"
            )
    return Finding(
        "figures", "the system's own figures are the outside count", broken, len(evidence.desk.figures) + 1
    )


def _question(text: str) -> Question | None:
    try:
        return Question.of(text)
    except (ValueError, IndexError):
        return None
