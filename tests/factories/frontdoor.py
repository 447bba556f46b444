"""What came in at the door, for tests."""

import factory
from factory.django import DjangoModelFactory

from apps.frontdoor.models import InboundEvent
from tests.factories.conversations import ChannelAccountFactory


class InboundEventFactory(DjangoModelFactory[InboundEvent]):
    class Meta:
        model = InboundEvent

    account = factory.SubFactory(ChannelAccountFactory)
    event_id = factory.Sequence(lambda number: f"event-{number}")
    sender = "person-1"
    payload = factory.LazyAttribute(lambda event: {"text": "When do you open?", "name": ""})
