"""How often a visitor may knock, and who counts as one visitor."""

import uuid
from typing import Any

import pytest
from django.test import Client, RequestFactory
from structlog.testing import capture_logs

from apps.conversations.models import Conversation
from apps.frontdoor import rates
from apps.frontdoor.models import InboundEvent
from apps.reliability import limiter
from tests.factories.conversations import ChannelAccountFactory
from tests.frontdoor.conftest import assert_problem, make_visitor
from tests.servers.processes import free_port


@pytest.fixture(autouse=True)
def _say_again() -> None:
    rates._say_once.cache_clear()


def start(chatbot: Any, **where: str) -> Any:
    return Client(**where).post(
        "/api/v1/widget/conversations", {"chatbot": str(chatbot)}, content_type="application/json"
    )


def test_messages_of_a_conversation(visitor, settings):
    settings.WIDGET_MESSAGES_PER_MINUTE, settings.WIDGET_MESSAGES_BURST = 2, 3
    for number in range(3):
        assert visitor.post(str(number)).status_code == 202
    refused = visitor.post("too many")
    assert_problem(refused, 429, "Too many messages")
    assert 1 <= int(refused["Retry-After"]) <= 30
    assert "Retry-After" in refused["Access-Control-Expose-Headers"]
    assert InboundEvent.objects.count() == 3
    assert make_visitor().post("another visitor").status_code == 202
    assert visitor.get().status_code == 200


def test_conversations_of_an_address(db, settings):
    settings.WIDGET_STARTS_PER_MINUTE = 2
    chatbot = ChannelAccountFactory.create().chatbot.public_id
    for _ in range(2):
        assert start(chatbot, REMOTE_ADDR="192.0.2.1").status_code == 201
    refused = start(chatbot, REMOTE_ADDR="192.0.2.1")
    assert_problem(refused, 429, "Too many conversations")
    assert 1 <= int(refused["Retry-After"]) <= 30
    assert start(chatbot, REMOTE_ADDR="192.0.2.2").status_code == 201
    assert Conversation.objects.count() == 3


def test_nought_is_no_limit(visitor, settings):
    settings.WIDGET_MESSAGES_PER_MINUTE = settings.WIDGET_STARTS_PER_MINUTE = 0
    assert {visitor.post(str(number)).status_code for number in range(30)} == {202}
    chatbot = visitor.conversation.account.chatbot.public_id
    assert {start(chatbot).status_code for _ in range(40)} == {201}


def test_without_redis_everybody_may(visitor, settings, monkeypatch):
    settings.WIDGET_MESSAGES_BURST = 1
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(limiter, "_outage", limiter.Outage("limiter", "…"))
    assert {visitor.post(str(uuid.uuid4())).status_code for _ in range(3)} == {202}


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", "", "", "192.0.2.1"),
        ("127.0.0.1", "", "", "127.0.0.1"),
        ("93.184.216.34", "198.51.100.7", "", "93.184.216.34"),  # a visitor writes what it likes
        ("10.0.0.1", "198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:4711", "10.0.0.0/8", "198.51.100.7"),
        ("10.0.0.1", "unknown", "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.0/8", "10.0.0.1"),
        ("192.0.2.1", "198.51.100.7", "10.0.0.0/8", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "", "192.0.2.1"),
        ("::1", "[2001:db8:1:2::9]:443", "::1", "2001:db8:1:2::/64"),
        ("", "198.51.100.7", "10.0.0.0/8", "198.51.100.7"),  # a Unix socket: only a proxy of ours gets there
        ("10.0.0.1", "198.51.100.7", "", ""),  # a proxy that nobody named: all would share its limit
        ("", "", "", ""),
    ],
)
def test_who_counts_as_one_visitor(settings, peer, forwarded, trusted, expected):
    settings.TRUSTED_PROXIES = [trusted] if trusted else []
    request = RequestFactory().post("/", headers={"X-Forwarded-For": forwarded} if forwarded else {})
    request.META["REMOTE_ADDR"] = peer
    assert rates.address_of(request) == expected


def test_a_proxy_that_nobody_named_is_said_once(settings):
    request = RequestFactory().post("/", headers={"X-Forwarded-For": "198.51.100.7"})
    with capture_logs() as logs:
        rates.address_of(request)
        rates.address_of(request)
    assert [entry["event"] for entry in logs] == ["forwarded_addresses_are_not_trusted"]
    assert "198.51" not in str(logs)
