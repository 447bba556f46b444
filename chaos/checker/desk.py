"""What the system says of itself: the public HTTP API first, the database last."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from chaos import journal as journals
from chaos.checker.logs import by_logs
from chaos.poison.queues import LONGEST_AGE
from tests.fakes.witness import Question
from tests.servers.ledger import LIVE, Ledger

if TYPE_CHECKING:
    from chaos.checker.evidence import Evidence

SEND, TURN = "delivery.send_telegram", "pipeline.generate_reply"
REACHED = ("sent", "delivered", "read")


@dataclass(frozen=True)
class Shown:
    """A line of a conversation, as the API shows it."""

    direction: str
    text: str
    status: str
    is_fallback: bool


@dataclass(frozen=True)
class Job:
    """A job of a question, as the ledger has it. Times are `time.time()`; `expires` None: never."""

    id: int
    task: str
    status: str
    reason: str
    code: str
    question: Question | None
    fallback: bool
    due: float | None
    expires: float | None
    sending: float | None
    finished: float | None
    crashes: int


@dataclass
class Desk:
    """`asked`: whether the system was there to be asked; without it only the records are judged."""

    asked: bool = False
    shown: dict[int, list[Shown]] = field(default_factory=dict)
    """By conversation's number."""
    unfinished: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    stored: dict[str, int] = field(default_factory=dict)
    """How often each text that people wrote is stored as a message."""
    inbox: list[str] = field(default_factory=list)
    """Rows of the inbox and messages that hold a text that had to be refused."""
    figures: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By name: what a counter says, what the rows that it counts are, and by how much it may be ahead."""
    late: dict[str, int] = field(default_factory=dict)
    """By task: jobs that were completed after all. Where one had failed as unknown, counters keep both endings."""
    poison: list[tuple[str, str, str, int]] = field(default_factory=list)
    """Task, status, reason and crashes of each poisonous job."""
    breakers: list[tuple[str, float, float]] = field(default_factory=list)
    """Bot, opened, closed: as the workers' logs say."""

    @property
    def dead(self) -> list[Job]:
        return [job for job in self.jobs if job.status == "failed"]


def ask_the_system(directory: Path, evidence: Evidence) -> Desk:
    if not (directory / journals.SYSTEM).exists():
        return Desk()
    known = journals.get(directory / journals.SYSTEM)
    desk = Desk(asked=True)
    _by_api(desk, known, evidence)
    by_logs(desk, directory, known)
    _by_database(desk, Ledger(known["database_url"]), evidence)
    return desk


# --- the public API ---------------------------------------------------------------------------


def _by_api(desk: Desk, known: dict[str, Any], evidence: Evidence) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {known['api_key']}"

        def get(path: str) -> dict[str, Any]:
            answer = session.get(f"{known['url']}/api/v1/{path}", timeout=30)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
            return found

        seen: set[int] = set()
        for question, one in evidence.accepted.items():
            if one.id is None or question.conversation in seen:
                continue
            message = get(f"messages/{one.id}")
            if message["conversation"] is None:
                desk.unfinished.append(f"{question.text}: {message['status']} and in no conversation")
                continue
            seen.add(question.conversation)
            desk.shown[question.conversation] = _conversation(get, message["conversation"])


def _conversation(get: Any, conversation: str) -> list[Shown]:
    lines: list[Shown] = []
    before = ""
    while True:
        page = get(f"conversations/{conversation}?limit=100{before}")
        lines = [
            Shown(line["direction"], line["text"], line["status"], line["is_fallback"])
            for line in page["messages"]
        ] + lines
        if page["next"] is None:
            return lines
        before = f"&before={page['next']}"


# --- the database -----------------------------------------------------------------------------

QUESTIONS = """
SELECT m.id, m.text, m.is_fallback, q.text AS question, m.direction FROM conversations_message m
LEFT JOIN conversations_message q ON q.id = m.in_reply_to_id
"""


def _by_database(desk: Desk, ledger: Ledger, evidence: Evidence) -> None:
    messages = {row["id"]: row for row in ledger.rows(QUESTIONS)}
    for row in messages.values():
        if row["direction"] == "in":
            desk.stored[row["text"]] = desk.stored.get(row["text"], 0) + 1
    for row in ledger.rows(f"SELECT * FROM jobs_job WHERE task IN ('{SEND}', '{TURN}') ORDER BY id"):
        desk.jobs.append(_job(row, messages))
    live = ledger.rows(f"SELECT id, task, status, run_at FROM jobs_job WHERE status IN {LIVE}")
    desk.unfinished += [
        f"job {row['id']} ({row['task']}) is {row['status']}, due {row['run_at']}" for row in live
    ]
    desk.poison = [
        (row["task"], row["status"], row["failure_reason"], row["crashes"])
        for row in ledger.rows("SELECT * FROM jobs_job WHERE task LIKE %s", "chaos.%")
    ]
    for line in evidence.refused:
        marker = f"%{line['marker']}%"
        for table, column in (
            ("conversations_message", "text"),
            ("frontdoor_inboundevent", "CAST(payload AS TEXT)"),
        ):
            if ledger.one(f"SELECT count(*) AS n FROM {table} WHERE {column} LIKE %s", marker):
                desk.inbox.append(f"{line['what']} ({line['status']}) is in {table}")
    _figures(desk, ledger)


def _figures(desk: Desk, ledger: Ledger) -> None:
    def one(query: str) -> int:
        return int(ledger.one(query) or 0)

    reached = "', '".join(REACHED)
    desk.figures["usage: sends = messages sent"] = (
        one("SELECT sum(sends) AS n FROM accounts_usagerecord"),
        one(
            f"SELECT count(*) AS n FROM conversations_message WHERE direction = 'out' AND status IN ('{reached}')"
        ),
        0,
    )
    desk.figures["usage: messages = messages stored"] = (
        one("SELECT sum(messages) AS n FROM accounts_usagerecord"),
        one("SELECT count(*) AS n FROM conversations_message WHERE direction = 'in'"),
        0,
    )
    for task in (SEND, TURN, "pipeline.receive_message"):
        for ending in ("completed", "failed"):
            resolved = desk.late.get(task, 0) if ending == "failed" else 0
            desk.figures[f"counters: {task} {ending} = jobs"] = (
                one(f"SELECT sum({ending}) AS n FROM jobs_jobcounter WHERE task = '{task}'"),
                one(f"SELECT count(*) AS n FROM jobs_job WHERE task = '{task}' AND status = '{ending}'"),
                resolved,
            )


def _job(row: dict[str, Any], messages: dict[int, dict[str, Any]]) -> Job:
    payload = row["payload"] if isinstance(row["payload"], dict) else json.loads(row["payload"])
    message = messages.get(payload.get("message"), {})
    words = message.get("question") if row["task"] == SEND else message.get("text")
    question = None
    with suppress(ValueError, IndexError, AttributeError):
        question = Question.of(words)  # type: ignore[arg-type]
    due = _moment(row["due_at"])
    expires = _moment(row["expires_at"])
    if expires is None and row["task"] == SEND and due is not None:
        expires = due + LONGEST_AGE
    return Job(
        row["id"], row["task"], row["status"], row["failure_reason"], row["error_code"], question,
        bool(message.get("is_fallback")), due, expires, _moment(row["sending_at"]), _moment(row["finished_at"]),
        row["crashes"],
    )  # fmt: skip


def _moment(value: Any) -> float | None:
    """A time of either database as `time.time()`."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return float((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
