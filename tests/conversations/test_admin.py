"""The admin shows conversations and hides credentials."""

import pytest
from django.db import transaction
from django.urls import reverse

from apps.conversations.models import ChannelAccount, Message
from apps.conversations.services import Failure, NewMessage, mark_failed
from tests.factories.conversations import ChannelAccountFactory, ContactFactory, ConversationFactory, added

SECRET = "planted-secret"


@pytest.fixture
def conversation(db):
    conversation = ConversationFactory(contact=ContactFactory(name="Ada <script>"))
    with transaction.atomic():
        said = added(
            [
                NewMessage(conversation_id=conversation.pk, direction="in", text="<b>Hello</b>"),
                NewMessage(conversation_id=conversation.pk, direction="out", text="Sorry.", is_fallback=True),
            ]
        )
    mark_failed([Failure(said[1].pk, "blocked", "They blocked the bot.")])
    return conversation


@pytest.mark.parametrize("model", ["chatbot", "channelaccount", "contact", "conversation", "message"])
def test_every_page_opens(admin_client, conversation, model, django_assert_max_num_queries):
    ChannelAccountFactory.create_batch(20, credentials={"token": SECRET})
    with django_assert_max_num_queries(9):
        page = admin_client.get(reverse(f"admin:conversations_{model}_changelist"), {"q": "a"})
    assert page.status_code == 200
    assert SECRET not in page.content.decode()


def test_a_conversation_reads_as_a_transcript(admin_client, conversation, django_assert_max_num_queries):
    with transaction.atomic():
        added(
            [NewMessage(conversation_id=conversation.pk, direction="in", text=f"more {n}") for n in range(50)]
        )
    address = reverse("admin:conversations_conversation_change", args=[conversation.pk])
    with django_assert_max_num_queries(6):
        page = admin_client.get(address).content.decode()
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page
    assert "<b>Hello</b>" not in page
    assert "<b>Ada &lt;script&gt;</b>" in page
    assert "Failed, fallback message" in page
    assert "blocked They blocked the bot." in page
    assert page.index("Sorry.") < page.index("more 0") < page.index("more 49")
    assert "transcript.css" in page
    listed = admin_client.get(
        reverse("admin:conversations_message_changelist"), {"conversation__id__exact": conversation.pk}
    )
    assert listed.status_code == 200


def test_messages_are_read_only(admin_client, conversation):
    message = Message.objects.first()
    address = reverse("admin:conversations_message_change", args=[message.pk])
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"text": "changed"}).status_code == 403
    assert admin_client.post(reverse("admin:conversations_message_add"), {}).status_code == 403


class TestCredentials:
    def post(self, admin_client, account, **fields):
        address = reverse("admin:conversations_channelaccount_change", args=[account.pk])
        form = {"chatbot": account.chatbot_id, "channel": "widget", "name": "n", "on_unknown": "send_again"}
        return admin_client.post(address, {**form, "is_active": "on", **fields})

    @pytest.fixture
    def account(self, db):
        return ChannelAccountFactory(credentials={"token": SECRET})

    def test_are_never_shown(self, admin_client, account):
        address = reverse("admin:conversations_channelaccount_change", args=[account.pk])
        page = admin_client.get(address).content.decode()
        assert "new_credentials" in page
        assert SECRET not in page

    @pytest.mark.parametrize(
        ("typed", "stored"),
        [("", {"token": SECRET}), ("  ", {"token": SECRET}), ("{}", {}), ('{"a": "b"}', {"a": "b"})],
    )
    def test_empty_leaves_them_as_they_are(self, admin_client, account, typed, stored):
        answer = self.post(admin_client, account, new_credentials=typed)
        assert answer.status_code == 302, answer.content.decode()
        assert ChannelAccount.objects.get(pk=account.pk).credentials == stored

    @pytest.mark.parametrize("typed", ['["typed-secret"]', '"typed-secret"', "typed-secret"])
    def test_what_was_typed_wrong_is_not_shown_again(self, admin_client, account, typed):
        page = self.post(admin_client, account, new_credentials=typed)
        assert page.status_code == 200
        assert "typed-secret" not in page.content.decode()
        assert ChannelAccount.objects.get(pk=account.pk).credentials == {"token": SECRET}

    def test_a_channel_that_is_gone_stays_choosable(self, admin_client):
        account = ChannelAccountFactory(channel="gone")
        address = reverse("admin:conversations_channelaccount_change", args=[account.pk])
        assert 'value="gone" selected' in admin_client.get(address).content.decode()
