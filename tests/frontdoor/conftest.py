"""What the tests of the front door share: a caller with an API key, a visitor with a token, an empty memory."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from apps.accounts import services as accounts
from apps.conversations.models import ChannelAccount, Conversation
from apps.conversations.services import start_conversation
from apps.frontdoor import events, inbox, lookups
from apps.reliability import short_memory
from tests.factories.accounts import make_api_key
from tests.factories.conversations import ChannelAccountFactory
from tests.frontdoor.tabs import NEVER, EventLoop


class InThisThread:
    """The inbox's group, within the test's own transaction: the real one commits in a thread of its own."""

    def submit(self, arrivals: Sequence[inbox.Arrival]) -> list[inbox.Receipt]:
        (receipts,) = inbox.take([arrivals])
        return receipts


@pytest.fixture(autouse=True)
def _group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "transactional_db" not in request.fixturenames:
        monkeypatch.setattr(inbox, "group", InThisThread())


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """What the test writes is committed. Threads that outlive it (the group's, the stream's) keep a connection;
    PostgreSQL would not drop the test's database while they do."""
    yield
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts and visitors are remembered as in a running process."""
    monkeypatch.setattr(short_memory, "FRESH_SECONDS", 2.0)


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    """Primary keys come back in the next test: what was remembered of them must not."""
    lookups.forget()
    accounts.key_cache.clear()
    yield
    lookups.forget()
    accounts.key_cache.clear()


@dataclass
class Caller:
    """A program with an API key of the account's customer."""

    account: ChannelAccount
    secret: str
    client: Client

    @property
    def customer(self) -> Any:
        return self.account.chatbot.customer

    def body(self, **changes: Any) -> dict[str, Any]:
        return {
            "account": str(self.account.public_id),
            "contact": {"id": "ada", "name": "Ada"},
            "text": "When do you open?",
        } | changes

    def post(self, body: Any = None, **headers: str) -> HttpResponse:
        """POST /messages; `body` is made JSON unless it is bytes. `headers` with underscores."""
        data = body if isinstance(body, bytes) else json.dumps(self.body() if body is None else body)
        sent = {"authorization": f"Bearer {self.secret}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = sent.pop("content-type", "application/json")
        return self.client.post("/api/v1/messages", data, content_type=content_type, headers=sent)

    def get(self, path: str) -> HttpResponse:
        return self.client.get(f"/api/v1{path}", headers={"authorization": f"Bearer {self.secret}"})


def make_caller(account: ChannelAccount | None = None, scopes: list[str] | None = None) -> Caller:
    account = account or ChannelAccountFactory.create()
    _, secret = make_api_key(account.chatbot.customer, scopes)
    return Caller(account, secret, Client(raise_request_exception=False))


@pytest.fixture
def caller(db: None) -> Caller:
    return make_caller()


@dataclass
class Visitor:
    """A browser with the token of a conversation."""

    conversation: Conversation
    token: str
    client: Client

    def post(self, text: str = "Hello", id: str | None = None, **body: Any) -> HttpResponse:
        data = {"id": id or str(uuid.uuid4()), "text": text} | body
        return self.client.post(
            "/api/v1/widget/messages", data, content_type="application/json", headers=self.headers
        )

    def get(self, query: str = "") -> HttpResponse:
        return self.client.get(f"/api/v1/widget/messages{query}", headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


def make_visitor() -> Visitor:
    conversation, token = start_conversation(account_id=ChannelAccountFactory.create().pk)
    return Visitor(conversation, token, Client(raise_request_exception=False))


@pytest.fixture
def visitor(db: None) -> Visitor:
    return make_visitor()


def assert_problem(response: Any, status: int, *words: str) -> str:
    """It is a refusal in our shape with this status, and its reason says these words. Returns the reason."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    return str(problem["detail"])


@pytest.fixture
def time_machine_at() -> Any:
    """`with time_machine_at(hours=3):` the clock stands three hours after a fixed moment."""

    def at(hours: float) -> Any:
        return time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC) + timedelta(hours=hours), tick=False)

    return at


@pytest.fixture
def loop(committed: None) -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close()
    assert not events.hub._listeners


@pytest.fixture
def only_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream never looks by itself: what it shows later than at its start, a wake has brought."""
    monkeypatch.setattr(events, "LOOK_SECONDS", NEVER)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", NEVER)
