"""A fake Telegram over HTTP with a bot and a person who has started it."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.channels import registry
from apps.channels.base import Outgoing
from tests.fakes.telegram import Bot, FakeTelegram, Person


@pytest.fixture
def telegram(settings: Any) -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        settings.TELEGRAM_API_URL = fake.url
        settings.TELEGRAM_TIMEOUT_SECONDS = 5.0
        yield fake


@pytest.fixture
def bot(telegram: FakeTelegram) -> Bot:
    return telegram.bot("helper_bot")


@pytest.fixture
def ada(telegram: FakeTelegram, bot: Bot) -> Person:
    person = telegram.person("Ada", last_name="Lovelace")
    person.starts(bot)
    return person


@pytest.fixture
def channel(telegram: FakeTelegram) -> Any:
    return registry.get("telegram")


@pytest.fixture
def outgoing(bot: Bot, ada: Person) -> Any:
    """`outgoing("text", recipient=…, format=…)`"""

    def make(text: str = "Hello", recipient: object = None, **options: Any) -> Outgoing:
        return Outgoing(
            message_id="m",
            conversation_id="c",
            recipient=str(ada.id if recipient is None else recipient),
            text=text,
            credentials={"bot_token": bot.token, "secret_token": "s3cret"},
            account="0b7c6f2e-1111-4222-8333-444455556666",
            options=options,
        )

    return make
