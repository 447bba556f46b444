"""A message, in or out, and how far it got."""

from collections.abc import Iterable
from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.db.models import F, FilteredRelation, Q
from django.utils import timezone

from apps.conversations.models.conversations import Conversation


class MessageQuerySet(models.QuerySet["Message"]):
    def unanswered(self, conversation_ids: Iterable[int]) -> Self:
        """What people wrote behind the last answered position of each conversation, oldest first, conversations one
        after the other. One statement that walks the index of positions; it never looks at the older history."""
        # Two hints for the planners, without which they may read a whole history and throw most of it away:
        # `+ 0` keeps SQLite from walking the index of messages first only because it is in the order asked for,
        # and the upper bound, always true, tells PostgreSQL that the range is narrow.
        return (
            self.alias(talk=FilteredRelation("conversation"))
            .filter(
                talk__pk__in=set(conversation_ids),
                position__gt=F("talk__answered_position"),
                position__lte=F("talk__message_count"),
                direction=Message.Direction.IN,
            )
            .order_by("conversation_id", F("position") + 0)
        )

    def after(self, position: int) -> Self:
        """What came behind this position, in order."""
        return self.filter(position__gt=position).order_by("position")


class Message(models.Model):
    """One message of a conversation.

    `position` is its place in the conversation, given under the conversation's lock, so that the order of
    positions is the order in which they were committed. Positions may have gaps.

    The life of an outbound message; it is only moved by apps.conversations.services and never goes back:

        pending ──▶ sent ──▶ delivered ──▶ read
           │      └──(the provider takes it back)──▶ failed
           └──▶ failed ──(arrived after all: takes a new position at the end)──▶ sent, delivered or read
    """

    class Direction(models.TextChoices):
        IN = "in", "In"
        OUT = "out", "Out"

    class Status(models.TextChoices):
        RECEIVED = "received", "Received"
        PENDING = "pending", "Pending"
        FAILED = "failed", "Failed"
        SENT = "sent", "Sent"
        DELIVERED = "delivered", "Delivered"
        READ = "read", "Read"

    # What a status may follow: everything that stands before it.
    RANKING: ClassVar = (Status.PENDING, Status.FAILED, Status.SENT, Status.DELIVERED, Status.READ)

    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )  # the unique constraint below leads with it
    position = models.PositiveIntegerField()
    direction = models.CharField(max_length=3, choices=Direction)
    text = models.TextField()
    status = models.CharField(max_length=10, choices=Status)
    in_reply_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replies", db_index=False
    )  # indexed below, for replies only
    is_fallback = models.BooleanField(default=False)
    provider_message_id = models.CharField(max_length=255, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)  # model, tokens, latency
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["conversation", "position"], name="message_position")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["in_reply_to"], condition=Q(in_reply_to__isnull=False), name="message_replies"
            ),
            # What providers call our messages, for their reports of them. Incoming ones carry none.
            models.Index(
                fields=["provider_message_id"],
                condition=Q(provider_message_id__gt=""),
                name="message_at_provider",
            ),
        ]

    def __str__(self) -> str:
        return f"Message {self.public_id}"
