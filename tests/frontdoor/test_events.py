"""The live stream: what a page gets, in which order, and after what it missed."""

from typing import Any

import pytest
from django.db import OperationalError

from apps.channels.widget import live
from apps.frontdoor import events, hub, lookups, reading
from apps.reliability.redis_client import redis_client
from tests.frontdoor.conftest import Visitor, make_visitor
from tests.frontdoor.tabs import NEVER, Tab, listening, opened, wake
from tests.frontdoor.talk import answers, says, settle
from tests.servers.processes import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def visitor(committed: None) -> Visitor:
    return make_visitor()


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Nobody listens at REDIS_URL; a stream looks by itself, often, so that the test needn't wait."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)


def test_a_page_gets_what_was_said_and_then_what_is_said(loop, visitor, only_wakes):
    asked = says(visitor.conversation, "one")
    tab = opened(loop, visitor)
    assert tab.status == 200
    assert tab.headers["content-type"].startswith("text/event-stream")
    assert tab.headers["access-control-allow-origin"] == "*"
    assert "no-store" in tab.headers["cache-control"]
    assert tab.blocks[0] == {"retry": "2000"}
    tab.wait_for(1)
    wait_until(listening, what="the subscription")
    reply = answers(visitor.conversation, "two\nlines", to=asked)
    wake(visitor.conversation)
    assert tab.wait_for(2)[1]["text"] == "two\nlines"
    block = tab.blocks[-1]
    assert block["id"] == str(reply.public_id)
    assert block["event"] == "message"
    assert tab.messages[1] == visitor.get().json()["messages"][1]


def test_what_is_said_while_it_connects_is_not_lost(loop, visitor, only_wakes, monkeypatch):
    """Between the first look and the subscription nobody can wake the stream; Redis' first word does."""
    says(visitor.conversation, "before")
    after, said = reading.after, []

    def then_somebody_speaks(*place):
        page = after(*place)
        if not said:
            said.append(says(visitor.conversation, "in between"))
        return page

    monkeypatch.setattr(reading, "after", then_somebody_speaks)
    tab = loop.tab(visitor.token)
    tab.wait_for(2)
    assert tab.texts == ["before", "in between"]


def test_it_goes_on_exactly_where_it_stopped(loop, visitor):
    said = [says(visitor.conversation, str(number)) for number in range(250)]
    tab = opened(loop, visitor)
    tab.wait_for(250)
    assert tab.texts == [str(number) for number in range(250)]
    for seen in (0, 99, 100, 249):
        rest = opened(loop, visitor, str(said[seen].public_id))
        expected = [str(number) for number in range(seen + 1, 250)]
        rest.wait_for(len(expected))
        assert rest.texts == expected


@pytest.mark.parametrize("last_seen", ["x", "4711", "47ede97c-bb5d-49fc-9501-92e655988fc0", "\x00"])
def test_a_place_that_is_none_means_the_beginning(loop, visitor, last_seen):
    says(visitor.conversation, "one")
    tab = opened(loop, visitor, last_seen)
    assert tab.wait_for(1)[0]["text"] == "one"


def test_the_message_of_another_conversation_is_no_place(loop, visitor):
    says(visitor.conversation, "one")
    elsewhere = says(make_visitor().conversation, "secret")
    tab = opened(loop, visitor, str(elsewhere.public_id))
    tab.wait_for(1)
    assert tab.texts == ["one"]


def test_what_is_on_its_way_holds_back_what_is_behind_it(loop, visitor, only_wakes):
    conversation = visitor.conversation
    asked = says(conversation, "one")
    pending = answers(conversation, "two", to=asked, status="pending")
    says(conversation, "three")
    tab = opened(loop, visitor)
    tab.wait_for(1)
    wait_until(listening, what="the subscription")
    says(conversation, "four")
    wake(conversation)
    settle(pending, "sent")
    wake(conversation)
    tab.wait_for(4)
    assert tab.texts == ["one", "two", "three", "four"]


def test_what_failed_is_passed_over_until_it_arrives_after_all(loop, visitor, only_wakes):
    conversation = visitor.conversation
    asked = says(conversation, "one")
    lost = answers(conversation, "two", to=asked, status="pending")
    says(conversation, "three")
    tab = opened(loop, visitor)
    tab.wait_for(1)
    wait_until(listening, what="the subscription")
    settle(lost, "failed")
    wake(conversation)
    tab.wait_for(2)
    settle(lost, "sent")
    wake(conversation)
    tab.wait_for(3)
    assert tab.texts == ["one", "three", "two"]
    again = opened(loop, visitor, tab.messages[1]["id"])
    again.wait_for(1)
    assert again.texts == ["two"]


def test_two_tabs_see_the_same_and_a_stranger_nothing(loop, visitor, only_wakes):
    stranger = make_visitor()
    tabs = [opened(loop, visitor), opened(loop, visitor)]
    strange = opened(loop, stranger)
    wait_until(listening, what="the subscription")
    says(visitor.conversation, "one")
    wake(visitor.conversation)
    for tab in tabs:
        tab.wait_for(1)
    says(stranger.conversation, "other")
    wake(stranger.conversation)
    strange.wait_for(1)
    assert strange.texts == ["other"]
    assert [tab.texts for tab in tabs] == [["one"], ["one"]]


