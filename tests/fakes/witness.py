"""What the stand-in saw: replies counted, duplicates and order judged from outside, without asking Switchboard."""

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.servers.processes import Process, free_port, tail
from tests.waiting import wait_until


@dataclass(frozen=True)
class Call:
    kind: str
    begun: float
    ended: float | None
    cut: bool
    body: dict[str, Any]

    def in_flight(self, moment: float, grace: float) -> bool:
        """Was it under way at that moment? `grace` allows for the time between its answer and the commit."""
        return self.begun <= moment and (self.ended is None or self.ended >= moment - grace)


class Witness:
    """The stand-in's process and its record. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.record, self.log = directory / "record.jsonl", directory / "standin.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        from tests.servers.switchboard import PYTHON

        self._process = Process(
            [PYTHON, "-m", "tests.fakes.standin", str(self.port), str(self.record)], log=self.log
        )
        wait_until(self._answers, 20, f"the stand-in to answer\n{tail(self.log)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.sweep_away()

    def behave(self, kind: str, **manners: float | bool) -> None:
        """`behave("ai", delay=2)`, `behave("send", hold=True)`; hold=False lets go what is held."""
        requests.put(f"{self.url}/settings", json={kind: manners}, timeout=30).raise_for_status()

    def behave_again(self) -> None:
        for kind in ("ai", "send", "mark"):
            self.behave(kind, delay=0, status=200, hold=False)

    def begun(self, kind: str) -> int:
        return int(self._counts()[kind]["begun"])

    def open(self, kind: str) -> int:
        """How many calls of this kind are under way."""
        counts = self._counts()[kind]
        return int(counts["begun"]) - int(counts["ended"])

    def held(self, kind: str) -> int:
        """How many calls of this kind are kept until they are let go."""
        return int(self._counts()[kind]["held"])

    def calls(self, kind: str, **wanted: str) -> list[Call]:
        """In the order of their beginning; `wanted` compares fields of the body."""
        if not self.record.exists():
            return []
        lines = [json.loads(line) for line in self.record.read_text().splitlines() if line.endswith("}")]
        ends = {line["call"]: line for line in lines if line["kind"] in ("end", "cut")}
        found = []
        for line in lines:
            if line["kind"] != kind or any(line.get(name) != value for name, value in wanted.items()):
                continue
            end = ends.get(line["call"])
            found.append(
                Call(kind, line["at"], end and end["at"], bool(end) and end["kind"] == "cut", line)  # type: ignore[index]
            )
        return found

    def sends(self, run: str) -> list[Call]:
        """Sends that answer the questions of one run (see Question)."""
        return [call for call in self.calls("send") if f" {run}." in call.body["text"]]

    def _counts(self) -> dict[str, dict[str, int]]:
        answer = requests.get(f"{self.url}/counts", timeout=30)
        counts: dict[str, dict[str, int]] = answer.json()
        return counts

    def _answers(self) -> bool:
        try:
            return bool(self._counts())
        except requests.RequestException:
            return False


@dataclass(frozen=True)
class Question:
    """A text that says what it is: run, conversation and place, so that its answer can be recognised."""

    run: str
    conversation: int
    place: int

    @property
    def text(self) -> str:
        return f"question {self.run}.{self.conversation}.{self.place}"

    @classmethod
    def of(cls, text: str) -> "Question":
        run, conversation, place = text.rsplit(" ", 1)[1].split(".")
        return cls(run, int(conversation), int(place))


@dataclass(frozen=True)
class Verdict:
    """How the sends compare with what was accepted."""

    missing: list[Question]
    strangers: list[Question]
    disordered: list[tuple[Question, Question]]
    repeated: dict[Question, list[Call]]

    def unexplained(self, moments: list[float], grace: float) -> list[Question]:
        """Repetitions that no fault explains: each but the last sending must have been in flight at a fault."""
        return [
            question
            for question, calls in self.repeated.items()
            if not all(any(call.in_flight(moment, grace) for moment in moments) for call in calls[:-1])
        ]


def judge(accepted: list[Question], sends: list[Call]) -> Verdict:
    by_question: dict[Question, list[Call]] = defaultdict(list)
    for call in sends:
        by_question[Question.of(call.body["text"])].append(call)
    firsts: dict[int, list[Question]] = defaultdict(list)
    for question in sorted(by_question, key=lambda q: by_question[q][0].begun):
        firsts[question.conversation].append(question)
    disordered = [
        (before, after)
        for line in firsts.values()
        for before, after in pairwise(line)
        if before.place > after.place
    ]
    return Verdict(
        missing=[question for question in accepted if question not in by_question],
        strangers=[question for question in by_question if question not in set(accepted)],
        disordered=disordered,
        repeated={question: calls for question, calls in by_question.items() if len(calls) > 1},
    )
