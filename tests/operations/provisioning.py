"""A channel with a webhook and a provider with accounts, for the tests of set-up; and the command, run."""

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.ai.base import Provider
from apps.channels.base import Channel, Credential

TOKEN = "123456:planted-token-AAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Pager(Channel):
    """Needs a token and makes a secret of its own, as Telegram does."""

    name = "pager"
    label = "Pager"
    has_webhook = True
    credentials = (
        Credential("bot_token", "Token", "get one from the pager company"),
        Credential("secret_token", "Secret", made=True),
    )

    def problems(self, credentials: Mapping[str, Any]) -> list[str]:
        found = super().problems(credentials)
        if not found and ":" not in credentials["bot_token"]:
            found.append("bot_token has no colon: copy the whole token")
        return found

    def option_problems(self, options: Mapping[str, Any]) -> list[str]:
        return ["pace must be a number"] if isinstance(options.get("pace"), str) else []


class Oracle(Provider):
    name = "oracle"
    needs_account = True
    credential_names = ("api_key",)


def provision(*arguments: str) -> tuple[dict[str, Any], str]:
    """Run the command: the JSON that it printed, and what it said beside it."""
    out, err = StringIO(), StringIO()
    call_command("provision", *arguments, stdout=out, stderr=err)
    return json.loads(out.getvalue()), err.getvalue()


@pytest.fixture
def registries(settings: Any) -> None:
    """The pager among the channels, the oracle among the providers, and a public address."""
    settings.CHANNELS = {**settings.CHANNELS, "pager": f"{__name__}.Pager"}
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "oracle": f"{__name__}.Oracle"}
    settings.PUBLIC_URL = "https://chat.example.com"
