"""The browser's side of the API: one token, one conversation."""

import hashlib
import json
import uuid

import pytest
from django.test import Client

from apps.conversations.models import Contact, Conversation
from apps.frontdoor.models import InboundEvent
from apps.jobs.models import Job
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory
from tests.frontdoor.conftest import Visitor, assert_problem, make_visitor
from tests.frontdoor.talk import answers, says, settle


def start(chatbot: object, **body: object):
    return Client().post(
        "/api/v1/widget/conversations", {"chatbot": str(chatbot)} | body, content_type="application/json"
    )


@pytest.mark.django_db
def test_a_conversation_begins():
    account = ChannelAccountFactory.create()
    response = start(account.chatbot.public_id)
    assert response.status_code == 201
    answer = response.json()
    conversation = Conversation.objects.get(public_id=answer["conversation"])
    assert conversation.account == account
    assert conversation.access_token_hash == hashlib.sha256(answer["token"].encode()).hexdigest()
    assert len(answer["token"]) == 43
    assert not response.cookies


@pytest.mark.django_db
def test_no_conversation_where_there_is_no_chat():
    no_widget = ChatbotFactory.create()
    for switched_off in ("account", "chatbot", "customer"):
        account = ChannelAccountFactory.create()
        thing = {"account": account, "chatbot": account.chatbot, "customer": account.chatbot.customer}[
            switched_off
        ]
        thing.is_active = False
        thing.save()
        assert_problem(start(account.chatbot.public_id), 404, "chatbot")
    assert_problem(start(no_widget.public_id), 404, "chatbot")
    assert_problem(start(uuid.uuid4()), 404, "chatbot")
    assert_problem(start("x"), 422, "chatbot")
    assert_problem(start(no_widget.public_id, extra=1), 422, "extra")
    assert not Conversation.objects.exists()
    assert not Contact.objects.exists()


def test_a_message_is_taken_in_once(visitor):
    own_id = str(uuid.uuid4())
    first, second = visitor.post("Hello", own_id), visitor.post("Hello", own_id.upper())
    assert first.status_code == second.status_code == 202
    assert first.content == second.content
    event = InboundEvent.objects.get()
    assert first.json() == {"id": str(event.public_id), "status": "accepted"}
    job = Job.objects.get()
    assert job.payload["sender"] == visitor.conversation.contact.external_id
    assert job.lane == f"sender:{visitor.conversation.account_id}:{job.payload['sender']}"


def test_the_same_id_in_another_conversation_is_another_message(visitor):
    own_id = str(uuid.uuid4())
    other_token = start(visitor.conversation.account.chatbot.public_id).json()
    other = Visitor(
        Conversation.objects.get(public_id=other_token["conversation"]), other_token["token"], Client()
    )
    assert visitor.post("Hello", own_id).json()["id"] != other.post("Hello", own_id).json()["id"]
    assert Job.objects.count() == 2


@pytest.mark.usefixtures("remembering")
def test_warm_a_post_costs_two_inserts(visitor, django_assert_num_queries):
    visitor.post()
    with django_assert_num_queries(2):
        visitor.post()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"text": " "}, "text: it is empty"),
        ({"text": "a" * 16_001}, "text"),
        ({"text": "\x00"}, "text"),
        ({"id": "4711"}, "id"),
        ({"account": "x"}, "account"),
    ],
)
def test_wrong_values_are_named(visitor, body, reason):
    assert_problem(visitor.post(**{"text": "Hello"} | body), 422, reason)
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "ü", "\x00"])
def test_a_token_that_opens_nothing(visitor, token):
    visitor.token = token
    for response in (visitor.post(), visitor.get()):
        assert_problem(response, 401, "conversation token")
    assert not InboundEvent.objects.exists()


def test_an_api_key_is_no_token_and_a_token_no_api_key(caller, visitor):
    visitor.token, caller.secret = caller.secret, visitor.token
    assert_problem(visitor.post(), 401)
    assert_problem(caller.post(), 401)


def test_the_token_counts_in_the_header_only(visitor):
    response = Client().get(f"/api/v1/widget/messages?token={visitor.token}&access_token={visitor.token}")
    assert_problem(response, 401)
    client = Client()
    client.cookies["token"] = visitor.token
    assert_problem(client.get("/api/v1/widget/messages"), 401)


