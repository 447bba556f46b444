"""Telegram bots: messages in by webhook, out by python-telegram-bot."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from telegram import Bot
from telegram.error import BadRequest, ChatMigrated, TelegramError

from apps.channels.base import Channel, Credential, Listener, Outgoing, Sent, Unverified, WebhookRequest
from apps.channels.events import ProviderEvent
from apps.channels.telegram import bots, failures, updates
from apps.channels.telegram.texts import LONGEST_TEXT, cleaned, formatted
from apps.reliability.errors import PermanentError
from apps.reliability.limiter import Limit

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - the header's name
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_RECIPIENT = re.compile(r"-?\d{1,19}|@\w{4,32}")
# Telegram says about 30 a second for a bot, 1 a second for a chat (short bursts may go over it) and 20 a minute for a
# group; rate and burst together stay within 30, and within 20, in any such stretch of time.
PER_BOT = 30.0
MOST_PER_BOT = 1_000.0  # with paid broadcasts
PER_CHAT = (1.0, 3)
PER_GROUP = (15 / 60, 5)


class TelegramChannel(Channel):
    """A bot of @BotFather. Options: `format` is markdown (default: what AIs write), html or plain; with
    `messages_per_second` the bot sends at most so many (30 without)."""

    name = "telegram"
    label = "Telegram"
    debounce_seconds = 1.0
    max_text_length = LONGEST_TEXT
    repeatable = False
    has_webhook = True
    has_breaker = True
    typing_seconds = 4.0  # it is shown for 5
    credentials = (
        Credential("bot_token", "Bot token", "The token that @BotFather gave you, such as 123456789:AA…"),
        Credential(
            "secret_token",
            "Webhook secret",
            "It proves that calls come from Telegram.",
            made=True,
        ),
    )
    closing_codes = frozenset({"bot_blocked", "user_deactivated", "cannot_initiate", "bot_removed"})

    async def send(self, outgoing: Outgoing) -> Sent:
        """One sendMessage; a second one where Telegram can't read the markup (then plain) or where the group has
        become a supergroup (then to its new id)."""
        chat = _chat(outgoing.recipient)
        text, mode = formatted(outgoing.text, str(outgoing.options.get("format", "markdown")))
        moved_to = ""
        for _ in range(3):
            try:
                message = await self._send(outgoing, moved_to or chat, text, mode)
            except ChatMigrated as error:
                if moved_to:
                    raise failures.classify(error) from None
                moved_to = str(error.new_chat_id)
            except BadRequest as error:
                if not mode or failures.find(error).code != "cant_parse":
                    raise failures.classify(error) from None
                text, mode = cleaned(outgoing.text), None
            except TelegramError as error:
                raise failures.classify(error) from None
            else:
                return Sent(provider_message_id=str(message), moved_to=moved_to)
        raise AssertionError("each reason to send again counts once")

    async def _send(self, outgoing: Outgoing, chat: int | str, text: str, mode: str | None) -> int:
        async def method(bot: Bot) -> int:
            sent = await bot.send_message(chat, text, parse_mode=mode)
            return sent.message_id

        return await bots.attempt(outgoing.credentials, method)

    def limits(self, outgoing: Outgoing) -> tuple[Limit, ...]:
        bot = f"telegram:{outgoing.account}"
        rate, burst = PER_GROUP if outgoing.recipient.startswith(("-", "@")) else PER_CHAT
        return (Limit(bot, *_pace(outgoing.options)), Limit(f"{bot}:{outgoing.recipient}", rate, burst))

    async def typing(self, listener: Listener) -> None:
        chat = _chat(listener.recipient)
        await bots.call(
            listener.credentials, lambda bot: bot.send_chat_action(chat, "typing"), repeatable=True
        )

    def verify(self, request: WebhookRequest, credentials: Mapping[str, Any]) -> None:
        """The secret token that we gave Telegram with setWebhook is in the header."""
        secret = credentials.get("secret_token")
        if not secret:
            if settings.DEBUG:
                return
            raise Unverified("the account has no secret_token, so nothing can be verified")
        given = request.headers.get(SECRET_HEADER, "")
        if not given:
            raise Unverified("the secret token is missing")
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), str(secret).encode()):
            raise Unverified("the secret token is another one; `manage.py telegram_webhook set` sets ours")

    def parse(self, body: bytes) -> list[ProviderEvent]:
        return updates.parse(body)

    def option_problems(self, options: Mapping[str, Any]) -> list[str]:
        if "messages_per_second" in options and _wanted_pace(options) is None:
            return ["messages_per_second must be a number from 0.1 to 1000; Telegram's own limit is about 30"]
        return []

    def problems(self, credentials: Mapping[str, Any]) -> list[str]:
        found = super().problems(credentials)
        token, secret = credentials.get("bot_token"), credentials.get("secret_token")
        if token and not (isinstance(token, str) and bots.TOKEN.fullmatch(token)):
            found.append("bot_token is no token of @BotFather: digits, a colon, 35 characters")
        if secret and not (isinstance(secret, str) and SECRET.fullmatch(secret)):
            found.append("secret_token must be 1 to 256 of the characters A-Z a-z 0-9 _ -")
        return found


def _chat(recipient: str) -> int | str:
    if not _RECIPIENT.fullmatch(recipient):
        raise PermanentError(
            "the contact's id is none of Telegram",
            code="chat_not_found",
            advice="The person must write to this bot.",
        )
    return recipient if recipient.startswith("@") else int(recipient)


def _wanted_pace(options: Mapping[str, Any]) -> float | None:
    """What the account's option says, None where it makes no sense."""
    try:
        wanted = float(options.get("messages_per_second", PER_BOT))
    except (TypeError, ValueError):
        return None
    return wanted if 0.1 <= wanted <= MOST_PER_BOT else None


def _pace(options: Mapping[str, Any]) -> tuple[float, int]:
    """Rate and burst of a bot: together what it may send in any second."""
    wanted = _wanted_pace(options) or PER_BOT
    burst = max(1, int(wanted) // 6)
    return (wanted if burst == 1 else wanted - burst), burst
