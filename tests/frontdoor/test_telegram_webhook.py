"""`manage.py telegram_webhook` as a person meets it, against the fake Bot API."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.factories.conversations import ChannelAccountFactory
from tests.fakes.telegram import FakeTelegram
from tests.servers.processes import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def telegram(settings):
    with FakeTelegram() as fake:
        settings.TELEGRAM_API_URL = fake.url
        settings.PUBLIC_URL = "https://chat.example.com"
        yield fake


@pytest.fixture
def bot(telegram):
    return telegram.bot()


@pytest.fixture
def account(bot):
    return ChannelAccountFactory.create(
        channel="telegram", credentials={"bot_token": bot.token, "secret_token": "s3cret"}
    )


def run(*words, **options):
    call_command("telegram_webhook", *map(str, words), **options)


def test_set_tells_telegram_all_it_needs(account, bot, capsys):
    run("set", account.public_id)
    shown = capsys.readouterr()
    assert bot.webhook.url == f"https://chat.example.com/webhooks/telegram/{account.public_id}"
    assert bot.webhook.secret_token == "s3cret"
    assert bot.webhook.allowed_updates == (
        "message", "edited_message", "my_chat_member", "chat_member", "chat_join_request", "callback_query",
        "pre_checkout_query",
    )  # fmt: skip
    assert json.loads(shown.out)["url"] == bot.webhook.url
    assert "s3cret" not in shown.out + shown.err
    assert bot.token not in shown.out + shown.err


def test_set_with_another_address(account, bot):
    run("set", account.public_id, url="https://other.example.com:8443/", max_connections=7)
    assert bot.webhook.url == f"https://other.example.com:8443/webhooks/telegram/{account.public_id}"
    assert bot.webhook.max_connections == 7


def test_set_makes_a_secret_where_there_is_none(account, bot, capsys):
    account.credentials = {"bot_token": bot.token}
    account.save()
    run("set", account.public_id)
    account.refresh_from_db()
    secret = account.credentials["secret_token"]
    assert len(secret) >= 40
    assert bot.webhook.secret_token == secret
    assert account.credentials["bot_token"] == bot.token
    shown = capsys.readouterr()
    assert secret not in shown.out + shown.err


def test_info_and_delete(account, bot, telegram, capsys):
    run("set", account.public_id)
    ada = telegram.person()
    ada.starts(bot)  # nobody listens there; it waits at Telegram's
    run("info", account.public_id)
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.rindex("\n{") :])["pending_update_count"] == 1
    run("delete", account.public_id, drop_pending=True)
    assert bot.webhook is None
    info = json.loads(capsys.readouterr().out)
    assert (info["url"], info["pending_update_count"]) == ("", 0)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "set PUBLIC_URL"),
        ("chat.example.com", "is not an address"),
        ("ftp://chat.example.com", "is not an address"),
    ],
)
def test_an_address_that_is_none(account, settings, url, says):
    settings.PUBLIC_URL = url
    with pytest.raises(CommandError, match=says):
        run("set", account.public_id)


def test_telegram_itself_calls_https_only(account, settings, telegram):
    settings.TELEGRAM_API_URL = "https://api.telegram.org"
    with pytest.raises(CommandError, match="https addresses only"):
        run("set", account.public_id, url="http://chat.example.com")
    assert telegram.calls == []


def test_a_server_of_ones_own_says_itself_what_it_takes(account, telegram, bot):
    with pytest.raises(CommandError, match=r"https url must be provided.*\(bad_webhook\)"):
        run("set", account.public_id, url="http://127.0.0.1:8000")
    telegram.world.insecure_webhooks = True
    run("set", account.public_id, url="http://127.0.0.1:8000")
    assert bot.webhook.url.startswith("http://127.0.0.1:8000/webhooks/")


@pytest.mark.parametrize("named", ["4711", "0b7c6f2e-1111-4222-8333-444455556666"])
def test_an_account_that_is_not_there(named):
    with pytest.raises(CommandError, match=r"is not a public id|There is no channel account"):
        run("info", named)


def test_an_account_of_another_channel():
    with pytest.raises(CommandError, match="of the channel widget"):
        run("info", ChannelAccountFactory.create(channel="widget").public_id)


@pytest.mark.parametrize("token", ["1:AAFake-token_0123456789abcdefghij99", "nonsense"])
def test_a_wrong_token(account, telegram, token):
    account.credentials = {"bot_token": token, "secret_token": "s3cret"}
    account.save()
    with pytest.raises(CommandError, match="BotFather") as caught:
        run("set", account.public_id)
    assert "bot_token_invalid" in str(caught.value)
    assert token not in str(caught.value)


def test_telegram_is_not_there(account, settings):
    settings.TELEGRAM_API_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match=r"No answer from http://127.*\(unreachable\)"):
        run("info", account.public_id)


@pytest.mark.parametrize("many", [0, 101])
def test_too_many_connections(account, many):
    with pytest.raises(CommandError, match="1 to 100"):
        run("set", account.public_id, max_connections=many)
