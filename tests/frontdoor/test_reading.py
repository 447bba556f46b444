"""GET of messages and conversations: what programs may see, and when."""

import uuid

import pytest

from apps.conversations.models import Conversation
from tests.factories.conversations import ContactFactory, ConversationFactory
from tests.frontdoor.conftest import assert_problem, make_caller
from tests.frontdoor.talk import answers, says, settle


@pytest.fixture
def conversation(caller) -> Conversation:
    return ConversationFactory.create(contact=ContactFactory.create(account=caller.account))


def test_before_it_was_handled_it_is_accepted(caller):
    posted = caller.post().json()
    found = caller.get(f"/messages/{posted['id']}").json()
    assert found.pop("created_at")
    assert found == {
        "id": posted["id"],
        "conversation": None,
        "direction": "in",
        "text": "When do you open?",
        "status": "accepted",
        "reply": None,
    }


def test_then_it_is_received(caller, conversation):
    posted = caller.post().json()
    says(conversation, "When do you open?", public_id=posted["id"])
    found = caller.get(f"/messages/{posted['id']}").json()
    assert found["status"] == "received"
    assert found["conversation"] == str(conversation.public_id)
    assert found["reply"] is None


def test_the_reply_and_how_far_it_got(caller, conversation):
    asked = says(conversation, "When do you open?")
    reply = answers(conversation, "At nine.", to=asked, status="pending")
    for status in ("pending", "failed"):
        settle(reply, status)
        found = caller.get(f"/messages/{asked.public_id}").json()["reply"]
        assert found["status"] == status
    assert found["id"] == str(reply.public_id)
    assert found["text"] == "At nine."
    assert found["is_fallback"] is False


def test_messages_in_a_row_share_an_answer_and_later_ones_have_their_own(caller, conversation):
    asked = [says(conversation, text) for text in ("Hello?", "Anybody?", "When do you open?")]
    shared = answers(conversation, "At nine.", to=asked[2])
    later = says(conversation, "And on Sundays?")
    answers(conversation, "A notice that answers nothing.")
    own = answers(conversation, "Never.", to=later)
    answers(conversation, "Really never.", to=later)
    for message in asked:
        assert caller.get(f"/messages/{message.public_id}").json()["reply"]["id"] == str(shared.public_id)
    assert caller.get(f"/messages/{later.public_id}").json()["reply"]["id"] == str(own.public_id)


def test_a_message_to_the_person_can_be_asked_for_too(caller, conversation):
    message = answers(conversation, "At nine.", to=says(conversation, "When?"))
    found = caller.get(f"/messages/{message.public_id}").json()
    assert (found["direction"], found["status"], found["reply"]) == ("out", "sent", None)


def test_what_belongs_to_others_is_not_found(caller, conversation):
    stranger = make_caller()
    posted = caller.post().json()["id"]
    said = says(conversation, "Hello").public_id
    for path in (f"/messages/{posted}", f"/messages/{said}", f"/conversations/{conversation.public_id}"):
        assert caller.get(path).status_code == 200
        mine = stranger.get(path)
        assert_problem(mine, 404)
        unknown = stranger.get(f"{path.rsplit('/', 1)[0]}/{uuid.uuid4()}")
        assert mine.content == unknown.content


def test_a_conversation_is_read_page_by_page_from_its_end(caller, conversation):
    for number in range(1, 8):
        says(conversation, str(number))
    path = f"/conversations/{conversation.public_id}"
    pages, before = [], ""
    while True:
        page = caller.get(f"{path}?limit=3{before}").json()
        pages.append([line["text"] for line in page["messages"]])
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert pages == [["5", "6", "7"], ["2", "3", "4"], ["1"]]
    assert page["state"] == "open"
    assert page["id"] == str(conversation.public_id)
    assert page["last_message_at"]


def test_an_empty_conversation(caller, conversation):
    page = caller.get(f"/conversations/{conversation.public_id}").json()
    assert page["messages"] == []
    assert page["next"] is None
    assert page["last_message_at"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "before=-1", "before=x", f"before={10**20}"]
)
def test_odd_pages_are_refused(caller, conversation, query):
    assert_problem(caller.get(f"/conversations/{conversation.public_id}?{query}"), 422, query.split("=")[0])


def test_questions_cost_the_same_whatever_was_said(caller, conversation, django_assert_max_num_queries):
    asked = [says(conversation, "Hello") for _ in range(20)]
    answers(conversation, "Yes?", to=asked[-1])
    caller.get("/messages/none")
    with django_assert_max_num_queries(3):  # the key, where it is not remembered, the message, the reply
        caller.get(f"/messages/{asked[0].public_id}")
    with django_assert_max_num_queries(3):
        caller.get(f"/conversations/{conversation.public_id}?limit=100")
