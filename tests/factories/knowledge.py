"""What chatbots know."""

import factory
from factory.django import DjangoModelFactory

from apps.knowledge.models import KnowledgeItem
from tests.factories.conversations import ChatbotFactory


class KnowledgeItemFactory(DjangoModelFactory):
    class Meta:
        model = KnowledgeItem

    chatbot = factory.SubFactory(ChatbotFactory)
    title = factory.Sequence(lambda number: f"Item {number}")
    text = "Something worth knowing."
