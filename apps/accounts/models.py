"""Whose work this is: users of the admin, plans, customers, their API keys, and what they used.

A customer's plan decides how early its jobs are claimed. API keys are kept as SHA-256 of 32 random bytes (too
much entropy to guess, so no slow hash is needed); the secret itself is shown once and kept nowhere.
Usage points at what was used by `reference`, never by a foreign key: it lies below all that it counts.
"""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.scopes import validate_scopes

LOWEST_PRIORITY = 5
# Monthly price in USD from which a priority holds, dearest first.
PRIORITY_BY_PRICE = ((Decimal(100), 1), (Decimal(50), 3))


class User(AbstractUser):
    """Somebody who logs in to the admin. Ours from the first migration, so that it can grow."""


class Plan(models.Model):
    """What a customer pays a month."""

    name = models.CharField(max_length=100, unique=True)
    monthly_price = models.DecimalField(
        "monthly price (USD)",
        max_digits=10,
        decimal_places=2,
        validators=[MinValueValidator(Decimal(0))],
        help_text="From 100: priority 1; from 50: priority 3; below: priority 5. Less is claimed earlier.",
    )
    weight = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text="Where customers of one priority wait for the same queue, one with weight 2 gets twice the share of "
        "one with weight 1.",
    )

    class Meta:
        ordering = ("-monthly_price", "name")
        constraints = (
            models.CheckConstraint(condition=models.Q(monthly_price__gte=0), name="plan_price_not_negative"),
            models.CheckConstraint(condition=models.Q(weight__gte=1), name="plan_weight_is_one_or_more"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def priority(self) -> int:
        """Priority of this plan's jobs: 1, 3 or 5 (less is earlier)."""
        for price, priority in PRIORITY_BY_PRICE:
            if self.monthly_price >= price:
                return priority
        return LOWEST_PRIORITY


class Customer(models.Model):
    """Somebody who runs chatbots here. An inactive customer's API keys are refused."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="customers")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name

    @property
    def priority(self) -> int:
        """Priority of this customer's jobs, without a plan the lowest. Reads the plan: select_related it."""
        return self.plan.priority if self.plan else LOWEST_PRIORITY


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        """Keys that open the door at `now`: not revoked, not expired, of an active customer."""
        return self.filter(
            models.Q(expires_at=None) | models.Q(expires_at__gt=now),
            revoked_at=None,
            customer__is_active=True,
        )


class ApiKey(models.Model):
    """A customer's way in: made by `services.create_api_key`, ended by `services.revoke_api_key`."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="What uses this key, for example “production website”.")
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    key_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, validators=[validate_scopes])
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (sb_{self.prefix}_…)"

    def has_scope(self, scope: str) -> bool:
        """Whether this key may do what `scope` names."""
        return scope in self.scopes


class UsageTotals(TypedDict):
    messages: int
    tokens_in: int
    tokens_out: int
    sends: int


class UsageQuerySet(models.QuerySet["UsageRecord"]):
    def totals(self, since: datetime, until: datetime) -> UsageTotals:
        """What was used from `since` (included) to `until` (not included), 0 where nothing was."""
        sums = {
            name: Coalesce(models.Sum(name), 0, output_field=models.BigIntegerField())
            for name in ("messages", "tokens_in", "tokens_out", "sends")
        }
        found = self.filter(created_at__gte=since, created_at__lt=until).aggregate(**sums)
        return UsageTotals(
            messages=found["messages"],
            tokens_in=found["tokens_in"],
            tokens_out=found["tokens_out"],
            sends=found["sends"],
        )


class UsageRecord(models.Model):
    """What one thing cost a customer. Written in bulk by `services.log_usage`, never changed."""

    # No index of its own: the index below begins with it.
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, db_index=False, related_name="usage")
    reference = models.CharField(max_length=64, help_text="What was used, for example “message 0b7c…”.")
    messages = models.PositiveIntegerField(default=0)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    sends = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    objects = UsageQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=["customer", "created_at"], name="usage_by_customer_and_time"),)

    def __str__(self) -> str:
        return self.reference
