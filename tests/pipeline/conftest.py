"""A chatbot whose AI and channel do what a test tells them to, without a network."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.ai import registry as providers
from apps.ai.base import Answer, OnText, Provider, Turn
from apps.channels import registry as channels
from apps.channels.base import Outgoing, Sent
from apps.channels.widget.channel import WidgetChannel
from apps.conversations.models import Message
from apps.jobs.enqueueing import enqueue
from tests.factories.conversations import ChannelAccountFactory


class FakeProvider(Provider):
    name = "fake"
    uses_knowledge = True

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.errors: list[Exception] = []
        self.text: str | None = None

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        self.turns.append(turn)
        if self.errors:
            raise self.errors.pop(0)
        text = f"re: {turn.question}" if self.text is None else self.text
        return Answer(text=text, model="fake-1", tokens_in=11, tokens_out=7)


class FakeChannel(WidgetChannel):
    """The widget's place in the registry, with a memory."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.errors: list[Exception] = []
        self.announced: list[str] = []

    async def send(self, outgoing: Outgoing) -> Sent:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(outgoing)
        return Sent(provider_message_id=f"provider-{len(self.sent)}")

    def announce(self, conversation_ids: Any) -> None:
        self.announced += conversation_ids


@pytest.fixture
def ai(settings, monkeypatch):
    fake = FakeProvider()
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "fake": "tests.pipeline.conftest.FakeProvider"}
    monkeypatch.setattr(providers, "_load", lambda name, path: fake)
    return fake


@pytest.fixture
def channel(monkeypatch):
    fake = FakeChannel()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    return fake


@dataclass
class Talk:
    """One person and one chatbot."""

    account: Any
    sender: str = "person-1"
    said: list[str] = field(default_factory=list)

    @property
    def chatbot(self) -> Any:
        return self.account.chatbot

    @property
    def customer(self) -> int:
        return self.account.chatbot.customer_id

    def say(self, text: str, **changes: Any) -> str:
        """Something is accepted at the door; the id that it will carry."""
        message_id = str(uuid.uuid4())
        enqueue(
            "pipeline.receive_message",
            {
                "account": self.account.pk,
                "message_id": message_id,
                "sender": self.sender,
                "text": text,
                "received_at": "2026-11-22T03:00:00+00:00",
                **changes,
            },
            lane=f"sender:{self.account.pk}:{self.sender}",
            customer=self.customer,
            priority=3,
            correlation_id="c-1",
        )
        return message_id

    def lines(self) -> list[tuple[str, str, str]]:
        """What was said, by whom, and how far it got."""
        return list(
            Message.objects.order_by("conversation", "position").values_list("direction", "text", "status")
        )


@pytest.fixture
def talk(db, ai, channel):
    return Talk(ChannelAccountFactory(chatbot__provider="fake", chatbot__max_wait=20))
