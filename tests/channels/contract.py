"""What every channel promises. A channel's test module subclasses this and says which one it is."""

import asyncio
import uuid
from typing import Any

import pytest

from apps.channels import registry
from apps.channels.base import Channel, Outgoing, Sent


class ChannelContract:
    """Subclass it as TestX, set `name`, and override `credentials` and fixtures where the channel needs a server
    to talk to."""

    name: str
    credentials: dict[str, Any] = {"token": "planted-secret"}
    recipient = "12345"

    @pytest.fixture
    def channel(self) -> Channel:
        return registry.get(self.name)

    def outgoing(self, text: str = "Hello") -> Outgoing:
        return Outgoing(
            message_id=str(uuid.uuid4()),
            conversation_id=str(uuid.uuid4()),
            recipient=self.recipient,
            text=text,
            credentials=self.credentials,
            account=str(uuid.uuid4()),
        )

    def test_is_registered_under_its_name(self, channel):
        assert channel.name == self.name
        assert channel.label
        assert registry.get(self.name) is channel

    def test_says_how_it_behaves(self, channel):
        assert 0 <= channel.debounce_seconds <= 30
        assert channel.max_text_length is None or channel.max_text_length >= 160
        assert isinstance(channel.repeatable, bool)

    @pytest.mark.parametrize("text", ["Hello", "👍", "line\nbreak", "<b>&amp;</b> {} %s \\", "é" * 160])
    def test_sends(self, channel, text):
        sent = asyncio.run(channel.send(self.outgoing(text)))
        assert isinstance(sent, Sent)
        assert isinstance(sent.provider_message_id, str)

    def test_sends_run_side_by_side(self, channel):
        async def many() -> list[Sent]:
            return await asyncio.gather(*(channel.send(self.outgoing(f"{n}")) for n in range(20)))

        assert len(asyncio.run(many())) == 20

    def test_announcing_never_raises(self, channel):
        channel.announce([])
        channel.announce([str(uuid.uuid4()), str(uuid.uuid4())])

    def test_credentials_are_not_shown(self):
        assert "planted-secret" not in repr(self.outgoing())
