"""POST /api/v1/messages: what gets in, and how often."""

import json
import uuid

import pytest

from apps.frontdoor.models import InboundEvent
from apps.jobs.models import IdempotencyKey, Job
from tests.factories.conversations import ChannelAccountFactory
from tests.frontdoor.conftest import assert_problem, make_caller


def test_a_message_becomes_a_row_and_a_job(caller):
    response = caller.post()
    assert response.status_code == 202
    answer = response.json()
    assert answer == {"id": answer["id"], "status": "accepted"}
    event = InboundEvent.objects.get()
    assert str(event.public_id) == answer["id"]
    assert event.sender == "ada"
    assert event.payload == {"text": "When do you open?", "name": "Ada"}
    job = Job.objects.get()
    assert job.task == "pipeline.receive_message"
    assert job.queue == "incoming-messages"
    assert job.lane == f"sender:{caller.account.pk}:ada"
    assert job.customer_id == caller.customer.pk
    assert job.priority == caller.customer.priority
    assert job.correlation_id == answer["id"]
    assert job.payload == {
        "account": caller.account.pk,
        "message_id": answer["id"],
        "sender": "ada",
        "text": "When do you open?",
        "sender_name": "Ada",
        "received_at": event.received_at.isoformat(),
        "opens": False,
    }


def test_the_key_may_come_in_a_header_of_its_own(caller):
    response = caller.client.post(
        "/api/v1/messages",
        json.dumps(caller.body()),
        content_type="application/json",
        headers={"x-api-key": caller.secret},
    )
    assert response.status_code == 202


def test_the_plan_decides_the_priority(caller):
    caller.customer.plan.monthly_price = 100
    caller.customer.plan.save()
    assert caller.post().status_code == 202
    assert Job.objects.get().priority == 1


def test_a_long_contact_id_still_fits_the_lane(caller):
    long_id = "ü" * 255
    assert caller.post(caller.body(contact={"id": long_id})).status_code == 202
    assert caller.post(caller.body(contact={"id": long_id})).status_code == 202
    assert caller.post(caller.body(contact={"id": "ü" * 254 + "o"})).status_code == 202
    lanes = list(Job.objects.order_by("pk").values_list("lane", flat=True))
    assert all(len(lane) <= 200 for lane in lanes)
    assert lanes[0] == lanes[1] != lanes[2]


def test_text_of_any_script_comes_through(caller):
    text = "Grüße 👋🏽 مرحبا\n\t" + "𝒳" * 100
    assert caller.post(caller.body(text=text)).status_code == 202
    assert InboundEvent.objects.get().payload["text"] == text
    assert Job.objects.get().payload["text"] == text


def test_the_longest_text(caller):
    assert caller.post(caller.body(text="👋" * 16_000)).status_code == 202
    assert_problem(caller.post(caller.body(text="a" * 16_001)), 422, "text", "16000")


@pytest.mark.usefixtures("remembering")
def test_warm_a_post_costs_two_inserts_and_three_with_a_key(caller, django_assert_num_queries):
    assert caller.post().status_code == 202
    with django_assert_num_queries(2) as captured:
        assert caller.post().status_code == 202
    assert all("INSERT INTO" in query["sql"] for query in captured)
    with django_assert_num_queries(3):
        assert caller.post(idempotency_key="one").status_code == 202


def test_without_a_key_the_same_body_is_two_messages(caller):
    first, second = caller.post().json(), caller.post().json()
    assert first["id"] != second["id"]
    assert Job.objects.count() == 2


def test_the_same_key_and_body_get_the_same_answer(caller):
    first = caller.post(idempotency_key="order-1")
    reordered = json.dumps(dict(reversed(caller.body().items())), indent=2).encode()
    second = caller.post(reordered, idempotency_key="order-1")
    assert first.status_code == second.status_code == 202
    assert first.content == second.content
    assert InboundEvent.objects.count() == Job.objects.count() == IdempotencyKey.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(caller):
    caller.post(idempotency_key="order-1")
    assert_problem(caller.post(caller.body(text="Other"), idempotency_key="order-1"), 422, "Idempotency-Key")
    assert InboundEvent.objects.count() == Job.objects.count() == 1


def test_a_key_belongs_to_its_customer(caller):
    other = make_caller()
    assert caller.post(idempotency_key="order-1").json() != other.post(idempotency_key="order-1").json()
    assert Job.objects.count() == 2


def test_a_key_holds_for_all_accounts_of_a_customer(caller):
    account = ChannelAccountFactory.create(chatbot=caller.account.chatbot)
    caller.post(idempotency_key="order-1")
    response = caller.post(caller.body(account=str(account.public_id)), idempotency_key="order-1")
    assert_problem(response, 422, "Idempotency-Key")


def test_a_key_is_free_again_after_a_day(caller, time_machine_at):
    with time_machine_at(hours=0):
        first = caller.post(idempotency_key="order-1").json()
    with time_machine_at(hours=23.9):
        assert caller.post(idempotency_key="order-1").json() == first
    with time_machine_at(hours=24.1):
        second = caller.post(caller.body(text="Another day"), idempotency_key="order-1")
        assert second.status_code == 202
        assert second.json() != first
        assert caller.post(caller.body(text="Another day"), idempotency_key="order-1").json() == second.json()
    assert Job.objects.count() == 2
    assert IdempotencyKey.objects.count() == 1


def test_a_refused_request_does_not_use_its_key_up(caller):
    caller.post(caller.body(text=""), idempotency_key="order-1")
    caller.post(caller.body(account=str(uuid.uuid4())), idempotency_key="order-1")
    assert not IdempotencyKey.objects.exists()
    assert caller.post(idempotency_key="order-1").status_code == 202


def test_an_odd_key_is_refused(caller):
    for key in ("", "k" * 256, "tab\there", "ключ"):
        assert_problem(caller.post(idempotency_key=key), 400, "Idempotency-Key", "255")
    assert caller.post(idempotency_key="k" * 255).status_code == 202
    assert Job.objects.count() == 1
