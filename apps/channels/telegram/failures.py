"""What Telegram's refusals mean, as one table: the exception of python-telegram-bot (which stands for the status) and
words of the answer -> our error, a code, and what a person can do.

The words are those of the Bot API server (`Client.cpp`, fail_query_with_error); names in capitals come through from
Telegram's inside, with the status 400. The first entry that fits counts, so the special ones come first.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from telegram import error as ptb

from apps.channels.telegram.request import CutOff, NotSent, ServerTrouble
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, SwitchboardError, TransientError
from apps.reliability.http import pause
from apps.reliability.redaction import redact_text

# python-telegram-bot warns, at each 429, that retry_after will be a timedelta; this asks for it now.
os.environ.setdefault("PTB_TIMEDELTA", "1")

LONGEST_WORDS = 300


class Meaning(Enum):
    """Which branch of our error tree."""

    LATER = "TransientError"
    LIMITED = "Postpone"
    NEVER = "PermanentError"
    UNKNOWN = "OutcomeUnknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """`words`: a pattern to be found in the answer, upper or lower case; empty: any."""

    kind: type[ptb.TelegramError]
    words: str
    meaning: Meaning
    code: str
    advice: str = ""


_RIGHTS = "Make the bot an administrator of the chat and give it the right that it lacks."
_WRONG_BOT = (
    "Copy the token again from @BotFather into the account's credentials. If it is right, look at "
    "TELEGRAM_API_URL: it must lead to a Bot API server."
)
_SWITCH = "Switch off what else fetches this bot's updates, or give this installation a bot of its own."
_BAD, _NO = ptb.BadRequest, ptb.Forbidden
NEVER, LATER, UNKNOWN, LIMITED = Meaning.NEVER, Meaning.LATER, Meaning.UNKNOWN, Meaning.LIMITED

FAILURES: tuple[Failure, ...] = (
    Failure(ptb.RetryAfter, "", LIMITED, "rate_limited"),
    Failure(ptb.ChatMigrated, "", LATER, "chat_migrated"),
    Failure(ptb.InvalidToken, "", NEVER, "bot_token_invalid", _WRONG_BOT),
    # 403: the person or the group does not want us
    Failure(_NO, "blocked by the user", NEVER, "bot_blocked", "Nothing: the person has to unblock the bot."),
    Failure(_NO, "user is deactivated", NEVER, "user_deactivated", "Nothing: the person's account is gone."),
    Failure(
        _NO, "can't initiate conversation", NEVER, "cannot_initiate", "The person has to press START first."
    ),
    Failure(_NO, "can't send messages to bots", NEVER, "cannot_initiate", "A bot can't write to a bot."),
    Failure(
        _NO, "kicked from|not a member of|group chat was deleted", NEVER, "bot_removed", "Add the bot again."
    ),
    Failure(_NO, "rights|administrator", NEVER, "not_enough_rights", _RIGHTS),
    Failure(_NO, "", NEVER, "forbidden", "See Telegram's words."),
    # the same in capitals, with 400
    Failure(_BAD, "USER_IS_BLOCKED", NEVER, "bot_blocked", "Nothing: the person has to unblock the bot."),
    Failure(
        _BAD, "INPUT_USER_DEACTIVATED", NEVER, "user_deactivated", "Nothing: the person's account is gone."
    ),
    Failure(_BAD, "CHAT_WRITE_FORBIDDEN|not enough rights to send", NEVER, "not_enough_rights", _RIGHTS),
    # 400: rights and members
    Failure(
        _BAD, "not enough rights|CHAT_ADMIN_REQUIRED|have no rights", NEVER, "not_enough_rights", _RIGHTS
    ),
    Failure(
        _BAD,
        "user is an administrator of the chat|can't remove chat owner|can't restrict self",
        NEVER,
        "user_is_administrator",
        "Administrators and the owner can't be removed or restricted; take their rights first.",
    ),
    Failure(_BAD, "USER_ALREADY_PARTICIPANT", NEVER, "already_participant", "Nothing: it is so already."),
    Failure(_BAD, "HIDE_REQUESTER_MISSING", NEVER, "request_gone", "Nothing: somebody else has decided."),
    Failure(_BAD, "PARTICIPANT_ID_INVALID", LATER, "participant_id_invalid"),
    # 400: what was asked for
    Failure(
        _BAD, "chat not found|PEER_ID_INVALID", NEVER, "chat_not_found", "The person must write to this bot."
    ),
    Failure(_BAD, "chat_id is empty", NEVER, "chat_not_found", "The contact has no id of Telegram."),
    Failure(_BAD, "can't parse entities", NEVER, "cant_parse", "Set the account's option format to plain."),
    Failure(_BAD, "text is empty|text must be non-empty", NEVER, "text_empty", "There was nothing to send."),
    Failure(
        _BAD, "message is too long", NEVER, "text_too_long", "Telegram takes 4,096 characters a message."
    ),
    Failure(_BAD, "message is not modified", NEVER, "not_modified", "Nothing: it is so already."),
    Failure(
        _BAD, "bad webhook", NEVER, "bad_webhook", "The address must be https and reachable by Telegram."
    ),
    Failure(_BAD, "", NEVER, "bad_request", "See Telegram's words."),
    Failure(ptb.Conflict, "", NEVER, "conflict", _SWITCH),
    # no answer, or half of one
    Failure(NotSent, "", LATER, "unreachable"),
    Failure(CutOff, "", UNKNOWN, "cut_off"),
    Failure(ServerTrouble, "", LATER, "server_error"),
    Failure(ptb.TimedOut, r"was \*not\* sent", LATER, "unreachable"),
    Failure(ptb.TimedOut, "", UNKNOWN, "cut_off"),
    Failure(ptb.NetworkError, "too many requests", LIMITED, "rate_limited"),
    Failure(
        ptb.NetworkError, "entity too large", NEVER, "text_too_long", "Telegram takes no such amount of data."
    ),
    Failure(
        ptb.NetworkError, r"\(3\d\d\)", NEVER, "wrong_address", "TELEGRAM_API_URL leads to another server."
    ),
    Failure(ptb.NetworkError, "unknown error in http", UNKNOWN, "cut_off"),
    Failure(ptb.NetworkError, "", LATER, "http_error"),
    # the answer is no JSON, though its status says that all is well
    Failure(ptb.TelegramError, "", UNKNOWN, "unreadable_answer"),
)


def find(error: ptb.TelegramError) -> Failure:
    """The entry for this error; the last one fits every one."""
    words = error.message
    return next(
        one for one in FAILURES if isinstance(error, one.kind) and re.search(one.words, words, re.IGNORECASE)
    )


def classify(error: ptb.TelegramError, *, repeatable: bool = False) -> SwitchboardError:
    """Our error for one of python-telegram-bot. `repeatable`: asking twice does no harm, so what is unknown may
    simply be tried again."""
    found = find(error)
    said = redact_text(error.message)[:LONGEST_WORDS]
    message = f"Telegram: {said}"
    if found.meaning is Meaning.LIMITED:
        return Postpone(wait(error), message, code=found.code)
    if found.meaning is Meaning.NEVER:
        return PermanentError(message, code=found.code, advice=found.advice)
    if found.meaning is Meaning.UNKNOWN and not repeatable:
        return OutcomeUnknown(message, code=found.code)
    return TransientError(message, code=found.code)


def wait(error: ptb.TelegramError) -> float:
    """The seconds for which Telegram wants to be left alone."""
    asked = getattr(error, "retry_after", None)
    return pause(asked.total_seconds() if isinstance(asked, timedelta) else asked)
