"""What came in: once, and nothing that had to be refused."""

from chaos.checker.evidence import Evidence
from chaos.checker.finding import Finding


def bad_input_left_nothing(evidence: Evidence) -> Finding:
    """Malformed, wrongly signed and huge posts are refused with 4xx, leave no row and cause no call."""
    broken = [
        f"{line['what']} was answered {line['status']}"
        for line in evidence.refused
        if 200 <= line["status"] < 400
    ]
    broken += evidence.desk.inbox
    markers = tuple(line["marker"] for line in evidence.refused)
    if markers:
        calls = [*evidence.sends, *evidence.asks]
        broken += [f"seen outside: {call.text[:80]!r}" for call in calls if call.text.endswith(markers)]
    return Finding("bad_input", "what must be refused is, and leaves no row", broken, len(evidence.refused))


def taken_in_once(evidence: Evidence) -> Finding:
    """Each accepted message is stored exactly once, however often its provider repeated it."""
    if not evidence.desk.asked:
        return Finding("taken_in_once", "each accepted message is stored once", [], 0)
    broken = [
        f"{question.text} is stored {times} times"
        for question in evidence.accepted
        if (times := evidence.desk.stored.get(question.text, 0)) != 1
    ]
    return Finding("taken_in_once", "each accepted message is stored once", broken, len(evidence.accepted))
