"""What is known of accounts and chatbots while messages are on their way."""

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from apps.conversations import facts
from apps.conversations.models import AiAccount, ChatbotAi
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory

pytestmark = pytest.mark.django_db


def ai(chatbot, name, position, **more):
    account = AiAccount.objects.create(
        customer=chatbot.customer,
        name=name,
        provider="openai",
        model="m",
        credentials={"api_key": f"sk-{name}"},
        **more,
    )
    ChatbotAi.objects.create(chatbot=chatbot, account=account, position=position)
    return account


def choices(chatbot):
    return facts.chatbots({chatbot.pk})[chatbot.pk].choices


def test_accounts_stand_in_their_order_and_those_that_are_off_are_left_out():
    chatbot = ChatbotFactory()
    ai(chatbot, "second", 2)
    ai(chatbot, "off", 3, is_active=False)
    first = ai(chatbot, "first", 1)
    assert [choice.name for choice in choices(chatbot)] == ["first", "second"]
    assert choices(chatbot)[0].key == f"ai:{first.public_id}"


def test_without_accounts_the_chatbots_own_provider_answers():
    chatbot = ChatbotFactory(provider="builtin", provider_options={"a": 1})
    [choice] = choices(chatbot)
    assert (choice.provider, choice.options, choice.key) == ("builtin", {"a": 1}, "")


def test_a_key_that_nothing_opens_does_not_hide_the_next_account(settings):
    chatbot = ChatbotFactory()
    ours = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    ai(chatbot, "lost", 1)
    settings.ENCRYPTION_KEYS = ours
    ai(chatbot, "good", 2)
    with capture_logs() as logs:
        lost, good = choices(chatbot)
    assert (lost.access.credentials, good.access.credentials) == ({}, {"api_key": "sk-good"})
    assert [line["account"] for line in logs if line["event"] == "ai_credentials_unreadable"] == ["lost"]


def test_no_secret_is_shown():
    account = ChannelAccountFactory(credentials={"token": "planted-secret"})
    ai(account.chatbot, "one", 1)
    shown = repr(facts.accounts({account.pk})) + repr(choices(account.chatbot))
    assert "planted-secret" not in shown
    assert "sk-one" not in shown
