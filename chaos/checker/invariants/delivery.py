"""What reached people: in order, nothing nobody asked for, nothing twice without a reason."""

from collections import defaultdict

from chaos.checker.evidence import Call, Evidence
from chaos.checker.finding import Finding
from chaos.provisioning import FALLBACK
from tests.fakes.witness import Question


def order(evidence: Evidence) -> Finding:
    """First deliveries, by conversation: what was answered 2xx before another was posted comes before it."""
    by_conversation: dict[int, list[Question]] = defaultdict(list)
    for question in evidence.accepted:
        if question in evidence.deliveries:
            by_conversation[question.conversation].append(question)
    broken = []
    for questions in by_conversation.values():
        firsts = sorted(questions, key=lambda q: evidence.deliveries[q][0].begun)
        for place, later in enumerate(firsts):
            for earlier in firsts[place + 1 :]:
                if evidence.accepted[earlier].at < evidence.accepted[later].posted:
                    broken.append(
                        f"{later.text} was delivered before {earlier.text}, which was accepted before it was posted: "
                        f"{evidence.deliveries[later][0]}; {evidence.deliveries[earlier][0]}"
                    )
    return Finding(
        "order", "first deliveries of a conversation in the order of acceptance", broken,
        sum(map(len, by_conversation.values())),
    )  # fmt: skip


def no_phantoms(evidence: Evidence) -> Finding:
    """Every delivery answers a question that was posted; a fallback belongs to a turn that died."""
    broken, looked = [], 0
    for call in evidence.sends:
        if not call.delivered or call.text == FALLBACK:
            continue
        looked += 1
        if call.question is None or call.question not in evidence.posted:
            broken.append(f"{call.text[:80]!r}: {call}")
    if evidence.desk.asked:
        dead = defaultdict(int)
        for job in evidence.desk.dead:
            if job.task.endswith("generate_reply") and job.question:
                dead[job.question.conversation] += 1
        for chat, calls in evidence.fallbacks.items():
            looked += len(calls)
            known = [call for call in calls if not evidence.unknown_because(call)]
            if len(known) > dead[int(chat) - 5_000_000]:
                broken.append(
                    f"{len(known)} fallbacks in chat {chat}, {dead[int(chat) - 5_000_000]} dead turns"
                )
    return Finding("phantoms", "nothing is delivered that nobody asked for", broken, looked)


def none_twice_where_a_person_is_asked(evidence: Evidence) -> Finding:
    broken, looked = [], 0
    for question, calls in evidence.deliveries.items():
        if calls[0].bot == "ask":
            looked += 1
            if len(calls) > 1:
                broken.append(f"{question.text}: " + "; ".join(map(str, calls)))
    return Finding("twice_ask_a_person", "no duplicate where the account says ask a person", broken, looked)


def each_repetition_explained(evidence: Evidence) -> Finding:
    """Where the account says send again: each delivery but the last must be one whose outcome nobody could know; or
    the next one comes from a worker that was held between its last check and its call, and woke up to it."""
    broken, looked, explained = [], 0, 0
    for question, calls in evidence.deliveries.items():
        if calls[0].bot == "ask":
            continue
        looked += 1
        explained += len(calls) > 1
        broken += [
            f"{question.text}: sent again after {call}; then {', '.join(map(str, calls[place + 1 :]))}"
            for place, call in enumerate(calls[:-1])
            if not evidence.unknown_because(call) and not _woke_up_to(evidence, call, calls[place + 1])
        ]
    return Finding(
        "twice_send_again", "a duplicate only after a fault at that very send", broken, looked, explained
    )


def _woke_up_to(evidence: Evidence, before: Call, after: Call) -> bool:
    return evidence.disturbances.woke_up_to(after.begun, after.sender, since=before.begun)


def duplicates(evidence: Evidence) -> dict[Question, list[Call]]:
    """What was delivered more than once."""
    return {question: calls for question, calls in evidence.deliveries.items() if len(calls) > 1}
