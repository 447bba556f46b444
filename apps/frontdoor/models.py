"""The inbox: what was let in at any door, one row per event of a provider, a program or a browser.

The row is the proof that an event was taken, and the reason why a repeat changes nothing. It says what was
written until the pipeline has made a message of it. Rows are kept eight days (`frontdoor.prune_inbox`), longer
than any provider repeats itself.
"""

import uuid
from datetime import datetime

from django.db import models
from django.utils import timezone


class InboundEventQuerySet(models.QuerySet["InboundEvent"]):
    def delete_older(self, *, than: datetime, limit: int) -> int:
        """Delete at most `limit` rows that were received before `than`; return how many.

        Rows come in by time, so the smallest primary keys are the oldest rows: no index on the time is needed.
        """
        oldest = self.order_by("pk").values_list("pk", "received_at")[:limit]
        gone = [pk for pk, received_at in oldest if received_at < than]
        return self.filter(pk__in=gone).delete()[0] if gone else 0


class InboundEvent(models.Model):
    """One event as it came in. `payload` holds `text` and `name`, until the message itself exists."""

    # No index of its own: the constraint below begins with it.
    account = models.ForeignKey(
        "conversations.ChannelAccount", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    event_id = models.CharField(max_length=255, help_text="The sender's id of this event, once per account.")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sender = models.CharField(max_length=255)
    payload = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = InboundEventQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["account", "event_id"], name="inbound_event_once_per_account"),
        )
        verbose_name = "inbound event"

    def __str__(self) -> str:
        return str(self.public_id)
