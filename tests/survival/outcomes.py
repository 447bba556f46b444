"""What Switchboard itself says became of each question: read from its tables, compared with the witness."""

import json
from typing import Any

from tests.fakes.witness import Call, Question, Verdict, judge
from tests.servers.switchboard import Switchboard

SEND = "delivery.send_recording"
GRACE = 2.0
"""Seconds between a send's answer and the commit that says so: a kill in between explains a duplicate too."""


def failed_sends(
    house: Switchboard, run: str, *, since: int = 0, task: str = SEND
) -> dict[Question, dict[str, Any]]:
    """The dead sends of a run, by question."""
    found = {}
    for job in house.ledger.jobs(task, since=since):
        if job["status"] != "failed":
            continue
        payload = job["payload"] if isinstance(job["payload"], dict) else json.loads(job["payload"])
        text = house.ledger.one("SELECT text FROM conversations_message WHERE id = %s", payload["message"])
        if f" {run}." in text:
            found[Question.of(text)] = job
    return found


def lost_nothing(
    house: Switchboard,
    run: str,
    accepted: list[Question],
    *,
    faults: list[float],
    since: int = 0,
    sends: list[Call] | None = None,
    task: str = SEND,
) -> tuple[Verdict, dict[Question, dict[str, Any]]]:
    """Assert what must hold after any fault: nothing lost, order kept, and every duplicate or unknown outcome is a
    send that was in flight at one of the `faults` (moments). Returns the verdict and the unknown ones.

    `sends`: what the witness saw, where that is not the recording channel's; `task`: whose jobs they are."""
    sends = house.witness.sends(run) if sends is None else sends
    verdict, unknown = judge(accepted, sends), failed_sends(house, run, since=since, task=task)
    by_question: dict[Question, list[Call]] = {}
    for call in sends:
        by_question.setdefault(Question.of(call.body["text"]), []).append(call)
    lost = [question for question in verdict.missing if question not in unknown]
    assert not lost, f"{len(lost)} of {len(accepted)} lost: {lost[:5]}\n{house.ledger.story()}"
    assert not verdict.strangers, f"replies to questions nobody asked: {verdict.strangers[:5]}"
    assert not verdict.disordered, f"out of order: {verdict.disordered[:5]}"
    unexplained = verdict.unexplained(faults, GRACE)
    assert not unexplained, "sent twice without a fault: " + "; ".join(
        f"{question}: {[(call.begun, call.ended, call.cut) for call in by_question[question]]} faults {faults}"
        for question in unexplained[:5]
    )
    for question, job in unknown.items():
        assert job["failure_reason"] == "unknown", f"{question}: {job}"
        calls = by_question.get(question, [])
        assert len(calls) <= 1, f"{question} was sent again although a person should be asked"
        assert all(call.in_flight(moment, GRACE) for call in calls for moment in faults[:1]), (
            f"{question}: {calls}"
        )
    return verdict, unknown


def snapshot(house: Switchboard, since: int) -> dict[str, list[dict[str, Any]]]:
    """All that a worker writes about jobs after `since`, except heartbeats and what belongs to a later job."""
    rows = house.ledger.rows
    return {
        "jobs": rows("SELECT * FROM jobs_job WHERE id > %s ORDER BY id", since),
        "messages": rows("SELECT * FROM conversations_message ORDER BY id"),
        "attempts": rows("SELECT * FROM jobs_jobattempt WHERE job_id > %s ORDER BY id", since),
        "usage": rows("SELECT * FROM accounts_usagerecord ORDER BY id"),
    }
