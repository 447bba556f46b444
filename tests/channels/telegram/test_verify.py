"""Calls that prove to come from Telegram, and credentials that can't be right."""

import pytest

from apps.channels import registry
from apps.channels.base import Unverified, WebhookRequest
from tests.fakes.telegram.webhooks import SECRET_HEADER

TOKEN = "123456789:AAF0abcdefghijklmnopqrstuvwxyz-_012"


@pytest.fixture
def channel():
    return registry.get("telegram")


def call(given=None):
    return WebhookRequest(headers={} if given is None else {SECRET_HEADER.lower(): given}, body=b"{}")


def test_the_right_secret(channel):
    channel.verify(call("s3cret-_"), {"secret_token": "s3cret-_"})


@pytest.mark.parametrize("given", [None, "", "S3CRET", "s3cret ", "s3cre", "s3crett", "é", "\ud83d"])
def test_any_other_is_refused(channel, given):
    with pytest.raises(Unverified) as caught:
        channel.verify(call(given), {"secret_token": "s3cret"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("credentials", [{}, {"secret_token": ""}, {"secret_token": None}])
def test_without_a_secret_only_in_development(channel, settings, credentials):
    with pytest.raises(Unverified):
        channel.verify(call("anything"), credentials)
    settings.DEBUG = True
    channel.verify(call(), credentials)


def test_right_credentials(channel):
    assert channel.problems({"bot_token": TOKEN, "secret_token": "a" * 256}) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bot_token": ""}, "bot_token is missing"),
        ({"bot_token": "123456789"}, "no token of @BotFather"),
        ({"bot_token": TOKEN + "\n"}, "no token of @BotFather"),
        ({"bot_token": 5}, "no token of @BotFather"),
        ({"secret_token": None}, "secret_token is missing"),
        ({"secret_token": "a" * 257}, "1 to 256"),
        ({"secret_token": "not allowed!"}, "1 to 256"),
    ],
)
def test_wrong_credentials_are_named_but_not_shown(channel, change, says):
    (found,) = channel.problems({"bot_token": TOKEN, "secret_token": "s3cret", **change})
    assert says in found
    assert TOKEN not in found
