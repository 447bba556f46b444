"""Find or begin: one statement for those who are known, safe when everybody comes at once."""

import threading

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.channels.registry import UnknownChannel
from apps.conversations.models import Contact, Conversation
from apps.conversations.services import Sender, move_contact, open_conversations, start_conversation
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory


@pytest.mark.django_db
def test_begins_what_is_new_and_finds_what_is_there():
    account = ChannelAccountFactory()
    known = ConversationFactory(contact=ContactFactory(account=account, external_id="known"))
    new, found, again = open_conversations(
        [Sender(account.pk, "new", "Ada"), Sender(account.pk, "known"), Sender(account.pk, "new", "Ada")]
    )
    assert (found.pk, found.public_id) == (known.pk, known.public_id)
    assert new is again
    begun = Conversation.objects.get(pk=new.pk)
    assert (begun.contact.external_id, begun.contact.name, begun.state) == ("new", "Ada", "open")
    assert (new.contact, new.channel, new.is_answered) == (begun.contact_id, "widget", True)
    assert Contact.objects.count() == Conversation.objects.count() == 2


@pytest.mark.django_db
def test_one_statement_for_known_people(django_assert_num_queries):
    senders = []
    for account in ChannelAccountFactory.create_batch(3):
        for contact in ContactFactory.create_batch(10, account=account):
            ConversationFactory(contact=contact)
            senders.append(Sender(account.pk, contact.external_id))
    with django_assert_num_queries(1):
        conversations = open_conversations(senders)
    for sender, conversation in zip(senders, conversations, strict=True):
        contact = Contact.objects.get(pk=conversation.contact)
        assert (contact.account_id, contact.external_id) == sender[:2]
        assert (conversation.max_wait, conversation.quiet_seconds) == (20, 0.0)


@pytest.mark.django_db
def test_five_statements_for_any_number_of_strangers(django_assert_num_queries):
    account = ChannelAccountFactory()
    with transaction.atomic(), django_assert_num_queries(5):
        conversations = open_conversations([Sender(account.pk, f"stranger {n}") for n in range(50)])
    assert len({conversation.pk for conversation in conversations}) == 50


@pytest.mark.django_db
def test_a_closed_conversation_stays_closed_and_a_new_one_begins():
    old = ConversationFactory(state=Conversation.State.CLOSED)
    [new] = open_conversations([Sender(old.account_id, old.contact.external_id)])
    assert new.pk != old.pk
    assert new.contact == old.contact_id
    assert open_conversations([Sender(old.account_id, old.contact.external_id)]) == [new]


@pytest.mark.django_db
def test_the_same_id_on_two_accounts_is_two_people():
    one, other = ChannelAccountFactory.create_batch(2)
    first, second = open_conversations([Sender(one.pk, "7"), Sender(other.pk, "7")])
    assert first.contact != second.contact


@pytest.mark.django_db
def test_a_changed_name_is_kept(django_assert_num_queries):
    account = ChannelAccountFactory()
    people = [Sender(account.pk, "1", "Ada"), Sender(account.pk, "2", "Bob"), Sender(account.pk, "3", "Eve")]
    open_conversations(people)
    with transaction.atomic(), django_assert_num_queries(2):
        open_conversations([people[0]._replace(name="Ada L."), people[1], people[2]._replace(name="")])
    assert sorted(Contact.objects.values_list("name", flat=True)) == ["Ada L.", "Bob", "Eve"]


@pytest.mark.django_db
def test_ids_that_no_database_keeps_as_they_are():
    account = ChannelAccountFactory()
    strange = [
        Sender(account.pk, "a\x00b", "x" * 400),
        Sender(account.pk, "\udc80", "\x00"),
        Sender(account.pk, ""),
    ]
    first = open_conversations(strange)
    assert open_conversations(strange) == first
    contact = Contact.objects.get(pk=first[0].contact)
    assert (contact.external_id, len(contact.name)) == ("ab", 255)


@pytest.mark.django_db
def test_quiet_time_is_the_accounts_own_or_the_channels():
    account = ChannelAccountFactory()
    [conversation] = open_conversations([Sender(account.pk, "1")])
    assert conversation.quiet_seconds == 0
    account.debounce_seconds = 2.5
    account.save()
    [conversation] = open_conversations([Sender(account.pk, "1")])
    assert conversation.quiet_seconds == 2.5
    with pytest.raises(UnknownChannel, match="'gone'"):
        _ = conversation._replace(channel="gone", debounce_seconds=None).quiet_seconds


@pytest.mark.django_db
def test_whoever_writes_can_be_written_to_again():
    contact = ContactFactory(closed_at=timezone.now(), closed_reason="bot_blocked")
    [conversation] = open_conversations([Sender(contact.account_id, contact.external_id)])
    assert conversation.contact == contact.pk
    contact.refresh_from_db()
    assert (contact.closed_at, contact.closed_reason) == (None, "")


@pytest.mark.django_db
def test_a_new_id_is_followed_and_a_taken_one_closes_the_old():
    contact = ContactFactory(external_id="-5")
    move_contact(account_id=contact.account_id, external_id="-5", to="-1005")
    contact.refresh_from_db()
    assert contact.external_id == "-1005"
    late = ContactFactory(account=contact.account, external_id="-6")
    move_contact(account_id=contact.account_id, external_id="-6", to="-1005")
    late.refresh_from_db()
    assert (late.external_id, late.closed_reason) == ("-6", "moved")
    move_contact(account_id=contact.account_id, external_id="nobody", to="-7")
    assert Contact.objects.count() == 2


@pytest.mark.django_db
def test_nobody_is_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert open_conversations([]) == []


@pytest.mark.django_db(transaction=True)
def test_everybody_at_once_begins_one_conversation_each():
    account = ChannelAccountFactory()
    together = threading.Barrier(4)
    found: list[list[int]] = []
    errors: list[BaseException] = []

    def come(backwards: bool) -> None:
        senders = [Sender(account.pk, f"person {n}", "Name") for n in range(20)]
        try:
            together.wait(timeout=10)
            with transaction.atomic():
                rows = open_conversations(senders[::-1] if backwards else senders)
            found.append(sorted(row.pk for row in rows))
        except BaseException as error:  # a thread's error must reach the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=come, args=(n % 2 == 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    assert Contact.objects.count() == Conversation.objects.count() == 20
    assert len(found) == 4
    assert found.count(found[0]) == 4


@pytest.mark.django_db
def test_a_visitor_gets_a_token_that_is_kept_as_a_hash(django_assert_num_queries):
    account = ChannelAccountFactory()
    with transaction.atomic(), django_assert_num_queries(2):
        conversation, token = start_conversation(account_id=account.pk)
    assert len(token) >= 43
    assert list(Conversation.objects.by_token(token)) == [conversation]
    assert not Conversation.objects.by_token(token + "x").exists()
    assert not Conversation.objects.by_token("\ud800").exists()
    assert token not in str(Conversation.objects.values_list().get())
