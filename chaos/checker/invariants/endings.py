"""How each accepted message ended: one reply or one dead letter, with a reason that the record bears out."""

from collections import defaultdict

from chaos.checker.desk import SEND, Job
from chaos.checker.evidence import Accepted, Call, Evidence, chat_of
from chaos.checker.finding import Finding
from chaos.poison.queues import LONGEST_AGE
from chaos.provisioning import HURRY, PATIENCE
from tests.fakes.witness import Question

TRIES = 3
SOON = 1.5
"""Seconds that two clocks' readings of one moment may be apart here: a post and the row that it became."""
AT_ONCE = 0.3
"""Seconds that the sending mark and its call may be apart by the clocks."""
STAGES = 2
RESTING = frozenset({"ai_resting", "breaker_open", "rate_limited", "retry_budget"})
"""The codes of what has to wait because others failed."""
LONGEST_REST, LONGEST_BACKOFF, SLOW = 60.0, 11.0, 2.0


def accounted_for(evidence: Evidence) -> Finding:
    """Lost: neither delivered nor a dead letter. Both: a dead letter though its sender knew that it was delivered."""
    dead = dead_letters(evidence)
    broken = []
    for question in evidence.accepted:
        delivered, letters = evidence.deliveries.get(question, []), dead.get(question, [])
        if not delivered and not letters:
            broken.append(f"lost: {question.text}, accepted at {evidence.accepted[question].at:.2f}")
        elif delivered and any(not job.fallback for job in letters):
            known = [call for call in delivered if not evidence.unknown_because(call)]
            if known:
                broken.append(
                    f"both: {question.text} is dead ({letters[0].reason}) and delivered: {known[0]}"
                )
        stages = [job.task for job in letters]
        if len(stages) > STAGES or len(set(stages)) < len(stages):
            broken.append(f"several: {question.text} has {len(stages)} dead letters: {stages}")
    if not evidence.desk.asked:
        broken = [line for line in broken if not line.startswith("lost")]
    return Finding(
        "accounted_for", "each accepted message: one reply or one dead letter", broken, len(evidence.accepted)
    )


def lost(evidence: Evidence) -> list[Question]:
    dead = dead_letters(evidence)
    return [q for q in evidence.accepted if q not in evidence.deliveries and q not in dead]


def dead_letters(evidence: Evidence) -> dict[Question, list[Job]]:
    found: dict[Question, list[Job]] = defaultdict(list)
    for job in evidence.desk.dead:
        if job.question:
            found[job.question].append(job)
    return dict(found)


def reasons_are_true(evidence: Evidence) -> Finding:
    """A dead letter's reason must follow from what the witness, the nemesis and the clock say."""
    broken, looked = [], 0
    for question, jobs in dead_letters(evidence).items():
        one = evidence.accepted.get(question)
        for job in jobs:
            looked += 1
            wrong = (
                _send(evidence, question, one, job)
                if job.task == SEND
                else _turn(evidence, question, one, job)
            )
            if wrong:
                broken.append(f"{question.text}: {job.task} is {job.reason}/{job.code}: {wrong}")
    strangers = [job for job in evidence.desk.dead if job.question is None]
    broken += [
        f"job {job.id} ({job.task}, {job.reason}/{job.code}) belongs to no question" for job in strangers
    ]
    return Finding("reasons", "each dead letter's reason follows from the record", broken, looked)


def _turn(evidence: Evidence, question: Question, one: Accepted | None, job: Job) -> str:
    patience = HURRY if one and one.bot == "hurry" else PATIENCE
    if job.reason == "permanent":
        met = {call.fault for call in evidence.asks_of.get(question, [])}
        return "" if "400" in met else f"the AI refused nothing of it ({met})"
    if job.reason == "expired":
        asks = evidence.asks_of.get(question, [])
        return _too_young(evidence, question, job, patience, asks, evidence.asks)
    return "a turn ends by time or by a refusal, not like this"


