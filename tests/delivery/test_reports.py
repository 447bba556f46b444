"""What providers report of our messages, from their webhook to the message: early, twice, out of order, of others."""

import asyncio
import itertools
import json

import pytest
from django.db import transaction
from django.test import Client

from apps.channels import registry as channels
from apps.channels.base import Sent
from apps.conversations.models import ChannelAccount, Message
from apps.conversations.services import NewMessage
from apps.frontdoor import inbox, lookups
from apps.frontdoor.models import InboundEvent
from apps.jobs import desk, life
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.settling import settle
from apps.jobs.task import get_task
from apps.reliability.errors import OutcomeUnknown
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory, added
from tests.factories.jobs import WorkerFactory, make_due
from tests.fakes.plugin import ReportingChannel
from tests.frontdoor.conftest import InThisThread
from tests.jobs.running import claim, run

pytestmark = pytest.mark.django_db
TASK = "delivery.send_widget"
REPORT = "delivery.apply_status"
Status = Message.Status


class Messenger(ReportingChannel):
    """In the widget's place: a messenger whose provider reports."""

    def __init__(self):
        self.sent, self.errors, self.announced = [], [], []

    async def send(self, outgoing):
        self.sent.append(outgoing)
        if self.errors:
            raise self.errors.pop(0)
        return Sent(f"wamid.{outgoing.text}")

    def announce(self, conversation_ids):
        self.announced.append(list(conversation_ids))


