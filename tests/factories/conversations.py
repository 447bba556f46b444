"""Chatbots, their accounts, and people who talk with them."""

from collections.abc import Sequence

import factory
from factory.django import DjangoModelFactory

from apps.conversations.models import ChannelAccount, Chatbot, Contact, Conversation, Message
from apps.conversations.services import NewMessage, add_messages
from tests.factories.accounts import CustomerFactory


class ChatbotFactory(DjangoModelFactory):
    class Meta:
        model = Chatbot

    customer = factory.SubFactory(CustomerFactory)
    name = factory.Sequence(lambda number: f"Chatbot {number}")


class ChannelAccountFactory(DjangoModelFactory):
    class Meta:
        model = ChannelAccount

    chatbot = factory.SubFactory(ChatbotFactory)
    channel = "widget"
    name = factory.Sequence(lambda number: f"Account {number}")


class ContactFactory(DjangoModelFactory):
    class Meta:
        model = Contact

    account = factory.SubFactory(ChannelAccountFactory)
    external_id = factory.Sequence(lambda number: f"person-{number}")


class ConversationFactory(DjangoModelFactory):
    """An open, empty conversation. Its messages are added by apps.conversations.services."""

    class Meta:
        model = Conversation

    contact = factory.SubFactory(ContactFactory)
    account = factory.SelfAttribute("contact.account")


def added(new: Sequence[NewMessage]) -> list[Message]:
    """What `add_messages` made of these, as rows of the database, in the order given."""
    pks = [one.pk for one in add_messages(new)]
    rows = Message.objects.in_bulk(pks)
    return [rows[pk] for pk in pks]
