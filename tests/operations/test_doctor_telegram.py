"""The doctor's look at Telegram accounts, against the fake Bot API."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.conversations.models import ChannelAccount
from apps.operations.doctor import telegram
from apps.operations.doctor.finding import Finding, Level, Settings
from tests.factories.conversations import ChannelAccountFactory
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.world import Bot, Webhook

pytestmark = pytest.mark.django_db
SECRET = "planted-secret-token"


@pytest.fixture
def api(settings: Any) -> Iterator[FakeTelegram]:
    with FakeTelegram() as api:
        settings.TELEGRAM_API_URL = api.url
        settings.PUBLIC_URL = "https://chat.example.com"
        yield api


@pytest.fixture
def bot(api: FakeTelegram) -> Bot:
    return api.bot("helpdesk_bot")


@pytest.fixture
def account(bot: Bot) -> ChannelAccount:
    credentials = {"bot_token": bot.token, "secret_token": SECRET}
    return ChannelAccountFactory.create(
        chatbot__name="Helpdesk", channel="telegram", name="", credentials=credentials
    )


def registered(bot: Bot, account: ChannelAccount) -> Webhook:
    bot.webhook = Webhook(f"https://chat.example.com/webhooks/telegram/{account.public_id}", SECRET)
    return bot.webhook


def found(bot: Bot) -> list[Finding]:
    all_of_it = list(telegram.check(Settings()))
    assert bot.token not in str(all_of_it)
    assert SECRET not in str(all_of_it)
    return all_of_it


def test_all_is_well(api: FakeTelegram, bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account)
    assert [(one.level, one.found) for one in found(bot)] == [
        (Level.OK, "the token is @helpdesk_bot's"),
        (Level.OK, f"leads to https://chat.example.com/webhooks/telegram/{account.public_id}"),
    ]
    assert {method for method, _ in api.calls} == {"getMe", "getWebhookInfo"}, "nothing is changed"


@pytest.mark.parametrize("token", ["123456789:AAplanted-wrong-token-aaaaaaaaaaaaa", "no token at all"])
def test_the_token_is_not_known(bot: Bot, account: ChannelAccount, token: str) -> None:
    account.credentials = {"bot_token": token, "secret_token": SECRET}
    account.save()
    (one,) = found(bot)
    assert one.level is Level.FAIL
    assert "doesn't know the token" in one.found
    assert "@BotFather" in one.advice
    assert token not in str(one)


def test_no_webhook_is_registered(bot: Bot, account: ChannelAccount) -> None:
    one = found(bot)[-1]
    assert (one.level, one.found) == (Level.FAIL, "none is registered, so nothing comes in")
    assert one.command == f"python manage.py telegram_webhook set {account.public_id}"


def test_the_webhook_leads_elsewhere(bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account).url = "https://old.example.com/webhooks/telegram/planted"
    one = found(bot)[-1]
    assert one.level is Level.FAIL
    assert one.found.startswith("leads to https://old.example.com instead of https://chat.example.com/")


def test_there_is_no_secret(bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account)
    account.credentials = {"bot_token": bot.token}
    account.save()
    assert [one.found for one in found(bot) if one.level is Level.FAIL] == ["the account has no secret_token"]


def test_there_is_no_public_address(bot: Bot, account: ChannelAccount, settings: Any) -> None:
    registered(bot, account)
    settings.PUBLIC_URL = ""
    assert [one.found for one in found(bot) if one.level is Level.FAIL] == ["PUBLIC_URL is not set"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("Wrong response from the webhook: 403 Forbidden", "Another secret is registered"),
        ("Wrong response from the webhook: 404 Not Found", "/webhooks/"),
        ("Wrong response from the webhook: 301 Moved Permanently", "SECURE_PROXY_SSL_HEADER"),
        ("Wrong response from the webhook: 400 Bad Request", "ALLOWED_HOSTS"),
        ("Wrong response from the webhook: 502 Bad Gateway", "web process"),
        ("SSL error {error:0A000086:SSL routines::certificate verify failed}", "fullchain.pem"),
        ("Failed to resolve host: Name or service not known", "DNS"),
        ("Connection timed out", "firewall"),
        ("Something nobody has ever heard of", ""),
    ],
)
def test_its_last_error_is_explained(bot: Bot, account: ChannelAccount, message: str, says: str) -> None:
    registered(bot, account).last_error = (int(time.time()) - 60, message)
    one = found(bot)[-1]
    assert one.level is Level.WARN
    assert message in one.found
    assert says in one.advice


def test_an_old_error_is_only_a_note(bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account).last_error = (int(time.time()) - 7200, "Connection timed out")
    assert found(bot)[-1].level is Level.NOTE
    bot.pending = 3
    assert [one.level for one in found(bot)[-2:]] == [Level.WARN, Level.NOTE]


def test_updates_that_pile_up(bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account)
    bot.pending = 500
    assert (found(bot)[-1].level, found(bot)[-1].found) == (Level.WARN, "500 updates wait at Telegram")


def test_updates_that_nobody_asked_for(bot: Bot, account: ChannelAccount) -> None:
    registered(bot, account).allowed_updates = ("message",)
    assert "my_chat_member" in found(bot)[-1].found


def test_telegram_is_away(bot: Bot, account: ChannelAccount, settings: Any) -> None:
    settings.TELEGRAM_API_URL = "http://127.0.0.1:1"
    (one,) = found(bot)
    assert one.level is Level.FAIL
    assert "nothing listens there" in one.found


def test_telegram_is_unwell(api: FakeTelegram, bot: Bot, account: ChannelAccount) -> None:
    api.fault("getMe", status=502)
    (one,) = found(bot)
    assert (one.level, "502" in one.found) == (Level.WARN, True)


def test_none_and_inactive_ones(api: FakeTelegram, account: ChannelAccount) -> None:
    ChannelAccount.objects.update(is_active=False)
    assert [one.found for one in telegram.check(Settings())] == ["none"]
    assert api.calls == []
