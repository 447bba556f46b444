"""Telegram accounts: the token is valid, the webhook is registered, leads here, and its calls come through."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from apps.conversations.models import ChannelAccount
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn
from apps.operations.doctor.outside import Reply, ask, host_of, side_by_side
from apps.operations.provision.report import webhook_address
from apps.reliability.encryption import DecryptionError

MANY_PENDING = 100
OLD_ERROR_SECONDS = 3600
NEEDED_UPDATES = frozenset({"message", "my_chat_member"})
# What Telegram says about our webhook (last_error_message), and what to do about it.
LAST_ERRORS = (
    (("401", "403"), "Another secret is registered than the account has. Register it anew:"),
    (("404",), "Nothing answers at that path: does the proxy send /webhooks/ to the web process?"),
    (
        ("301", "302", "307", "308"),
        "Redirected: the proxy must say that it spoke TLS (SECURE_PROXY_SSL_HEADER).",
    ),
    (("400",), "Refused before it was read: is the host one of ALLOWED_HOSTS?"),
    (
        ("500", "502", "503", "504"),
        "Is the web process running behind the proxy, and the database behind it?",
    ),
    (("SSL", "certificate"), "Telegram wants a valid certificate with its whole chain (fullchain.pem)."),
    (("resolve", "Name or service"), "The name has no address that Telegram can find: look at your DNS."),
    (
        ("timed out", "timeout", "refused", "reset", "Connection"),
        "A firewall, or nothing listens on that port.",
    ),
)


@dataclass(frozen=True, slots=True)
class Bot:
    """One account, and what Telegram said about it."""

    name: str
    public_id: str
    api: str
    address: str | None
    token: str = field(repr=False)
    has_secret: bool = True

    @property
    def register(self) -> str:
        return f"python manage.py telegram_webhook set {self.public_id}"


def check(asked: Settings) -> Iterator[Finding]:
    """getMe and getWebhookInfo of each active account: they change nothing and cost nothing."""
    bots: list[Bot] = []
    rows = ChannelAccount.objects.filter(channel="telegram", is_active=True, chatbot__is_active=True)
    for account in rows.select_related("chatbot").defer("credentials").order_by("pk"):
        try:
            bots.append(_bot(account))
        except DecryptionError:
            yield fail(
                f"{account.chatbot}", "its token can't be decrypted", "See keys above: enter it again."
            )
    for bot, (me, webhook) in zip(bots, side_by_side(_ask, bots), strict=True):
        if me.ahead is not None:
            asked.clocks.append((host_of(bot.api), me.ahead))
        yield from _judge(bot, me, webhook)
    if not bots:
        yield ok("accounts", "none")


def api_of(account: ChannelAccount) -> str:
    """The Bot API server of this account: Telegram's, or one of your own."""
    return str(getattr(settings, "TELEGRAM_API_URL", "https://api.telegram.org")).rstrip("/")


def _bot(account: ChannelAccount) -> Bot:
    return Bot(
        name=f"{account.chatbot}" + (f", {account.name}" if account.name else ""),
        public_id=str(account.public_id),
        api=api_of(account),
        address=webhook_address("telegram", account.public_id),
        token=str(account.credentials.get("bot_token", "")),
        has_secret=bool(account.credentials.get("secret_token")),
    )


def _ask(bot: Bot) -> tuple[Reply, Reply]:
    me = ask(f"{bot.api}/bot{bot.token}/getMe")
    if me.status != 200:
        return me, me
    return me, ask(f"{bot.api}/bot{bot.token}/getWebhookInfo")


def _judge(bot: Bot, me: Reply, webhook: Reply) -> Iterator[Finding]:
    where = host_of(bot.api)
    if me.problem:
        advice = "Can this machine reach it? A server of your own: TELEGRAM_API_URL."
        yield fail(bot.name, f"{where}: {me.problem}", advice)
        return
    if me.status in (401, 404):
        advice = (
            "Ask @BotFather for it (/mybots, API Token), and enter it: python manage.py provision --customer … "
            "--chatbot … --channel telegram --credential bot_token=-"
        )
        yield fail(bot.name, f"{where} doesn't know the token ({me.status})", advice)
        return
    user, info = result_of(me), result_of(webhook)
    if user is None or info is None:
        yield warn(bot.name, f"{where} answered {me.status}, {webhook.status}", "Try again in a minute.")
        return
    yield ok(bot.name, f"the token is @{user.get('username')}'s")
    yield from _webhook(bot, info)


def result_of(reply: Reply) -> dict[str, Any] | None:
    """What a method of the Bot API gave; None for anything but a success."""
    body = reply.json()
    if reply.status != 200 or not isinstance(body, dict) or not isinstance(body.get("result"), dict):
        return None
    found: dict[str, Any] = body["result"]
    return found


def _webhook(bot: Bot, info: dict[str, Any]) -> Iterator[Finding]:
    name, url = f"{bot.name}, webhook", str(info.get("url") or "")
    if not bot.has_secret:
        advice = "Calls can't be told from a stranger's. provision makes a secret; then register it:"
        yield fail(name, "the account has no secret_token", advice, bot.register)
    if not bot.address:
        advice = "Telegram must know where to call: PUBLIC_URL=https://your.host in .env; restart; then:"
        yield fail(name, "PUBLIC_URL is not set", advice, bot.register)
    elif not url:
        yield fail(name, "none is registered, so nothing comes in", "Register it:", bot.register)
    elif url != bot.address:
        advice = "Is another installation using this bot? A bot has one webhook. To let it lead here:"
        yield fail(name, f"leads to {host_of(url)} instead of {bot.address}", advice, bot.register)
    else:
        yield ok(name, f"leads to {url}")
    yield from _health(bot, name, info)


def _health(bot: Bot, name: str, info: dict[str, Any]) -> Iterator[Finding]:
    message, when = str(info.get("last_error_message") or ""), int(info.get("last_error_date") or 0)
    pending = int(info.get("pending_update_count") or 0)
    if message:
        seconds = time.time() - when
        old = seconds > OLD_ERROR_SECONDS and pending == 0
        found = f"Telegram's last failed call, {max(seconds, 0) / 60:.0f} min ago: {json.dumps(message)}"
        advice = next((text for words, text in LAST_ERRORS if any(word in message for word in words)), "")
        yield (note if old else warn)(name, found, advice, bot.register if advice.endswith(":") else "")
    if pending > MANY_PENDING:
        yield warn(
            name, f"{pending} updates wait at Telegram", "Its calls fail, or come too slowly: see above."
        )
    elif pending:
        yield note(name, f"{pending} updates wait at Telegram")
    wanted = set(info.get("allowed_updates") or NEEDED_UPDATES)
    if missing := NEEDED_UPDATES - wanted:
        yield warn(name, f"is not told about {', '.join(sorted(missing))}", "Register it anew:", bot.register)
