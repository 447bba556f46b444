"""Each entry of the table, through the exception that python-telegram-bot itself makes of the answer."""

import asyncio
import json
import os
from datetime import timedelta

import pytest
from telegram import error as ptb
from telegram.request import BaseRequest

from apps.channels.telegram.failures import FAILURES, Meaning, classify, find
from apps.channels.telegram.request import CutOff, NotSent, ServerTrouble
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError

KINDS = {
    Meaning.LATER: TransientError,
    Meaning.LIMITED: Postpone,
    Meaning.NEVER: PermanentError,
    Meaning.UNKNOWN: OutcomeUnknown,
}
ANSWERS = [
    (429, "Too Many Requests: retry after 9", {"retry_after": 9}, "rate_limited"),
    (420, "Too Many Requests: flood", {}, "rate_limited"),
    (
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        {"migrate_to_chat_id": -1001},
        "chat_migrated",
    ),
    (401, "Unauthorized", {}, "bot_token_invalid"),
    (404, "Not Found", {}, "bot_token_invalid"),
    (403, "Forbidden: bot was blocked by the user", {}, "bot_blocked"),
    (403, "Forbidden: user is deactivated", {}, "user_deactivated"),
    (403, "Forbidden: bot can't initiate conversation with a user", {}, "cannot_initiate"),
    (403, "Forbidden: bot can't send messages to bots", {}, "cannot_initiate"),
    (403, "Forbidden: bot was kicked from the group chat", {}, "bot_removed"),
    (403, "Forbidden: bot was kicked from the supergroup chat", {}, "bot_removed"),
    (403, "Forbidden: bot was kicked from the channel chat", {}, "bot_removed"),
    (403, "Forbidden: bot is not a member of the channel chat", {}, "bot_removed"),
    (403, "Forbidden: the group chat was deleted", {}, "bot_removed"),
    (403, "Forbidden: not enough rights to send text messages to the chat", {}, "not_enough_rights"),
    (403, "Forbidden: something new", {}, "forbidden"),
    (400, "Bad Request: USER_IS_BLOCKED", {}, "bot_blocked"),
    (400, "Bad Request: INPUT_USER_DEACTIVATED", {}, "user_deactivated"),
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN", {}, "not_enough_rights"),
    (400, "Bad Request: not enough rights to restrict/unrestrict chat member", {}, "not_enough_rights"),
    (400, "Bad Request: not enough rights to manage chat invite link", {}, "not_enough_rights"),
    (400, "Bad Request: not enough rights to manage chat join requests", {}, "not_enough_rights"),
    (400, "Bad Request: CHAT_ADMIN_REQUIRED", {}, "not_enough_rights"),
    (400, "Bad Request: user is an administrator of the chat", {}, "user_is_administrator"),
    (400, "Bad Request: can't remove chat owner", {}, "user_is_administrator"),
    (400, "Bad Request: USER_ALREADY_PARTICIPANT", {}, "already_participant"),
    (400, "Bad Request: HIDE_REQUESTER_MISSING", {}, "request_gone"),
    (400, "Bad Request: PARTICIPANT_ID_INVALID", {}, "participant_id_invalid"),
    (400, "Bad Request: chat not found", {}, "chat_not_found"),
    (400, "Bad Request: chat_id is empty", {}, "chat_not_found"),
    (400, "Bad Request: can't parse entities: Unexpected end tag", {}, "cant_parse"),
    (400, "Bad Request: message text is empty", {}, "text_empty"),
    (400, "Bad Request: message is too long", {}, "text_too_long"),
    (400, "Bad Request: message is not modified", {}, "not_modified"),
    (400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook", {}, "bad_webhook"),
    (400, "Bad Request: something new", {}, "bad_request"),
    (409, "Conflict: terminated by other getUpdates request", {}, "conflict"),
    (413, "Request Entity Too Large", {}, "text_too_long"),
    (302, None, {}, "wrong_address"),
    (418, "I'm a teapot", {}, "http_error"),
]
# What no answer makes, but a connection, or python-telegram-bot on its own httpx.
EXCEPTIONS = [
    (NotSent("ClientConnectorError"), "unreachable"),
    (CutOff("ServerDisconnectedError"), "cut_off"),
    (ServerTrouble(502), "server_error"),
    (ptb.TimedOut("Pool timeout: … Request was *not* sent to Telegram."), "unreachable"),
    (ptb.TimedOut(), "cut_off"),
    (ptb.NetworkError("Unknown error in HTTP implementation: X()"), "cut_off"),
    (ptb.TelegramError("Invalid server response"), "unreadable_answer"),
]


class Answering(BaseRequest):
    """Gives python-telegram-bot one answer."""

    read_timeout = 1.0

    def __init__(self, status, body):
        self.answer = (status, body)

    async def initialize(self): ...

    async def shutdown(self): ...

    async def do_request(self, *args, **kwargs):
        return self.answer


def raised(status, description, parameters):
    body = {"ok": False, "error_code": status, "description": description, "parameters": parameters}
    text = b"<html>" if description is None else json.dumps(body).encode()
    with pytest.raises(ptb.TelegramError) as caught:
        asyncio.run(Answering(status, text).post("https://telegram.invalid"))
    return caught.value


@pytest.mark.parametrize(("status", "description", "parameters", "code"), ANSWERS)
def test_an_answer(status, description, parameters, code):
    error = raised(status, description, parameters)
    found, ours = find(error), classify(error)
    assert found.code == ours.code == code
    assert type(ours) is KINDS[found.meaning]
    if isinstance(ours, PermanentError):
        assert ours.advice
    if description and not parameters:
        assert description.rpartition(": ")[2].lower() in ours.message.lower()


@pytest.mark.parametrize(("error", "code"), EXCEPTIONS, ids=lambda one: getattr(one, "message", one))
def test_no_answer(error, code):
    assert classify(error).code == code
    if code in ("cut_off", "unreadable_answer"):
        assert isinstance(classify(error), OutcomeUnknown)
        assert isinstance(classify(error, repeatable=True), TransientError)


def test_every_entry_of_the_table_is_met():
    met = {find(raised(*one[:3])) for one in ANSWERS} | {find(error) for error, _ in EXCEPTIONS}
    assert not [entry for entry in FAILURES if entry not in met]


@pytest.mark.parametrize("as_timedelta", ["0", "1"])
@pytest.mark.filterwarnings("ignore:.*retry_after.*")
def test_retry_after_as_number_or_timedelta(monkeypatch, as_timedelta):
    monkeypatch.setitem(os.environ, "PTB_TIMEDELTA", as_timedelta)
    ours = classify(ptb.RetryAfter(timedelta(seconds=11)))
    assert isinstance(ours, Postpone)
    assert ours.seconds == 11.0


def test_a_token_in_telegrams_words_is_masked():
    token = "123456789:AAF0abcdefghijklmnopqrstuvwxyz-_012"
    assert token not in str(classify(ptb.NetworkError(f"Unknown error in HTTP implementation: bot{token}")))