def test_without_redis_it_looks_by_itself(loop, visitor, without_redis):
    tab = opened(loop, visitor)
    says(visitor.conversation, "one")
    tab.wait_for(1)
    says(visitor.conversation, "two")
    tab.wait_for(2)
    assert tab.texts == ["one", "two"]


def test_it_listens_again_when_redis_is_back(loop, visitor, monkeypatch):
    """Whoever wakes us may notice later than we do, so for a while the stream looks by itself as well."""
    monkeypatch.setattr(hub, "RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", NEVER)
    tab = opened(loop, visitor)
    wait_until(listening, what="the subscription")
    redis_client().client_kill_filter(_type="pubsub")  # as a restart would
    says(visitor.conversation, "one")  # nobody is woken for this one
    tab.wait_for(1)
    wait_until(listening, what="the subscription")
    says(visitor.conversation, "two")
    wake(visitor.conversation)
    tab.wait_for(2)
    assert tab.texts == ["one", "two"]


def test_a_wake_that_is_none_of_ours_is_ignored(loop, visitor, only_wakes):
    tab = opened(loop, visitor)
    wait_until(listening, what="the subscription")
    for nonsense in ("x", "{}", "[1, null]", "null", '["nobody"]'):
        redis_client().publish(live.TOPIC, nonsense)
    says(visitor.conversation, "one")
    wake(visitor.conversation)
    tab.wait_for(1)


def test_a_heart_beats(loop, visitor, monkeypatch):
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    tab = opened(loop, visitor)
    wait_until(lambda: tab.body.count(b": still here\n\n") >= 3, what="three heartbeats")


def test_a_database_that_goes_away_is_waited_for(loop, visitor, monkeypatch, without_redis):
    tab = opened(loop, visitor)
    asked, really = [], reading.after

    def away(*place):
        asked.append(place)
        raise OperationalError("gone")

    monkeypatch.setattr(reading, "after", away)
    says(visitor.conversation, "one")
    wait_until(lambda: len(asked) >= 2, what="two looks in vain")
    monkeypatch.setattr(reading, "after", really)
    tab.wait_for(1)
    assert not tab.is_complete


def test_a_database_that_is_away_at_the_door(loop, visitor, monkeypatch):
    def away(_):
        raise OperationalError("gone")

    monkeypatch.setattr(lookups, "_find_visitor", away)
    tab = loop.tab(visitor.token)
    tab.wait_for_end()
    assert tab.status == 503
    assert tab.headers["retry-after"]


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "ü", "\x00"])
def test_a_token_that_opens_nothing(loop, committed, token):
    tab = loop.tab(token)
    tab.wait_for_end()
    assert tab.status == 401
    assert tab.headers["content-type"] == "application/problem+json"
    assert tab.headers["access-control-allow-origin"] == "*"
    assert b"conversation token" in tab.body


def test_a_chat_that_is_switched_off(loop, visitor):
    visitor.conversation.account.is_active = False
    visitor.conversation.account.save()
    tab = loop.tab(visitor.token)
    tab.wait_for_end()
    assert tab.status == 403


def test_another_method_and_the_preflight(loop, visitor):
    posted = Tab(loop, visitor.headers, "POST")
    posted.wait_for_end()
    assert (posted.status, posted.headers["allow"]) == (405, "GET")
    preflight = Tab(loop, {}, "OPTIONS")
    preflight.wait_for_end()
    assert preflight.status == 204
    assert "Last-Event-ID" in preflight.headers["access-control-allow-headers"]


def test_a_conversation_has_only_so_many_listeners(loop, visitor):
    tabs = [opened(loop, visitor) for _ in range(hub.MOST_PER_CONVERSATION)]
    refused = loop.tab(visitor.token)
    refused.wait_for_end()
    assert refused.status == 429
    tabs[0].leave()
    assert opened(loop, visitor).status == 200


def test_it_ends_by_itself_after_a_while_so_that_the_token_is_checked_again(loop, visitor, monkeypatch):
    monkeypatch.setattr(events, "LONGEST_STREAM_SECONDS", 0.2)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    tab = opened(loop, visitor)
    tab.wait_for_end()
    assert tab.is_complete


def test_nothing_is_left_when_the_last_page_closes(loop, visitor):
    tabs = [opened(loop, visitor) for _ in range(5)]
    for tab in tabs:
        tab.leave()
    assert not loop.tasks()
    assert not events.hub._listeners


def test_three_hundred_pages(loop, committed, only_wakes):
    visitors = [make_visitor() for _ in range(300)]
    tabs = [loop.tab(visitor.token) for visitor in visitors]
    wait_until(lambda: all(tab.body for tab in tabs), 30, "all pages to be open")
    wait_until(listening, what="the subscription")
    for visitor in visitors:
        says(visitor.conversation, visitor.token)
    live.wake([str(visitor.conversation.public_id) for visitor in visitors])
    for visitor, tab in zip(visitors, tabs, strict=True):
        tab.wait_for(1, 30)
        assert tab.texts == [visitor.token]