class Provider:
    """Calls our webhook, each event with an id of its own."""

    def __init__(self, account):
        self.path = f"/webhooks/widget/{account.public_id}"
        self.number = itertools.count(1)

    def reports(self, *events, event_id=None):
        body = {"events": [{"id": event_id or f"event-{next(self.number)}", **event} for event in events]}
        headers = {ReportingChannel.HEADER: "t-0815"}
        answer = Client().post(self.path, json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        assert answer.json() == {"accepted": len(events)}

    def says(self, status, message="wamid.Hello", **more):
        self.reports({"status": status, "message": message, **more})


@pytest.fixture
def messenger(monkeypatch):
    fake = Messenger()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    lookups.forget()
    return fake


@pytest.fixture
def account(messenger):
    return ChannelAccountFactory(
        credentials={"token": "t-0815"}, on_unknown=ChannelAccount.OnUnknown.ASK_PERSON
    )


@pytest.fixture
def provider(account, monkeypatch):
    monkeypatch.setattr(inbox, "group", InThisThread())
    return Provider(account)


@pytest.fixture
def message(account):
    conversation = ConversationFactory(contact=ContactFactory(account=account, external_id="person-9"))
    with transaction.atomic():
        [made] = added([NewMessage(conversation_id=conversation.pk, direction="out", text="Hello")])
    return made


def send(message):
    enqueue(TASK, {"message": message.pk}, lane=f"send:{message.conversation_id}")


def status(message):
    return Message.objects.get(pk=message.pk).status


def handle():
    """Do what is due, again and again, as if time passed."""
    drain()
    while Job.objects.filter(status="retry").exists():
        make_due()
        drain()


def test_a_status_moves_on_and_never_back(messenger, provider, message):
    send(message)
    drain()
    assert status(message) == Status.SENT
    for said, is_now in [
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("read", "read"),
        ("delivered", "read"),
        ("failed", "read"),
    ]:
        provider.says(said)
        drain()
        assert status(message) == is_now
    assert not Job.objects.dead_letters().exists()


@pytest.mark.parametrize("order", [*itertools.permutations(["sent", "delivered", "read"])])
def test_in_any_order_and_in_one_call(messenger, provider, message, order):
    send(message)
    drain()
    provider.reports(*({"status": one, "message": "wamid.Hello"} for one in order))
    drain()
    assert status(message) == Status.READ


def test_the_same_event_twice_is_taken_in_once(messenger, provider, message):
    send(message)
    drain()
    for _ in range(3):
        provider.reports({"status": "delivered", "message": "wamid.Hello"}, event_id="event-1")
    assert InboundEvent.objects.count() == Job.objects.filter(task=REPORT).count() == 1


def test_one_that_is_quicker_than_our_own_commit_is_not_lost(messenger, provider, message):
    provider.says("delivered")
    drain()
    early = Job.objects.get(task=REPORT)
    assert (early.status, early.error_code) == ("retry", "message_unknown")
    send(message)
    drain()
    assert status(message) == Status.SENT
    make_due()
    drain()
    assert status(message) == Status.DELIVERED
    assert Job.objects.get(task=REPORT).status == "completed"


def test_one_of_somebody_elses_message_ends_with_the_reason_and_bothers_nobody(messenger, provider, message):
    provider.says("delivered", "wamid.of somebody else")
    handle()
    job = Job.objects.get(task=REPORT)
    assert (job.status, job.failure_reason, job.error_code) == ("failed", "exhausted", "message_unknown")
    assert job.closed_why == "no message of ours has this id"
    assert job.attempts == 7
    assert not Job.objects.dead_letters().exists()


def test_another_accounts_message_with_the_same_id_is_not_touched(messenger, provider, message):
    theirs = ConversationFactory()
    with transaction.atomic():
        [other] = added([NewMessage(conversation_id=theirs.pk, direction="out", text="Hello")])
    send(other)
    drain()
    provider.says("read")
    provider.says("read", "", echo=str(other.public_id))
    handle()
    assert status(other) == Status.SENT


def test_what_the_provider_could_not_deliver_fails_with_its_words(messenger, provider, message):
    send(message)
    drain()
    provider.says("failed", code="131026", error="Message undeliverable")
    drain()
    found = Message.objects.get(pk=message.pk)
    assert (found.status, found.error_code, found.error) == ("failed", "131026", "Message undeliverable")
    provider.says("sent")  # it was on its way for longer
    drain()
    assert status(message) == Status.FAILED
    provider.says("read")
    drain()
    assert status(message) == Status.READ


def test_what_nobody_can_use_is_kept_and_nothing_follows(messenger, provider, message):
    provider.says("warned")
    provider.says("sent", "")
    provider.says("sent", "", echo="not one of our ids")
    assert InboundEvent.objects.count() == 3
    assert not Job.objects.exists()


def test_ids_of_any_length_and_character(messenger, provider, message):
    provider.says("read", "x" * 300)
    provider.says("read", "a\x00b")
    handle()
    assert {job.status for job in Job.objects.all()} == {"failed"}


class TestUnknownOutcomes:
    @pytest.fixture
    def cut_off(self, messenger, message):
        """The send was cut off after it may have arrived: a dead letter, and we never got the provider's id."""
        messenger.errors.append(OutcomeUnknown("no answer", code="cut_off"))
        send(message)
        drain()
        letter = Job.objects.dead_letters().get()
        assert (letter.failure_reason, status(message)) == ("unknown", "failed")
        return letter

    @pytest.mark.parametrize("said", ["sent", "delivered", "read"])
    def test_a_report_that_echoes_our_id_resolves_it(
        self, messenger, provider, message, cut_off, said, django_capture_on_commit_callbacks
    ):
        provider.says(said, "wamid.never seen", echo=str(message.public_id))
        with django_capture_on_commit_callbacks(execute=True):
            drain()
        found = Message.objects.get(pk=message.pk)
        assert (found.status, found.provider_message_id, found.error) == (said, "wamid.never seen", "")
        cut_off.refresh_from_db()
        assert cut_off.closed_by == "provider"
        assert cut_off.closed_why == "it arrived: reported by the provider"
        assert not Job.objects.dead_letters().exists()
        assert messenger.announced[-1] == [str(message.conversation.public_id)]
        provider.says("read", "wamid.never seen")  # now its id is known
        drain()
        assert status(message) == Status.READ
        assert len(messenger.sent) == 1

    def test_without_the_echo_a_person_has_to_look(self, provider, message, cut_off):
        provider.says("delivered", "wamid.never seen")
        handle()
        assert status(message) == Status.FAILED
        assert [job.pk for job in Job.objects.dead_letters()] == [cut_off.pk]

    def test_that_it_failed_leaves_it_to_a_person_and_says_why(self, provider, message, cut_off):
        provider.says("failed", "wamid.x", echo=str(message.public_id), code="131026", error="Undeliverable")
        drain()
        assert status(message) == Status.FAILED
        assert [job.pk for job in Job.objects.dead_letters()] == [cut_off.pk]

    def test_a_report_while_the_call_is_still_waiting_leaves_no_dead_letter(
        self, messenger, provider, message
    ):
        """The provider is quicker than our time limit."""
        messenger.errors.append(OutcomeUnknown("no answer", code="cut_off"))
        provider.says("delivered", "wamid.x", echo=str(message.public_id))
        send(message)
        task, worker = get_task(TASK), WorkerFactory()
        (ready,), _ = life.begin(task, claim(TASK, worker=worker.pk))
        run(claim(REPORT, worker=worker.pk), worker=worker.pk, task=REPORT)
        assert status(message) == Status.DELIVERED
        settle(task, [asyncio.run(life.call_async(task, ready))], worker=worker.pk)
        job = Job.objects.get(task=TASK)
        assert (job.status, job.failure_reason, job.closed_by) == ("failed", "unknown", "provider")
        assert status(message) == Status.DELIVERED

    def test_sent_again_is_spared_where_the_report_was_quicker(self, messenger, provider, account, message):
        account.on_unknown = ChannelAccount.OnUnknown.SEND_AGAIN
        account.save()
        messenger.errors.append(OutcomeUnknown("no answer", code="cut_off"))
        job = enqueue(TASK, {"message": message.pk}, lane=f"send:{message.conversation_id}")
        worker = WorkerFactory()
        run(claim(TASK, worker=worker.pk), worker=worker.pk, task=TASK)
        assert Job.objects.get(pk=job.id).status == "retry"
        provider.says("delivered", "wamid.x", echo=str(message.public_id))
        run(claim(REPORT, worker=worker.pk), worker=worker.pk, task=REPORT)
        make_due()
        drain()
        assert Job.objects.get(pk=job.id).status == "completed"
        assert len(messenger.sent) == 1
        assert status(message) == Status.DELIVERED

    def test_a_person_who_looked_says_that_it_arrived(
        self, messenger, message, cut_off, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            desk.arrived(job=cut_off, by="ada", why="it is in the chat")
        assert status(message) == Status.SENT
        cut_off.refresh_from_db()
        assert (cut_off.closed_by, cut_off.closed_why) == ("ada", "it arrived: it is in the chat")
        assert messenger.announced == [[str(message.conversation.public_id)]]
        with pytest.raises(desk.NotADeadLetter):
            desk.arrived(job=cut_off, by="bob")

    def test_only_what_is_unknown_can_have_arrived(self, cut_off):
        Job.objects.filter(pk=cut_off.pk).update(failure_reason="permanent")
        cut_off.refresh_from_db()
        with pytest.raises(ValueError, match="failed as permanent"):
            desk.arrived(job=cut_off, by="ada")
        assert Job.objects.dead_letters().exists()
