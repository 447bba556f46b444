"""What the database itself refuses, and what is encrypted."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.conversations.models import ChannelAccount, Contact, Conversation, Message
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory


@pytest.mark.django_db
def test_one_open_conversation_per_contact():
    conversation = ConversationFactory()
    ConversationFactory(contact=conversation.contact, state=Conversation.State.CLOSED)
    with pytest.raises(IntegrityError), transaction.atomic():
        ConversationFactory(contact=conversation.contact)


@pytest.mark.django_db
def test_a_contact_is_once_per_account():
    contact = ContactFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        Contact.objects.create(account=contact.account, external_id=contact.external_id)


@pytest.mark.django_db
def test_a_place_is_given_once():
    conversation = ConversationFactory()
    Message.objects.create(conversation=conversation, position=1, direction="in", text="a", status="received")
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.create(
            conversation=conversation, position=1, direction="in", text="b", status="received"
        )


@pytest.mark.django_db
def test_credentials_are_encrypted_at_rest():
    account = ChannelAccountFactory(credentials={"token": "planted-secret"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM conversations_channelaccount")
        assert "planted-secret" not in str(cursor.fetchall())
    assert ChannelAccount.objects.get(pk=account.pk).credentials == {"token": "planted-secret"}
