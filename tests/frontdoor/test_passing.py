"""What passes by on the live stream: typing and drafts, to the pages of that conversation, beside its messages."""

import asyncio
import json
from typing import Any

import pytest

from apps.channels.widget import drafts
from apps.frontdoor import events, hub, reading
from apps.frontdoor.hub import Listener
from apps.reliability.redis_client import redis_client
from tests.frontdoor.conftest import Visitor, make_visitor
from tests.frontdoor.tabs import Tab, listening, opened, wake
from tests.frontdoor.talk import answers, says
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def visitor(committed: None) -> Visitor:
    return make_visitor()


def pass_by(conversation: Any, event: str, **data: Any) -> None:
    redis_client().publish(drafts.TOPIC, drafts.line(str(conversation.public_id), event, data))


def passing(tab: Tab) -> list[tuple[str, Any]]:
    return [
        (block["event"], json.loads(block["data"]))
        for block in tab.blocks
        if block.get("event") in ("typing", "draft")
    ]


def wait_for(tab: Tab, number: int) -> list[tuple[str, Any]]:
    wait_until(lambda: len(passing(tab)) >= number, what=f"{number} events that pass by")
    return passing(tab)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every look into the database."""
    found: list[Any] = []
    really = reading.after

    def after(*place: Any) -> Any:
        found.append(place)
        return really(*place)

    monkeypatch.setattr(reading, "after", after)
    return found


def test_typing_and_drafts_reach_the_pages_of_their_conversation_only(loop, visitor, only_wakes, reads):
    strange = opened(loop, make_visitor())
    tabs = [opened(loop, visitor), opened(loop, visitor)]
    wait_until(listening, what="the subscription")
    wake(visitor.conversation)  # nothing is looked for any more after what this one brings
    asked = says(visitor.conversation, "one")
    wake(visitor.conversation)
    for tab in tabs:
        tab.wait_for(1)
    looks = len(reads)
    pass_by(visitor.conversation, "typing", seconds=7)
    pass_by(visitor.conversation, "draft", draft="d", offset=0, text="He\nllo\u2028")
    for tab in tabs:
        assert wait_for(tab, 2) == [
            ("typing", {"seconds": 7}),
            ("draft", {"draft": "d", "offset": 0, "text": "He\nllo\u2028"}),
        ]
        assert not [block for block in tab.blocks if block.get("event") != "message" and "id" in block]
    assert len(reads) == looks
    assert passing(strange) == []
    assert tabs[0].messages[-1]["id"] == str(asked.public_id)


def test_messages_come_all_the_same(loop, visitor, only_wakes):
    tab = opened(loop, visitor)
    wait_until(listening, what="the subscription")
    for number in range(5):
        pass_by(visitor.conversation, "draft", draft=str(number), offset=0, text="…")
        answers(visitor.conversation, str(number), to=None)
        wake(visitor.conversation)
    tab.wait_for(5)
    assert tab.texts == ["0", "1", "2", "3", "4"]


def test_a_stream_that_is_told_much_still_looks_by_itself(loop, visitor, monkeypatch):
    """Each event that passes by wakes the stream; its own look must not be put off by them."""
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.3)
    tab = opened(loop, visitor)
    wait_until(listening, what="the subscription")
    says(visitor.conversation, "one")  # and nobody wakes

    def until_it_is_there() -> bool:
        pass_by(visitor.conversation, "typing", seconds=7)
        return bool(tab.messages)

    wait_until(until_it_is_there, what="the message")
    assert passing(tab)


@pytest.mark.parametrize("payload", ["x", "typing {}", "nobody typing {}", "{} draft []"])
def test_what_is_not_ours_is_ignored(loop, visitor, only_wakes, payload):
    tab = opened(loop, visitor)
    wait_until(listening, what="the subscription")
    redis_client().publish(drafts.TOPIC, payload)
    pass_by(visitor.conversation, "typing", seconds=1)
    assert wait_for(tab, 1) == [("typing", {"seconds": 1})]


def test_a_listener_that_is_too_slow_loses_some_and_keeps_little():
    async def slow() -> Listener:
        listener = Listener("one")
        for number in range(hub.MOST_PASSING * 3 + 2):
            listener.pass_on(f"{number} ")
        return listener

    listener = asyncio.run(slow())
    assert listener.woken.is_set()
    assert listener.take_passing().split() == ["90", "91"]
    assert listener.take_passing() == ""


def test_a_page_that_may_not_is_refused(loop, visitor):
    chatbot = visitor.conversation.account.chatbot
    chatbot.allowed_origins = ["https://shop.example"]
    chatbot.save()
    tab = loop.tab(visitor.token, Origin="https://evil.example", Host="testserver")
    tab.wait_for_end()
    assert tab.status == 403
    assert b"allowed origins" in tab.body
    assert tab.headers["access-control-allow-origin"] == "*"
    for origin in ("https://shop.example", "http://testserver"):
        assert loop.tab(visitor.token, Origin=origin, Host="testserver").status in (0, 200)
