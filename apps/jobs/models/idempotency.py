"""Answers already given to callers that may ask again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class IdempotencyKey(models.Model):
    """One answer per customer and key, kept for 24 hours."""

    customer = models.ForeignKey("accounts.Customer", models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint("customer", "key", name="idempotency_once")]

    def __str__(self) -> str:
        return self.key
