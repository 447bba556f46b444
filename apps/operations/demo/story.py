"""The story of one question, told while it happens.

1. The web server, a worker and Flower are up.
2. The question goes in where any program's would: POST /api/v1/messages with an API key.
3. Each hop is read from the ledger and the conversation as it appears there, with its time since the POST.
4. The answer comes from where any program would read it: GET /api/v1/messages/{id}.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import requests
from django.db import DatabaseError
from django.utils import timezone

from apps.conversations.models import Message
from apps.jobs.models import Job, Worker
from apps.operations.demo.provision import CHATBOT, Example
from apps.reliability import http

QUESTION = "What happens to a message when a worker is killed?"
DEADLINE = 60.0  # seconds, for getting ready and for the answer, each
EVERY = 0.05
Result = TypeVar("Result")
ARRIVED = frozenset({Message.Status.SENT, Message.Status.DELIVERED, Message.Status.READ})
STARTS = {
    "pipeline.receive_message": ("received", "by a worker"),
    "pipeline.generate_reply": ("AI turn", "begins"),
    "pipeline.route_reply": ("routed", "to its channel"),
    "delivery.send_widget": ("sending", "the reply to the chat page"),
}


class StoryError(Exception):
    """The question was not answered; the message says where it got stuck."""


@dataclass(frozen=True)
class Hop:
    """Something that happened to the message; `place` says it in one word."""

    at: datetime
    place: str
    what: str


class Story:
    """Asks one question. `say` prints a line; once `stopped` is set, or `hopeless` has a reason, it gives up."""

    def __init__(
        self,
        *,
        web: str,
        flower: str,
        example: Example,
        say: Callable[[str], None],
        stopped: threading.Event,
        hopeless: Callable[[], str],
    ) -> None:
        self._web, self._flower, self._example, self._say = web, flower, example, say
        self._stopped, self._hopeless = stopped, hopeless
        self._session = http.session("demo")
        self._session.headers["Authorization"] = f"Bearer {example.api_key}"

    def wait_until_up(self) -> None:
        """Returns when web server, worker and Flower are there. Raises StoryError after a minute for each."""
        for _ in self._tries("the web server did not come up"):
            if self._answers(f"{self._web}/healthz"):
                break
        for _ in self._tries("no worker came up"):
            if _quietly(Worker.objects.filter(ended_at=None, lease_until__gt=timezone.now()).exists):
                break
        for _ in self._tries("Flower did not come up"):
            if self._answers(f"{self._flower}/healthcheck"):
                break

    def tell(self) -> str:
        """Asks, prints the hops, returns the answer's text. Raises StoryError if none arrived in a minute."""
        self._say(f"Asking “{CHATBOT}”: {QUESTION}")
        began = timezone.now()
        message = self._ask()
        self._hop(Hop(timezone.now(), "accepted", "202: the message and its job are committed"), began)
        told: set[tuple[str, str]] = set()
        for _ in self._tries("no answer arrived"):
            # The API first: when it shows the end, the ledger already shows all that led there.
            seen = self._get(f"/api/v1/messages/{message}") or {}
            for hop in sorted(_quietly(lambda: hops(message)) or [], key=lambda hop: hop.at):
                if (hop.place, hop.what) not in told:
                    told.add((hop.place, hop.what))
                    self._hop(hop, began)
            reply = seen.get("reply")
            if reply and reply["status"] in ARRIVED:
                return str(reply["text"])
            if reply and reply["status"] == Message.Status.FAILED:
                raise StoryError("the reply could not be delivered")
        raise StoryError("stopped")

    def _ask(self) -> str:
        body = {
            "account": self._example.account,
            # A new person each time: nothing that was said before is in the way.
            "contact": {"id": f"demo-{uuid4().hex[:12]}", "name": "You"},
            "text": QUESTION,
        }
        try:
            response = self._session.post(f"{self._web}/api/v1/messages", json=body)
        except requests.RequestException as problem:
            raise StoryError(f"POST /api/v1/messages failed: {problem}") from problem
        if response.status_code != 202:
            raise StoryError(f"POST /api/v1/messages answered {response.status_code}: {response.text[:500]}")
        return str(response.json()["id"])

    def _answers(self, url: str) -> bool:
        try:
            # Without the API key: only the API is to see it.
            return bool(self._session.get(url, headers={"Authorization": None}).ok)
        except requests.RequestException:
            return False

    def _get(self, path: str) -> dict[str, Any] | None:
        """The JSON answer, or None if there is none yet."""
        try:
            response = self._session.get(f"{self._web}{path}")
        except requests.RequestException:
            return None
        return response.json() if response.ok else None

    def _tries(self, problem: str) -> Iterator[None]:
        """One more try every 50 ms. Raises StoryError when time is up or the demo is being stopped."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            yield
            if self._stopped.wait(EVERY):
                raise StoryError("stopped")
            if reason := self._hopeless():
                raise StoryError(reason)
        raise StoryError(f"{problem} within {DEADLINE:g} s")

    def _hop(self, hop: Hop, began: datetime) -> None:
        passed = (hop.at - began) / timedelta(milliseconds=1)
        self._say(f"  {passed:6.0f} ms  {hop.place:<10} {hop.what}")


def hops(message_id: str) -> list[Hop]:
    """What the ledger and the conversation tell so far about the message with this public id."""
    found = [_started(job) for job in Job.objects.filter(correlation_id=message_id) if job.started_at]
    found += [_failed(job) for job in Job.objects.filter(correlation_id=message_id).dead_letters()]
    message = Message.objects.filter(public_id=message_id).first()
    if message is None:
        return found
    found.append(Hop(message.created_at, "stored", f"as message {message.position} of its conversation"))
    for reply in Message.objects.filter(in_reply_to=message):
        answered = "the fallback message" if reply.is_fallback else reply.details.get("model", "a reply")
        found.append(Hop(reply.created_at, "answered", f"by {answered}, {len(reply.text)} characters"))
        if reply.sent_at:
            found.append(Hop(reply.sent_at, "sent", "the reply is delivered"))
    return found


def _started(job: Job) -> Hop:
    again = f", attempt {job.attempts}" if job.attempts > 1 else ""
    at = job.started_at or job.created_at
    place, what = STARTS.get(job.task, ("works", "on it"))
    return Hop(at, place, f"{what}{again} ({job.task})")


def _failed(job: Job) -> Hop:
    return Hop(job.finished_at or job.created_at, "failed", f"{job.task}: {job.failure_reason}, {job.error}")


def _quietly(question: Callable[[], Result]) -> Result | None:
    """The answer, or None while the database is busy: the next try comes in a moment."""
    try:
        return question()
    except DatabaseError:
        return None
