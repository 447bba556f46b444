"""Tell Telegram where to bring a bot's updates, ask where it brings them, or take that back.

manage.py telegram_webhook set ACCOUNT [--url https://chat.example.com] [--drop-pending]
manage.py telegram_webhook info ACCOUNT
manage.py telegram_webhook delete ACCOUNT [--drop-pending]
"""

from __future__ import annotations

import asyncio
import json
import secrets
from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from telegram import WebhookInfo

from apps.channels.telegram import bots
from apps.conversations.models import ChannelAccount
from apps.reliability.errors import PermanentError, SwitchboardError

# What this and the rooms to come read. Telegram leaves out chat_member unless it is named.
ALLOWED_UPDATES = [
    "message",
    "edited_message",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "callback_query",
    "pre_checkout_query",
]
TELEGRAMS_OWN = "api.telegram.org"


class Command(BaseCommand):
    help = "Set, show or delete the webhook of a Telegram account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["set", "info", "delete"])
        parser.add_argument("account", help="the channel account's public id (a UUID)")
        parser.add_argument(
            "--url", help="the public https address of this installation; default: PUBLIC_URL"
        )
        parser.add_argument(
            "--max-connections",
            type=int,
            default=40,
            help="calls of Telegram side by side, 1 to 100 (default 40)",
        )
        parser.add_argument(
            "--drop-pending",
            action="store_true",
            help="forget the updates that Telegram still keeps for the bot",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        account = _account(options["account"])
        action = options["action"]
        if action == "set":
            self._set(account, options)
        elif action == "delete":
            _ask(account, lambda bot: bot.delete_webhook(drop_pending_updates=options["drop_pending"]))
            self.stderr.write("Telegram: deleted. Updates wait there for a day at most.")
        info = _ask(account, lambda bot: bot.get_webhook_info())
        self.stdout.write(json.dumps(_shown(info), indent=2))

    def _set(self, account: ChannelAccount, options: dict[str, Any]) -> None:
        if not 1 <= options["max_connections"] <= 100:
            raise CommandError("--max-connections: 1 to 100.")
        url = address(account, options["url"] or settings.PUBLIC_URL)
        secret = account.credentials.get("secret_token")
        if not secret:
            secret = secrets.token_urlsafe(32)
            account.credentials = {**account.credentials, "secret_token": secret}
            # Before Telegram knows it: a call with a secret that we don't know would be refused.
            account.save(update_fields=["credentials"])
            self.stderr.write("Made a secret_token for the account.")
        _ask(
            account,
            lambda bot: bot.set_webhook(
                url,
                secret_token=secret,
                allowed_updates=ALLOWED_UPDATES,
                max_connections=options["max_connections"],
                drop_pending_updates=options["drop_pending"],
            ),
        )
        self.stderr.write(f"Telegram: set to {url}")


def address(account: ChannelAccount, public_url: str) -> str:
    """Where Telegram shall bring the updates of this account. Raises CommandError for what it would refuse."""
    if not public_url:
        raise CommandError(
            "Say where Telegram reaches this installation: --url https://…, or set PUBLIC_URL."
        )
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{public_url!r} is not an address such as https://chat.example.com")
    own_server = urlsplit(settings.TELEGRAM_API_URL).hostname != TELEGRAMS_OWN
    if parts.scheme == "http" and not own_server:
        raise CommandError(
            "Telegram calls https addresses only: put a proxy with a certificate before Switchboard."
        )
    return f"{public_url.rstrip('/')}/webhooks/telegram/{account.public_id}"


def _account(named: str) -> ChannelAccount:
    try:
        found = ChannelAccount.objects.filter(public_id=UUID(named)).first()
    except ValueError:
        raise CommandError(
            f"{named!r} is not a public id (a UUID); the admin shows it on the account."
        ) from None
    if found is None:
        raise CommandError(f"There is no channel account {named}.")
    if found.channel != "telegram":
        raise CommandError(f"{found} is an account of the channel {found.channel}, not of telegram.")
    return found


def _ask(account: ChannelAccount, method: Any) -> Any:
    async def ask() -> Any:
        return await bots.call(account.credentials, method, repeatable=True)

    try:
        return asyncio.run(ask())
    except PermanentError as error:
        raise CommandError(f"{error} ({error.code}). {error.advice}") from None
    except SwitchboardError as error:
        server = settings.TELEGRAM_API_URL
        raise CommandError(
            f"No answer from {server}: {error} ({error.code}). Nothing else was changed; try again."
        ) from None


def _shown(info: WebhookInfo) -> dict[str, Any]:
    """What Telegram knows of the webhook, times as ISO 8601."""
    values = {name: getattr(info, name) for name in WebhookInfo.__slots__ if not name.startswith("_")}
    return {
        name: value.isoformat()
        if isinstance(value, datetime)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
        if value not in (None, ())
    }