def test_a_closed_conversation_takes_no_more(visitor):
    says(visitor.conversation, "Hello")
    Conversation.objects.update(state=Conversation.State.CLOSED)
    assert_problem(visitor.post(), 409, "Start a new one")
    assert len(visitor.get().json()["messages"]) == 1


def test_a_chat_that_is_switched_off(visitor):
    visitor.conversation.account.chatbot.is_active = False
    visitor.conversation.account.chatbot.save()
    assert_problem(visitor.post(), 403, "switched off")
    assert_problem(visitor.get(), 403, "switched off")


def test_the_page_reads_on_after_the_last_message_it_saw(visitor):
    conversation = visitor.conversation
    first = says(conversation, "one")
    answers(conversation, "two", to=first)
    says(conversation, "three")
    everything = visitor.get().json()
    assert [line["text"] for line in everything["messages"]] == ["one", "two", "three"]
    assert everything["more"] is False
    assert everything["messages"][1] | {"created_at": ""} == {
        "id": everything["messages"][1]["id"],
        "position": 2,
        "direction": "out",
        "text": "two",
        "status": "sent",
        "is_fallback": False,
        "created_at": "",
    }
    rest = visitor.get(f"?after={everything['messages'][0]['id']}").json()["messages"]
    assert rest == everything["messages"][1:]
    assert visitor.get(f"?after={everything['messages'][2]['id']}").json()["messages"] == []


def test_what_is_on_its_way_holds_back_what_is_behind_it(visitor):
    conversation = visitor.conversation
    asked = says(conversation, "one")
    pending = answers(conversation, "two", to=asked, status="pending")
    says(conversation, "three")
    assert texts(visitor) == ["one"]
    settle(pending, "sent")
    assert texts(visitor) == ["one", "two", "three"]


def test_what_failed_is_passed_over_until_it_arrives_after_all(visitor):
    conversation = visitor.conversation
    asked = says(conversation, "one")
    failed = answers(conversation, "two", to=asked, status="failed")
    says(conversation, "three")
    assert texts(visitor) == ["one", "three"]
    settle(failed, "sent")
    assert texts(visitor) == ["one", "three", "two"]


def test_long_histories_come_in_pages(visitor):
    for number in range(230):
        says(visitor.conversation, str(number))
    seen, query = [], ""
    while True:
        page = visitor.get(query).json()
        seen += [line["text"] for line in page["messages"]]
        if not page["more"]:
            break
        query = f"?after={page['messages'][-1]['id']}"
    assert seen == [str(number) for number in range(230)]


def test_the_message_of_another_conversation_is_no_place_in_this_one(visitor):
    says(visitor.conversation, "one")
    elsewhere = says(make_visitor().conversation, "secret")
    assert texts(visitor, f"?after={elsewhere.public_id}") == ["one"]
    assert_problem(visitor.get("?after=x"), 422, "after")


def texts(visitor: Visitor, query: str = "") -> list[str]:
    return [line["text"] for line in visitor.get(query).json()["messages"]]


def test_pages_of_other_sites_may_speak_to_the_widget_and_to_nothing_else(visitor):
    client = Client()
    for path in ("conversations", "messages", "events"):
        preflight = client.options(
            f"/api/v1/widget/{path}",
            headers={"origin": "https://shop.example", "access-control-request-method": "POST"},
        )
        assert preflight.status_code == 204
        assert preflight["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in preflight["Access-Control-Allow-Headers"]
        assert "POST" in preflight["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in preflight
    for response in (visitor.get(), visitor.post(text=""), client.get("/api/v1/widget/messages")):
        assert response["Access-Control-Allow-Origin"] == "*"
    for path in ("/api/v1/messages", "/api/docs", "/chat/x"):
        assert "Access-Control-Allow-Origin" not in client.get(path)


def test_no_csrf_token_is_asked_for(visitor):
    strict = Client(enforce_csrf_checks=True)
    body = json.dumps({"id": str(uuid.uuid4()), "text": "Hello"})
    response = strict.post(
        "/api/v1/widget/messages", body, content_type="application/json", headers=visitor.headers
    )
    assert response.status_code == 202
