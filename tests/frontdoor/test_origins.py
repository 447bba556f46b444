"""Which pages may speak for a chatbot: the same answer at every door of the widget."""

import uuid
from typing import Any

import pytest
from django.test import Client

from apps.conversations.services import start_conversation
from apps.frontdoor import origins
from apps.frontdoor.problems import Problem
from tests.factories.conversations import ChannelAccountFactory
from tests.frontdoor.conftest import assert_problem

SHOP = "https://shop.example"
ADD_IT = "allowed origins"


@pytest.fixture
def account(db: None) -> Any:
    return ChannelAccountFactory.create(chatbot__allowed_origins=[SHOP])


def doors(account: Any, origin: str | None) -> list[Any]:
    """Every operation of the widget, asked by a page of this origin."""
    _, token = start_conversation(account_id=account.pk)
    headers = {"Authorization": f"Bearer {token}", "Host": "testserver"} | (
        {"Origin": origin} if origin is not None else {}
    )
    client, api, chatbot = Client(headers=headers), "/api/v1/widget", str(account.chatbot.public_id)
    message = {"id": str(uuid.uuid4()), "text": "Hello"}
    return [
        client.get(f"{api}/chatbots/{chatbot}"),
        client.post(f"{api}/conversations", {"chatbot": chatbot}, content_type="application/json"),
        client.post(f"{api}/messages", message, content_type="application/json"),
        client.get(f"{api}/messages"),
    ]


@pytest.mark.parametrize("origin", [SHOP, None, "http://testserver"])
def test_pages_that_may(account, origin):
    """Those on the list, our own, and those who send no origin at all."""
    assert [response.status_code for response in doors(account, origin)] == [200, 201, 202, 200]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://shop.example", "http://testserver:81"]
)
def test_pages_that_may_not_are_told_what_to_add_where(account, origin):
    for response in doors(account, origin):
        detail = assert_problem(response, 403, ADD_IT)
        assert "evil" not in detail
        assert response["Access-Control-Allow-Origin"] == "*"


def test_an_empty_list_lets_everybody_in(account):
    account.chatbot.allowed_origins = []
    account.chatbot.save()
    assert [response.status_code for response in doors(account, "https://evil.example")] == [
        200,
        201,
        202,
        200,
    ]


def test_a_preflight_is_answered_since_it_knows_no_chatbot(account):
    response = Client().options("/api/v1/widget/messages", headers={"Origin": "https://evil.example"})
    assert response.status_code == 204
    assert "Authorization" in response["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("origin", "host", "public_url", "https", "expected"),
    [
        ("https://chat.example", "chat.example", "", True, True),
        ("https://chat.example", "chat.example:443", "", True, True),
        ("http://chat.example", "chat.example", "", True, False),
        ("http://chat.example", "chat.example", "", False, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "", False, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8001", "", False, False),
        ("https://chat.example", "events.example", "https://chat.example", True, True),
        ("https://other.example", "events.example", "https://chat.example", True, False),
        ("http://rebound.example", "rebound.example", "", False, False),
        ("null", "", "", False, False),
        ("https://[", "[", "", False, False),
    ],
)
def test_our_own_chat_page(settings, origin, host, public_url, https, expected):
    settings.PUBLIC_URL, settings.HTTPS = public_url, https
    settings.ALLOWED_HOSTS = ["chat.example", "events.example", "127.0.0.1"]
    assert origins.is_ours(origin, host) is expected
    if not expected:
        with pytest.raises(Problem):
            origins.check(origin, host, [SHOP])


def test_what_the_widget_asks_first(account, settings):
    settings.EVENTS_URL = "https://events.example.com"
    answer = Client().get(f"/api/v1/widget/chatbots/{account.chatbot.public_id}").json()
    assert answer == {
        "name": account.chatbot.name,
        "greeting": account.chatbot.greeting,
        "events": "https://events.example.com/api/v1/widget/events",
    }
    assert_problem(Client().get(f"/api/v1/widget/chatbots/{uuid.uuid4()}"), 404, "chatbot")
