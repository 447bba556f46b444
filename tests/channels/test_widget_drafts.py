"""Typing and drafts of the widget: what leaves for the pages, and that nothing of it can hold anybody up."""

import asyncio
import json
import logging
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
import redis

from apps.channels import registry
from apps.channels.base import Listener
from apps.channels.widget import drafts
from tests.servers.processes import free_port
from tests.waiting import wait_until

# New ones each run: publishes reach every database of a Redis server, and so the tests of another process.
ADA_ID, BOB_ID = str(uuid.uuid4()), str(uuid.uuid4())
ADA, BOB = Listener(ADA_ID, "visitor-1"), Listener(BOB_ID.replace("-", ""), "visitor-2")


class Page:
    """Puts drafts together as static/frontdoor/now.js does, in UTF-16 units as a browser counts."""

    def __init__(self) -> None:
        self.draft, self._text = "", b""

    def hear(self, piece: dict[str, Any]) -> None:
        if piece["draft"] != self.draft:
            if piece["offset"]:
                return
            self.draft, self._text = piece["draft"], b""
        if piece["offset"] * 2 <= len(self._text):
            self._text = self._text[: piece["offset"] * 2] + piece["text"].encode("utf-16-le")

    @property
    def text(self) -> str:
        return self._text.decode("utf-16-le")


@pytest.fixture
def topic(settings: Any) -> Iterator["redis.client.PubSub"]:
    with (
        redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client,
        client.pubsub() as listener,
    ):
        listener.subscribe(drafts.TOPIC)
        wait_until(lambda: (listener.get_message(timeout=0.1) or {}).get("type") == "subscribe", what="it")
        yield listener


def heard(topic: Any, number: int = 1) -> list[str]:
    """The payloads of the next `number` publishes about Ada or Bob."""
    found: list[str] = []

    def enough() -> bool:
        message = topic.get_message(timeout=0.1)
        if message and (ADA_ID in message["data"] or BOB_ID in message["data"]):
            found.append(message["data"])
        return len(found) >= number

    wait_until(enough, what=f"{number} publishes")
    return found


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def and_settle() -> None:
        await coroutine
        await drafts.outbox().settled()

    asyncio.run(and_settle())


def pieces(payloads: list[str], conversation: str) -> list[dict[str, Any]]:
    return [
        json.loads(data)
        for payload in payloads
        for found, event, data in drafts.lines_of(payload)
        if (found, event) == (conversation, "draft")
    ]


def test_the_channel_says_what_it_can():
    channel = registry.get("widget")
    assert channel.shows_drafts
    assert channel.typing_seconds


def test_typing_says_how_long_it_lasts(topic):
    channel = registry.get("widget")
    run(channel.typing(ADA))
    ((conversation, event, data),) = drafts.lines_of(heard(topic)[0])
    assert (conversation, event) == (ADA_ID, "typing")
    assert json.loads(data)["seconds"] > channel.typing_seconds


def test_a_growing_text_leaves_in_pieces(topic):
    texts = [
        "Öff",
        "Öffnungszeiten 👋🏽:",
        "Öffnungszeiten 👋🏽: neun",
        "Öffnungszeiten 👋🏽: neun bis\nfünf 👍",
    ]

    async def grow() -> None:
        for text in texts:
            await registry.get("widget").show(ADA, text)
            await drafts.outbox().settled()

    run(grow())
    page, sent = Page(), pieces(heard(topic, len(texts)), ADA_ID)
    for piece, text in zip(sent, texts, strict=True):
        page.hear(piece)
        assert page.text == text
    assert [piece["offset"] for piece in sent] == [0, 3, 20, 25]
    assert len({piece["draft"] for piece in sent}) == 1


def test_who_joins_in_the_middle_catches_up(topic, monkeypatch):
    async def grow() -> None:
        for length in range(1, 4):
            await registry.get("widget").show(ADA, "abc"[:length])
            await drafts.outbox().settled()
            if length == 2:
                monkeypatch.setattr(drafts, "SNAPSHOT_SECONDS", 0.0)

    run(grow())
    late = Page()
    first, second, third = pieces(heard(topic, 3), ADA_ID)
    late.hear(second)
    assert late.text == ""
    late.hear(third)
    assert late.text == "abc"
    assert first["offset"] == third["offset"] == 0


def test_another_text_is_another_draft(topic):
    async def begin_anew() -> None:
        for text in ("The first try", "The second"):
            await registry.get("widget").show(ADA, text)
            await drafts.outbox().settled()

    run(begin_anew())
    first, second = pieces(heard(topic, 2), ADA_ID)
    assert first["draft"] != second["draft"]
    assert (second["offset"], second["text"]) == (0, "The second")


def test_many_conversations_share_a_publish_and_only_the_latest_leaves(topic):
    async def many() -> None:
        for text in ("a", "ab", "abc"):
            for listener in (ADA, BOB):
                await registry.get("widget").show(listener, text)
        await registry.get("widget").typing(ADA)

    run(many())
    (payload,) = heard(topic)
    assert {(conversation, event) for conversation, event, _ in drafts.lines_of(payload)} == {
        (ADA_ID, "draft"),
        (ADA_ID, "typing"),
        (BOB_ID, "draft"),
    }
    assert len(list(drafts.lines_of(payload))) == 3
    assert [piece["text"] for piece in pieces([payload], BOB_ID)] == ["abc"]


def test_nobody_waits_for_redis(settings, monkeypatch, caplog):
    """Redis is away: showing returns at once, is not tried again and again, and says nothing at the usual level."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    asked: list[str] = []
    really = drafts.async_redis_client
    monkeypatch.setattr(drafts, "async_redis_client", lambda: (asked.append("asked"), really())[1])

    async def show() -> None:
        for length in range(5):
            await registry.get("widget").show(ADA, "x" * (length + 1))
            await registry.get("widget").typing(ADA)
            await drafts.outbox().settled()

    with caplog.at_level(logging.INFO):
        run(show())
    assert asked == ["asked"]
    assert not [record for record in caplog.records if "draft" in record.getMessage()]


def test_a_draft_begins_whole_after_an_outage(topic, monkeypatch):
    class Away:
        async def publish(self, *_: str) -> None:
            raise redis.ConnectionError("gone")

    async def interrupted() -> None:
        box, show = drafts.outbox(), registry.get("widget").show
        await show(ADA, "one")
        await box.settled()
        really = drafts.async_redis_client
        monkeypatch.setattr(drafts, "async_redis_client", Away)
        await show(ADA, "one two")
        await box.settled()
        monkeypatch.setattr(drafts, "async_redis_client", really)
        box._quiet_until = 0.0
        await show(ADA, "one two three")

    run(interrupted())
    _, last = pieces(heard(topic, 2), ADA_ID)
    assert (last["offset"], last["text"]) == (0, "one two three")


def test_old_drafts_are_forgotten(monkeypatch):
    async def two() -> None:
        box = drafts.outbox()
        await registry.get("widget").show(ADA, "one")
        await box.settled()
        monkeypatch.setattr(drafts, "FORGET_SECONDS", -1.0)
        await registry.get("widget").show(BOB, "one")
        await box.settled()
        assert not box._drafts

    run(two())


@pytest.mark.parametrize(
    "payload", ["", "x", "a draft", "a draft []", "a other {}", "a draft {}\r", "\n\n", "a  draft {}"]
)
def test_a_line_that_is_not_ours_is_left_out(payload):
    assert list(drafts.lines_of(payload)) == []
