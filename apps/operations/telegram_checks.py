"""What can be wrong with Telegram before the first message comes: settings, and accounts that anybody could write to.

The accounts are checked at the start of servers and workers (account_checks.py).
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import DatabaseError

from apps.conversations.models import ChannelAccount
from apps.operations import account_checks
from apps.operations.checks import TAG
from apps.reliability.encryption import DecryptionError

LONGEST_TIMEOUT = 14


def check_telegram_settings(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """TELEGRAM_API_URL is an address, TELEGRAM_TIMEOUT_SECONDS leaves time for two calls in one send."""
    found: list[CheckMessage] = []
    parts = urlsplit(settings.TELEGRAM_API_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "https://api.telegram.org, or your own Bot API server: http://127.0.0.1:8081"
        found.append(Error("TELEGRAM_API_URL is not a URL.", hint=hint, id=f"{TAG}.E041"))
    if not 1 <= settings.TELEGRAM_TIMEOUT_SECONDS <= LONGEST_TIMEOUT:
        hint = "A send may need two calls, and is ended after 30 seconds."
        problem = f"TELEGRAM_TIMEOUT_SECONDS is not between 1 and {LONGEST_TIMEOUT}."
        found.append(Error(problem, hint=hint, id=f"{TAG}.E042"))
    return found


def check_telegram_accounts() -> list[CheckMessage]:
    """Every active Telegram account has a secret token: without one, anybody could write in Telegram's name."""
    if settings.DEBUG:
        return []
    try:
        accounts = list(
            ChannelAccount.objects.filter(channel="telegram", is_active=True)
            .only("public_id", "name", "channel", "credentials")
            .order_by("pk")
        )
    except DatabaseError:  # away, or not migrated yet: who asks it next will say so
        return []
    except DecryptionError as error:
        hint = "Put the key that encrypted them back into ENCRYPTION_KEYS."
        return [
            Error(f"Credentials of Telegram accounts can't be read: {error}", hint=hint, id=f"{TAG}.E043")
        ]
    return [
        Error(
            f"The Telegram account {account.name or 'without a name'} ({account.public_id}) has no secret_token.",
            hint=(
                f"`manage.py telegram_webhook set {account.public_id}` makes one and tells Telegram. "
                "Or switch the account off."
            ),
            id=f"{TAG}.E040",
        )
        for account in accounts
        if not account.credentials.get("secret_token")
    ]


def register_all() -> None:
    """Let `manage.py` and the start of servers run them (called when the room is ready)."""
    register(check_telegram_settings, TAG)
    account_checks.CHECKS.append(check_telegram_accounts)
