"""A run's records, made by hand: what the upstream, the producer, the nemesis and the supervisor would have written."""

from pathlib import Path
from typing import Any

from chaos import journal as journals
from chaos.checker import Desk, Finding, check
from chaos.checker.desk import SEND, TURN, Job, Shown
from chaos.journal import Journal
from chaos.upstream.telegram import FIRST_PERSON
from tests.fakes.witness import Question

RUN = "t1"


def question(conversation: int, place: int) -> Question:
    return Question(RUN, conversation, place)


class Records:
    """Conversation 0 belongs to a bot that sends again, 1 to one that asks a person, as in a run. Times in seconds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.desk = Desk(asked=True)
        self._journals: dict[str, Journal] = {}
        self._calls = self._jobs = 0

    def write(self, file: str, /, **line: Any) -> None:
        if file not in self._journals:
            self._journals[file] = Journal(self.directory / file)
        self._journals[file].write(line)

    def accepted(self, one: Question, *, at: float, took: float = 0.1, stored: int = 1) -> Question:
        line = {"run": one.run, "conversation": one.conversation, "place": one.place}
        line |= {"bot": ("again", "ask")[one.conversation % 2], "how": "api"}
        self.write(journals.POSTED, at=at, **line)
        self.write(journals.ACCEPTED, at=at + took, posted=at, id=None, **line)
        self.desk.stored[one.text] = stored
        return one

    def sent(
        self,
        one: Question,
        *,
        at: float,
        took: float | None = 0.1,
        status: int = 200,
        fault: str = "",
        sender: str = "worker-send",
        text: str = "",
    ) -> None:
        """A call of sendMessage; `took` None: it was never answered."""
        self._calls += 1
        call = {"api": "telegram", "call": self._calls}
        bot = ("again", "ask")[one.conversation % 2]
        chat = str(FIRST_PERSON + one.conversation)
        more = {"method": "sendmessage", "bot": bot, "chat": chat, "sender": sender, "fault": fault}
        text = text or f"re: {one.text}"
        self.write(journals.WITNESS, at=at, moment="begin", text=text, **call, **more)
        self.write(journals.WITNESS, at=at, moment="done", status=status, cut=False, **call)
        if took is not None:
            self.write(journals.WITNESS, at=at + took, moment="end", status=status, cut=False, **call)

    def asked(self, one: Question, *, at: float, fault: str = "", status: int = 200) -> None:
        """A call of the AI."""
        self._calls += 1
        call = {"api": "ai", "call": self._calls}
        self.write(journals.WITNESS, at=at, moment="begin", asked=one.text, fault=fault, **call)
        self.write(journals.WITNESS, at=at + 0.1, moment="end", status=status, **call)

    def fault(self, kind: str, begin: float, end: float, target: str = "") -> None:
        line = {"id": int(begin * 1000), "at": begin, "kind": kind, "target": target, "seconds": end - begin}
        self.write(journals.FAULTS, begin=begin, **line)
        self.write(journals.FAULTS, id=line["id"], end=end, skipped="", error="")

    def died(self, name: str, at: float, status: int = -9) -> None:
        line = {"name": name, "kind": "program", "pid": 1}
        self.write(journals.PROCESSES, at=at, moment="end", status=status, **line)
        self.write(journals.PROCESSES, at=at + 1, moment="start", **line)

    def job(self, one: Question | None, *, task: str = SEND, **more: Any) -> None:
        self._jobs += 1
        values = {
            "status": "failed", "reason": "", "code": "", "fallback": False, "due": None, "expires": None,
            "sending": None, "finished": None, "crashes": 0,
        } | more  # fmt: skip
        self.desk.jobs.append(Job(id=self._jobs, task=task, question=one, **values))

    def dead_turn(self, one: Question, **more: Any) -> None:
        self.job(one, task=TURN, **more)

    def shown(self, one: Question, status: str, *, direction: str = "out") -> None:
        text = f"re: {one.text}" if direction == "out" else one.text
        self.desk.shown.setdefault(one.conversation, []).append(Shown(direction, text, status, False))

    def answered(self, one: Question, *, at: float) -> None:
        """Accepted, sent once, and known to be."""
        self.accepted(one, at=at)
        self.sent(one, at=at + 1)
        self.shown(one, "received", direction="in")
        self.shown(one, "sent")

    def findings(self) -> dict[str, Finding]:
        return {finding.name: finding for finding in check(self.directory, desk=self.desk)}

    def broken(self) -> set[str]:
        """The names of the promises that did not hold."""
        return {name for name, finding in self.findings().items() if not finding.ok}
