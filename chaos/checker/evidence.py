"""What the records of a run say, put together: sends, questions to the AI, what was accepted, faults, deaths."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chaos import journal as journals
from chaos.checker.desk import Desk
from chaos.checker.disturbances import Disturbances
from chaos.provisioning import FALLBACK
from chaos.upstream.drawing import DELIVERED_UNKNOWN, LOOKS_UNKNOWN
from chaos.upstream.telegram import FIRST_PERSON, SEND
from tests.fakes.witness import Question

UNANSWERED = 12.0
"""Seconds after which a call without an end is taken for over: longer than any client here waits."""


@dataclass
class Call:
    """One call as the witness wrote it. `status`: what was done before it was answered; 200 of a send = delivered."""

    number: int
    begun: float
    text: str
    fault: str = ""
    sender: str = ""
    bot: str = ""
    chat: str = ""
    status: int = 0
    ended: float | None = None
    cut: bool = False

    @property
    def over(self) -> float:
        return self.ended if self.ended is not None else self.begun + UNANSWERED

    @property
    def delivered(self) -> bool:
        return self.status == 200

    @property
    def question(self) -> Question | None:
        """What it answers or asks; None for a fallback or a stranger's words."""
        try:
            return Question.of(self.text)
        except (ValueError, IndexError):
            return None

    def __str__(self) -> str:
        took = f"{self.over - self.begun:.2f} s" if self.ended is not None else "no end"
        fault = f", {self.fault}" if self.fault else ""
        return (
            f"call {self.number} by {self.sender or '?'} at {self.begun:.2f} ({self.status}, {took}{fault})"
        )


@dataclass(frozen=True)
class Accepted:
    """Answered 2xx at `at`, first posted at `posted`."""

    question: Question
    posted: float
    at: float
    bot: str
    how: str
    id: str | None


@dataclass
class Evidence:
    directory: Path
    sends: list[Call] = field(default_factory=list)
    asks: list[Call] = field(default_factory=list)
    posted: dict[Question, float] = field(default_factory=dict)
    accepted: dict[Question, Accepted] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    disturbances: Disturbances = field(default_factory=Disturbances)
    desk: Desk = field(default_factory=Desk)

    @cached_property
    def sends_of(self) -> dict[Question, list[Call]]:
        found: dict[Question, list[Call]] = defaultdict(list)
        for call in self.sends:
            if question := call.question:
                found[question].append(call)
        return found

    @cached_property
    def deliveries(self) -> dict[Question, list[Call]]:
        """By question, in order of their coming."""
        found = {q: [call for call in calls if call.delivered] for q, calls in self.sends_of.items()}
        return {question: calls for question, calls in found.items() if calls}

    @cached_property
    def asks_of(self) -> dict[Question, list[Call]]:
        found: dict[Question, list[Call]] = defaultdict(list)
        for call in self.asks:
            if question := call.question:
                found[question].append(call)
        return found

    @cached_property
    def fallbacks(self) -> dict[str, list[Call]]:
        """By chat: deliveries of the fallback message."""
        found: dict[str, list[Call]] = defaultdict(list)
        for call in self.sends:
            if call.delivered and call.text == FALLBACK:
                found[call.chat].append(call)
        return found

    def unknown_because(self, call: Call) -> str:
        """Why nobody on our side can know whether this send arrived; "" where it must be known."""
        if call.fault in DELIVERED_UNKNOWN | LOOKS_UNKNOWN:
            return f"the upstream's {call.fault}"
        return self.disturbances.cut_off(call.begun, call.over, call.sender)


def chat_of(question: Question) -> str:
    return str(FIRST_PERSON + question.conversation)


def gather(directory: Path) -> Evidence:
    """Read the records of a run."""
    evidence = Evidence(directory)
    calls: dict[tuple[str, int], Call] = {}
    witness = journals.read(directory / journals.WITNESS)
    for line in witness:
        _witness(line, calls, evidence)
    for line in journals.read(directory / journals.POSTED):
        evidence.posted.setdefault(_question(line), line["at"])
    for line in journals.read(directory / journals.ACCEPTED):
        question = _question(line)
        evidence.accepted[question] = Accepted(
            question, line["posted"], line["at"], line["bot"], line["how"], line.get("id")
        )
    evidence.refused = journals.read(directory / journals.REFUSED)
    evidence.disturbances = Disturbances.of(
        faults=journals.read(directory / journals.FAULTS),
        processes=journals.read(directory / journals.PROCESSES),
    )
    evidence.disturbances.swallowed = [
        line["at"] for line in witness if line.get("swallowed") and line["of"] == "telegram"
    ]
    return evidence


def _witness(line: dict[str, Any], calls: dict[tuple[str, int], Call], evidence: Evidence) -> None:
    api, moment = line["api"], line.get("moment")
    if moment == "begin":
        if api == "telegram" and line["method"] != SEND:
            return
        more = {name: line.get(name, "") for name in ("fault", "sender", "bot", "chat")}
        call = Call(line["call"], line["at"], line.get("text", line.get("asked", "")), **more)
        calls[api, line["call"]] = call
        (evidence.sends if api == "telegram" else evidence.asks).append(call)
    elif moment and (known := calls.get((api, line["call"]))):
        if moment == "done":
            known.status = line["status"]
        else:
            known.ended, known.cut = line["at"], bool(line.get("cut"))
            known.status = known.status or (line["status"] if api == "ai" else 0)


def _question(line: dict[str, Any]) -> Question:
    return Question(line["run"], line["conversation"], line["place"])