def _send(evidence: Evidence, question: Question, one: Accepted | None, job: Job) -> str:
    calls = [] if job.fallback else evidence.sends_of.get(question, [])
    if job.reason == "unknown":
        if any(evidence.unknown_because(call) for call in calls):
            return ""
        begin = (job.sending or job.finished or 0.0) - SOON
        if job.fallback or not any(call.begun >= begin + SOON - AT_ONCE for call in calls):
            # The last of its sends was cut off before it reached the witness, or is not known by its words.
            return (
                "" if _anything(evidence, begin, job.finished or begin) else "nothing happened at that time"
            )
        return "every one of its sends had an answer that arrived: " + "; ".join(map(str, calls))
    if job.reason == "permanent":
        if job.code == "contact_closed":
            chat, before = chat_of(question), job.finished or float("inf")
            refused = [c for c in evidence.sends if c.chat == chat and c.status == 403 and c.begun < before]
            return "" if refused else "nobody in this chat has blocked the bot"
        if job.fallback:
            chat = chat_of(question)
            calls = [c for c in evidence.sends if c.chat == chat and c.question is None]
        return "" if any(call.status in (400, 403) for call in calls) else "nothing was refused"
    if job.reason == "exhausted":
        failed = [call for call in calls if call.status != 200 or evidence.unknown_because(call)]
        unreached = _anything(evidence, job.due or 0.0, job.finished or 0.0)
        enough = len(failed) >= TRIES or job.fallback or unreached
        return "" if enough else f"only {len(failed)} of {TRIES} tries failed outside"
    if job.reason == "expired":
        return _too_young(evidence, question, job, LONGEST_AGE, calls, evidence.sends)
    return "nothing in a run ends a send like this"


def _too_young(
    evidence: Evidence, question: Question, job: Job, seconds: float, own: list[Call], others: list[Call]
) -> str:
    """Too old is what has lived its time; or what had to wait for longer than was left of it: for an open breaker, a
    429 or the retries' budget, if calls were failing outside; for its own next try, if its own calls failed."""
    posted = evidence.posted.get(question)
    if posted is None or job.finished is None:
        return "it was never posted"
    lived = job.finished - posted
    if lived >= seconds - SOON:
        return ""
    finished = job.finished
    if job.code in RESTING:
        failing = [c for c in others if _failed(evidence, c) and finished - LONGEST_REST < c.begun < finished]
        if failing or _anything(evidence, finished - LONGEST_REST, finished):
            return ""
    elif lived >= seconds - LONGEST_BACKOFF and any(_failed(evidence, call) for call in own):
        return ""
    return f"it was {lived:.1f} s old, and may live {seconds} s"


def _failed(evidence: Evidence, call: Call) -> bool:
    slow = call.over - call.begun > SLOW  # a busy machine: its asker may have given up
    return call.status != 200 or bool(call.fault) or slow or bool(evidence.unknown_because(call))


def _anything(evidence: Evidence, begin: float, end: float) -> bool:
    deaths = [at for all_of in evidence.disturbances.deaths.values() for at in all_of]
    return bool(evidence.disturbances.any_in(begin, end)) or any(begin <= at <= end + SOON for at in deaths)


def nothing_in_limbo(evidence: Evidence) -> Finding:
    """After the drain nothing is waiting or running, by the API and by the ledger."""
    broken, looked = list(evidence.desk.unfinished), len(evidence.desk.jobs)
    for conversation, lines in evidence.desk.shown.items():
        looked += len(lines)
        broken += [
            f"conversation {conversation}: {line.text[:60]!r} is {line.status}"
            for line in lines
            if line.status in ("pending", "accepted")
        ]
    return Finding("limbo", "after the drain nothing waits or runs", broken, looked)


def poison_found_out(evidence: Evidence) -> Finding:
    """What kills its worker three times ends as poison; nothing else does."""
    broken = [
        f"{task} is {status}/{reason} after {crashes} crashes"
        for task, status, reason, crashes in evidence.desk.poison
        if (status, reason, crashes) != ("failed", "poison", 3)
    ]
    broken += [
        f"{job.task} of {job.question and job.question.text} was taken for poison"
        for job in evidence.desk.dead
        if job.reason == "poison"
    ]
    return Finding(
        "poison",
        "what kills its worker is found out, and nobody beside it",
        broken,
        len(evidence.desk.poison),
    )
