"""What a chatbot knows: a list of titled texts."""

from django.core.validators import MaxLengthValidator
from django.db import models

from apps.conversations.models import Chatbot

# As much of a text as the index of either database takes in for certain.
LONGEST_TEXT = 100_000


class KnowledgeItem(models.Model):
    """One titled text. Both databases index it by themselves (see migration 0002), whoever writes the row."""

    chatbot = models.ForeignKey(
        Chatbot, on_delete=models.CASCADE, related_name="knowledge", db_index=False
    )  # the unique constraint below leads with it
    title = models.CharField(max_length=255)
    text = models.TextField(validators=[MaxLengthValidator(LONGEST_TEXT)])
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["chatbot", "title"],
                name="knowledge_title_once",
                violation_error_message="This chatbot has a text by this title already.",
            )
        ]

    def __str__(self) -> str:
        return self.title
