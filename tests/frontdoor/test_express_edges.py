"""The express lane at its edges: callers that leave, doubled headers, many at once, a commit that takes long."""

import asyncio
import json
import threading
import uuid
from typing import Any

import pytest
from django.db import InterfaceError, connections

from apps.accounts import services as accounts
from apps.frontdoor import express, inbox, lookups
from apps.frontdoor.models import InboundEvent
from apps.jobs.models import Job
from tests.frontdoor.conftest import make_caller
from tests.frontdoor.tabs import EventLoop
from tests.frontdoor.test_express import Answer, Lane
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("committed", "remembering")


class Edge(Lane):
    """A lane where a test writes each header and each piece of the body."""

    def head(self, data: bytes, *more: tuple[str, str]) -> list[tuple[bytes, bytes]]:
        plain = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("content-length", str(len(data))),
            ("authorization", f"Bearer {self.caller.secret}"),
            *more,
        ]
        return [(name.encode(), value.encode("latin-1")) for name, value in plain]

    async def send(self, messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> Answer:
        answer, waiting = Answer(), list(messages)

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": express.PATH,
            "raw_path": express.PATH.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("localhost", 80), "asgi": {"version": "3.0"}, "headers": headers,
        }  # fmt: skip
        await express.take(scope, receive, answer.send, self._django)
        return answer

    async def whole(self, *more: tuple[str, str], **changes: Any) -> Answer:
        data = json.dumps(self.caller.body(**changes)).encode()
        return await self.send([{"type": "http.request", "body": data}], self.head(data, *more))


@pytest.fixture
def lane(loop: EventLoop) -> Any:
    yield Edge(loop, make_caller())
    connections.close_all()


def test_a_body_that_was_cut_short_is_not_stored_even_if_it_reads_well(lane):
    data = json.dumps(lane.caller.body()).encode()
    cut = [{"type": "http.request", "body": data, "more_body": True}, {"type": "http.disconnect"}]
    answer = lane.loop.call(lane.send(cut, lane.head(data + b"   ")))
    assert (answer.status, lane.passed) == (0, [])
    assert not InboundEvent.objects.exists()


def test_who_leaves_before_the_first_byte_is_no_trouble(lane):
    answer = lane.loop.call(lane.send([{"type": "http.disconnect"}], lane.head(b"{}")))
    assert (answer.status, lane.passed) == (0, [])


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Bearer sb_aaaaaaaa_" + "x" * 43),
        ("content-type", "application/json"),
        ("host", "localhost"),
        ("content-length", "5"),
        ("x-api-key", "b"),
        ("idempotency-key", "b"),
    ],
)
def test_a_header_that_comes_twice_meets_django(lane, header):
    first = (
        [] if header[0] in ("authorization", "content-type", "host", "content-length") else [(header[0], "a")]
    )
    lane.loop.call(lane.whole(*first, header))
    assert len(lane.passed) == 1
    assert not InboundEvent.objects.exists()


def test_other_headers_may_come_twice(lane):
    assert lane.loop.call(lane.whole(("x-trace", "1"), ("x-trace", "2"))).status == 202
    assert not lane.passed


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "", "١"])
def test_a_length_that_is_none_meets_django(lane, length):
    head = [(name, value) for name, value in lane.head(b"{}") if name != b"content-length"]
    lane.loop.call(
        lane.send([{"type": "http.request", "body": b"{}"}], [*head, (b"content-length", length.encode())])
    )
    assert lane.passed == [b"{}"]


def test_many_who_ask_for_the_same_ask_the_database_once(lane, monkeypatch):
    asked: list[str] = []
    go_on = threading.Event()
    key, account = accounts.authenticate_api_key, lookups.account_by_public_id

    def slow_key(secret: str) -> Any:
        asked.append("key")
        assert go_on.wait(10)
        return key(secret)

    def slow_account(public_id: uuid.UUID) -> Any:
        asked.append("account")
        return account(public_id)

    async def many() -> list[int]:
        requests = [asyncio.create_task(lane.whole()) for _ in range(20)]
        await asyncio.to_thread(wait_until, lambda: asked)
        requests[0].cancel()  # who asked first leaves; the others still get the answer
        go_on.set()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        return [answer.status for answer in answers[1:]]

    monkeypatch.setattr(express, "authenticate_api_key", slow_key)
    monkeypatch.setattr(lookups, "account_by_public_id", slow_account)
    assert lane.loop.call(many()) == [202] * 19
    assert asked == ["key", "account"]
    assert InboundEvent.objects.count() == 19
    assert express._asking == {}


def test_what_went_wrong_with_a_question_is_not_remembered(lane, monkeypatch):
    def away(secret: str) -> Any:
        raise InterfaceError("connection already closed")

    with monkeypatch.context() as patch:
        patch.setattr(express, "authenticate_api_key", away)
        lane.loop.call(lane.whole())
    assert len(lane.passed) == 1  # Django says what it makes of it
    assert lane.loop.call(lane.whole()).status == 202
    assert len(lane.passed) == 1


def test_the_same_key_at_the_same_moment_is_one_message(lane):
    async def race() -> list[Any]:
        return await asyncio.gather(*(lane.whole(("idempotency-key", "order-1")) for _ in range(30)))

    answers = lane.loop.call(race())
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (InboundEvent.objects.count(), Job.objects.count()) == (1, 1)


def test_the_same_key_with_two_bodies_at_the_same_moment_is_one_of_them(lane):
    async def race() -> list[Any]:
        return await asyncio.gather(
            *(lane.whole(("idempotency-key", "order-1"), text=f"body {n % 2}") for n in range(20))
        )

    statuses = sorted(answer.status for answer in lane.loop.call(race()))
    assert statuses == [202] * 10 + [422] * 10
    assert InboundEvent.objects.count() == 1


def test_who_waited_too_long_does_not_spoil_it_for_the_others(lane, monkeypatch):
    """The commit they share takes long: it is told that it may be stored, it is, and the next ones find a thread."""
    handler, put, shared = inbox.group._handler, inbox.group.put, []
    go_on, begun = threading.Event(), threading.Event()

    def slow(items: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return handler(items)

    def kept(arrivals: Any) -> Any:
        shared.append(put(arrivals))
        return shared[-1]

    with monkeypatch.context() as patch:
        patch.setattr(inbox.group, "_handler", slow)
        patch.setattr(inbox.group, "put", kept)
        patch.setattr(express, "LONGEST_WAIT", 0.05)
        answer = lane.loop.call(lane.whole())
        assert begun.is_set()
        assert answer.status == 503
        assert "may be stored yet" in answer.json()["detail"]
        assert not shared[0].cancelled()
        go_on.set()
        wait_until(lambda: InboundEvent.objects.count() == 1)
    assert lane.loop.call(lane.whole()).status == 202
