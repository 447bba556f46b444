"""An account that anybody could write to in Telegram's name stops the start, and so do settings that can't work."""

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import override_settings

from apps.operations import checks
from apps.operations.telegram_checks import check_telegram_accounts
from tests.factories.conversations import ChannelAccountFactory

TOKEN = "123456789:AAF0abcdefghijklmnopqrstuvwxyz-_012"


def account(**more):
    return ChannelAccountFactory.create(
        channel="telegram", name="Shop", **{"credentials": {"bot_token": TOKEN}, **more}
    )


@pytest.mark.django_db
def test_an_account_without_a_secret_is_named_with_what_to_do():
    named = account()
    (found,) = check_telegram_accounts()
    assert found.id == "switchboard.E040"
    assert f"Shop ({named.public_id})" in found.msg
    assert f"telegram_webhook set {named.public_id}" in found.hint
    assert TOKEN not in str(found)


@pytest.mark.django_db
def test_others_are_let_through(settings):
    account(credentials={"bot_token": TOKEN, "secret_token": "s3cret"})
    account(is_active=False)
    ChannelAccountFactory.create(channel="widget")
    assert check_telegram_accounts() == []
    account()
    settings.DEBUG = True
    assert check_telegram_accounts() == []


@pytest.mark.django_db
def test_a_key_that_is_gone_is_said(settings):
    account()
    settings.ENCRYPTION_KEYS = ["another-key-0123456789-0123456789-abcdef"]
    (found,) = check_telegram_accounts()
    assert found.id == "switchboard.E043"
    assert "ENCRYPTION_KEYS" in found.hint


@pytest.mark.django_db(transaction=True)
def test_the_start_stops_and_plain_commands_go_on(capsys):
    account()
    with pytest.raises(SystemExit):
        checks.stop_if_wrong()
    assert "has no secret_token" in capsys.readouterr().err
    call_command("check", databases=["default"])  # `migrate` asks the same: it must always go


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"TELEGRAM_API_URL": "api.telegram.org"}, "E041"),
        ({"TELEGRAM_API_URL": "ftp://api.telegram.org"}, "E041"),
        ({"TELEGRAM_TIMEOUT_SECONDS": 0.0}, "E042"),
        ({"TELEGRAM_TIMEOUT_SECONDS": 60.0}, "E042"),
    ],
)
def test_settings(changes, number):
    with override_settings(**changes):
        assert [message.id for message in run_checks(tags=[checks.TAG])] == [f"switchboard.{number}"]
