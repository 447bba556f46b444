"""The person on the other side, and a conversation with them."""

import hashlib
from collections.abc import Iterable
from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.utils import timezone

from apps.conversations.models.chatbots import ChannelAccount


class Contact(models.Model):
    """A person as one channel account knows them; `external_id` is the channel's id of them."""

    account = models.ForeignKey(
        ChannelAccount, on_delete=models.PROTECT, related_name="contacts", db_index=False
    )  # the unique constraint below leads with it
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True)
    # A contact that can't be written to (they blocked the bot, left, deleted their account) until they write again.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    closed_reason = models.CharField(max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "external_id"], name="contact_once_per_account")
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def open(self) -> Self:
        return self.filter(state=Conversation.State.OPEN)

    def with_chatbot(self) -> Self:
        """With contact, account and chatbot in the same statement; credentials stay in the database, so that
        nothing is decrypted that isn't used."""
        return self.select_related("contact", "account__chatbot").defer("account__credentials")

    def by_token(self, token: str) -> Self:
        """The conversation this access token opens: one row or none."""
        return self.filter(access_token_hash=token_hash(token))

    def locked(self, pks: Iterable[int]) -> Self:
        """These conversations, locked in the order of their keys: two groups can't wait for each other."""
        return self.filter(pk__in=set(pks)).select_for_update(no_key=True).order_by("pk")


class Conversation(models.Model):
    """All that was said between a contact and a chatbot; at most one is open per contact.

    message_count      the last position given to a message; moves under this row's lock
    answered_position  up to where the person's messages have been answered
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, related_name="conversations")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="conversations")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    message_count = models.PositiveIntegerField(default=0, editable=False)
    answered_position = models.PositiveIntegerField(default=0, editable=False)
    # Not indexed on purpose: it moves with every message, and an index on it would make PostgreSQL write all
    # indexes of the row again each time.
    last_message_at = models.DateTimeField(null=True, editable=False)
    # NULL and not '' where there is none: many rows have none, and those that have one are unique.
    access_token_hash = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(state="open"), name="one_open_conversation"
            ),
            models.UniqueConstraint(fields=["access_token_hash"], name="conversation_access_token"),
        ]

    def __str__(self) -> str:
        return f"Conversation {self.public_id}"


def token_hash(token: str) -> str:
    """What is stored of an access token: its SHA-256. The tokens are random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
