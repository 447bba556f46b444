"""`manage.py provision --channel telegram`, against the fake Bot API: set up and registered with one command."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.conversations.models import ChannelAccount
from tests.fakes.telegram import FakeTelegram
from tests.operations.provisioning import provision

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(settings: Any) -> Iterator[FakeTelegram]:
    with FakeTelegram() as api:
        settings.TELEGRAM_API_URL = api.url
        settings.PUBLIC_URL = "https://chat.example.com"
        yield api


def arguments(token: str) -> list[str]:
    return ["--customer=Acme", "--chatbot=Helpdesk", "--channel=telegram", f"--credential=bot_token={token}"]


def test_it_is_registered_with_the_secret_that_was_made(api: FakeTelegram) -> None:
    bot = api.bot()
    found, said = provision(*arguments(bot.token), "--set-webhook")
    (account,) = found["customers"][0]["chatbots"][0]["accounts"]
    assert bot.webhook is not None
    assert bot.webhook.url == account["webhook"]
    assert bot.webhook.secret_token == account["secrets"]["secret_token"]
    assert account["webhook_is_set"] is True
    assert bot.token not in said
    assert account["secrets"]["secret_token"] not in said


def test_without_being_asked_nobody_is_called(api: FakeTelegram) -> None:
    provision(*arguments(api.bot().token))
    provision(*arguments(api.bot().token), "--set-webhook", "--dry-run")
    assert api.calls == []


def test_what_telegram_refuses_is_told_and_the_set_up_stands(api: FakeTelegram) -> None:
    token = "123456789:AAplanted-token-that-nobody-knows-0"
    out = StringIO()
    with pytest.raises(CommandError, match="Everything is set up, but the webhook") as refused:
        call_command("provision", *arguments(token), "--set-webhook", stdout=out, stderr=StringIO())
    assert token not in str(refused.value)
    (account,) = json.loads(out.getvalue())["customers"][0]["chatbots"][0]["accounts"]
    assert account["webhook_is_set"] is False
    assert ChannelAccount.objects.get().credentials["bot_token"] == token
