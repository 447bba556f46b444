"""Whether a person can be reached at all: closed, open again, moved; and accounts that are switched off or gone."""

import pytest
from django.db import transaction

from apps.channels import registry as channels
from apps.channels.base import Sent
from apps.channels.widget.channel import WidgetChannel
from apps.conversations import facts
from apps.conversations.models import ChannelAccount, Contact, Message
from apps.conversations.services import NewMessage, Sender, close_contacts, move_contact, open_conversations
from apps.jobs.drain import drain
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.reliability.errors import PermanentError
from tests.factories.conversations import ContactFactory, ConversationFactory, added
from tests.factories.jobs import state

pytestmark = pytest.mark.django_db
TASK = "delivery.send_widget"


class Messenger(WidgetChannel):
    repeatable = False
    closing_codes = frozenset({"blocked"})

    def __init__(self):
        self.sent, self.errors, self.moved_to = [], [], ""

    async def send(self, outgoing):
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((outgoing.recipient, outgoing.text))
        return Sent("p", moved_to=self.moved_to)

    def announce(self, conversation_ids):
        """Nobody listens."""


@pytest.fixture
def messenger(monkeypatch):
    fake = Messenger()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    return fake


@pytest.fixture
def conversation():
    return ConversationFactory(contact=ContactFactory(external_id="person-9", name="Ada"))


def send(conversation, *texts):
    with transaction.atomic():
        messages = added(
            [NewMessage(conversation_id=conversation.pk, direction="out", text=t) for t in texts]
        )
    return [enqueue(TASK, {"message": message.pk}, lane=f"send:{conversation.pk}").id for message in messages]


def contact():
    return Contact.objects.values_list("external_id", "closed_reason").get()


def codes():
    return list(Message.objects.order_by("pk").values_list("status", "error_code"))


def test_who_blocks_us_is_not_written_to_until_they_write(messenger, conversation):
    messenger.errors = [PermanentError("blocked by the user", code="blocked")]
    jobs = send(conversation, "one", "two")
    drain()
    assert codes() == [("failed", "blocked"), ("failed", "contact_closed")]
    assert messenger.sent == []
    assert contact() == ("person-9", "blocked")
    assert "opens again when they write" in Job.objects.get(pk=jobs[1]).error
    open_conversations([Sender(conversation.account_id, "person-9", "Ada")])
    assert contact() == ("person-9", "")
    assert Contact.objects.get().closed_at is None
    send(conversation, "three")
    drain()
    assert messenger.sent == [("person-9", "three")]


def test_other_refusals_close_nobody(messenger, conversation):
    messenger.errors = [PermanentError("bad markup", code="cant_parse")]
    send(conversation, "one", "two")
    drain()
    assert codes() == [("failed", "cant_parse"), ("sent", "")]
    assert contact() == ("person-9", "")


def test_the_first_reason_stays_and_any_code_fits(conversation):
    pk = conversation.contact_id
    close_contacts({pk: "x" * 300})
    assert Contact.objects.get().closed_reason == "x" * 100
    before = Contact.objects.get().closed_at
    close_contacts({pk: "another"})
    row = Contact.objects.get()
    assert (row.closed_reason, row.closed_at) == ("x" * 100, before)


def test_a_code_of_nothing_closes_all_the_same(messenger, conversation):
    close_contacts({conversation.contact_id: "\x00"})
    send(conversation, "one")
    drain()
    assert codes() == [("failed", "contact_closed")]


def test_a_new_id_is_followed(messenger, conversation):
    messenger.moved_to = "person-10"
    send(conversation, "one", "two")
    drain()
    assert messenger.sent == [("person-9", "one"), ("person-10", "two")]
    assert contact() == ("person-10", "")


def test_a_new_id_that_somebody_has_closes_the_old_one(messenger, conversation):
    ContactFactory(account=conversation.account, external_id="person-10")
    messenger.moved_to = "person-10"
    send(conversation, "one", "two")
    drain()
    assert codes() == [("sent", ""), ("failed", "contact_closed")]
    assert dict(Contact.objects.values_list("external_id", "closed_reason")) == {
        "person-9": "moved",
        "person-10": "",
    }


def test_a_move_to_where_they_are_is_none(conversation):
    move_contact(account_id=conversation.account_id, external_id="person-9", to="person-9")
    move_contact(account_id=conversation.account_id, external_id="nobody", to="person-11")
    assert contact() == ("person-9", "")


def test_an_account_that_is_switched_off_while_messages_wait(messenger, conversation):
    jobs = send(conversation, "one")
    ChannelAccount.objects.update(is_active=False)
    drain()
    assert codes() == [("failed", "account_inactive")]
    assert state(jobs[0]) == ("failed", "permanent")
    assert contact() == ("person-9", "")


def test_an_account_that_is_gone_fails_its_message_and_no_other(messenger, conversation, monkeypatch):
    monkeypatch.setattr(facts, "_read_accounts", lambda pks: {})
    send(conversation, "one")
    drain()
    assert codes() == [("failed", "account_gone")]
