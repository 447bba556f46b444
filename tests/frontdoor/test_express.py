"""The express lane: what is in order is stored without Django, everything else meets Django as it came."""

import json
import uuid
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from apps.frontdoor import express, inbox
from apps.frontdoor.models import InboundEvent
from apps.jobs.models import Job
from tests.frontdoor.conftest import Caller, make_caller
from tests.frontdoor.tabs import EventLoop

pytestmark = pytest.mark.usefixtures("committed", "remembering")


class Answer:
    def __init__(self) -> None:
        self.status, self.headers, self.body = 0, {}, b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")

    def json(self) -> Any:
        return json.loads(self.body)


class Lane:
    """Requests as a server hands them over, in pieces; `passed` are the bodies of those that went on to Django."""

    def __init__(self, loop: EventLoop, caller: Caller) -> None:
        self.loop, self.caller = loop, caller
        self.passed: list[bytes] = []

    def post(self, body: Any = None, pieces: int = 1, scheme: str = "http", **headers: str | None) -> Answer:
        data = (
            body
            if isinstance(body, bytes)
            else json.dumps(self.caller.body() if body is None else body).encode()
        )
        sent: dict[str, str | None] = {
            "host": "localhost",
            "content-type": "application/json",
            "content-length": str(len(data)),
            "authorization": f"Bearer {self.caller.secret}",
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        given = {name: value for name, value in sent.items() if value is not None}
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": scheme,
            "path": express.PATH,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        answer, before = Answer(), len(self.passed)
        self.loop.call(self._take(scope, data, pieces, answer))
        if len(self.passed) > before:
            self._ask_django(answer, self.passed[-1], given, secure=scheme == "https")
        return answer

    async def _take(self, scope: Any, data: bytes, pieces: int, answer: Answer) -> None:
        size = -(-len(data) // pieces) or 1
        chunks = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
            for place, chunk in enumerate(chunks, start=1)
        ]

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        await express.take(scope, receive, answer.send, self._django)

    async def _django(self, scope: Any, receive: Any, send: Any) -> None:
        heard = [await receive()]
        while heard[-1].get("more_body"):
            heard.append(await receive())
        self.passed.append(b"".join(message["body"] for message in heard))

    def _ask_django(self, answer: Answer, body: bytes, headers: dict[str, str], *, secure: bool) -> None:
        """What Django says to the request that was handed over, here in the test's own thread."""
        headers = dict(headers)
        kind, length = headers.pop("content-type", ""), headers.pop("content-length", "")
        response = Client(raise_request_exception=False).generic(
            "POST",
            express.PATH,
            body,
            content_type=kind,
            headers=headers,
            secure=secure,
            CONTENT_LENGTH=length,
        )
        answer.status, answer.body = response.status_code, response.content
        answer.headers = {name.lower(): value for name, value in response.items()}


@pytest.fixture
def lane(loop: EventLoop) -> Lane:
    return Lane(loop, make_caller())


@pytest.mark.parametrize("pieces", [1, 3])
def test_what_is_in_order_is_stored_without_django(lane, pieces):
    answer = lane.post(pieces=pieces)
    assert answer.status == 202
    assert not lane.passed
    [event], [job] = InboundEvent.objects.all(), Job.objects.all()
    assert answer.json() == {"id": str(event.public_id), "status": "accepted"}
    assert (event.sender, event.payload) == ("ada", {"text": "When do you open?", "name": "Ada"})
    assert (job.task, job.priority) == ("pipeline.receive_message", lane.caller.customer.priority)


def test_it_answers_as_django_does(lane):
    mine, theirs = lane.post(), lane.caller.post()
    assert mine.status == theirs.status_code
    assert mine.json().keys() == theirs.json().keys()
    here = {name: value for name, value in mine.headers.items() if name != "content-length"}
    there = {
        name.lower(): value for name, value in theirs.headers.items() if name.lower() != "content-length"
    }
    assert here == there


def test_the_key_may_come_in_its_own_header(lane):
    assert lane.post(authorization=None, x_api_key=lane.caller.secret).status == 202
    assert not lane.passed


def test_a_key_with_the_same_body_is_stored_once_and_with_another_refused(lane):
    first, again = lane.post(idempotency_key="one"), lane.post(idempotency_key="one")
    assert first.json() == again.json()
    other = lane.post(lane.caller.body(text="Another"), idempotency_key="one")
    assert (other.status, other.headers["content-type"]) == (422, "application/problem+json")
    assert "another body" in other.json()["detail"]
    assert not lane.passed
    assert InboundEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": None}, 401),
        ({"authorization": "Bearer sb_aaaaaaaa_" + "x" * 43}, 401),
        ({"authorization": "Bearer nonsense"}, 401),
        ({"content_type": "text/plain"}, 415),
        ({"content_length": None}, 400),
        ({"content_length": "9999999"}, 413),
        ({"host": "evil.example"}, 400),
        ({"transfer_encoding": "chunked"}, 411),
        ({"idempotency_key": "\x01"}, 400),
        ({"idempotency_key": "x" * 256}, 400),
    ],
)
def test_a_head_that_is_not_in_order_meets_django(lane, headers, status):
    body = json.dumps(lane.caller.body()).encode()
    assert lane.post(**headers).status == status
    assert lane.passed == [body]
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "not valid JSON"),
        (b'{"text": "a", "text": NaN}', 422, ""),
        ({"text": " "}, 422, "text: it is empty"),
        ({"text": "\ud800"}, 422, "text"),
        ({"text": "a\x00"}, 422, "NUL"),
        ({"account": "4711"}, 422, "account"),
        ({"more": 1}, 422, "more"),
        ({"account": str(uuid.uuid4())}, 404, "no account"),
    ],
)
def test_a_body_that_is_not_in_order_meets_django(lane, body, status, words):
    changed = body if isinstance(body, bytes) else lane.caller.body(**body)
    answer = lane.post(changed, pieces=2)
    assert answer.status == status
    assert words in answer.json()["detail"]
    assert len(lane.passed) == 1
    assert not InboundEvent.objects.exists()


def test_an_account_of_somebody_else_or_switched_off_meets_django(lane):
    stranger = make_caller()
    assert lane.post(stranger.body()).status == 404
    lane.caller.account.is_active = False
    lane.caller.account.save()
    assert lane.post().status == 409
    assert len(lane.passed) == 2


def test_a_key_without_the_scope_meets_django(loop):
    lane = Lane(loop, make_caller(scopes=["messages:read"]))
    assert lane.post().status == 403
    assert lane.passed


def test_without_tls_django_says_where_to_go(lane, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert lane.post().status == 301
    assert lane.passed
    assert lane.post(scheme="https").status == 202
    assert len(lane.passed) == 1


@pytest.mark.parametrize(("error", "status"), [(OperationalError("gone"), 503), (ValueError("a bug"), 500)])
def test_what_can_not_be_stored_is_said_and_nothing_is_asked_twice(lane, monkeypatch, error, status):
    monkeypatch.setattr(inbox.group, "_handler", lambda items: (_ for _ in ()).throw(error))
    answer = lane.post()
    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "gone" not in answer.body.decode()
    assert not lane.passed
