"""Telegram passes what every channel passes, against the fake Bot API over HTTP."""

import pytest

from tests.channels.contract import ChannelContract


class TestTelegram(ChannelContract):
    name = "telegram"

    @pytest.fixture(autouse=True)
    def _somebody_to_write_to(self, bot, ada):
        self.recipient = str(ada.id)
        self.credentials = {"bot_token": bot.token, "secret_token": "planted-secret"}

    def test_says_what_it_needs(self, channel):
        assert channel.has_webhook
        assert not channel.repeatable
        assert channel.max_text_length == 4096
        assert {one.name: one.made for one in channel.credentials} == {
            "bot_token": False,
            "secret_token": True,
        }
