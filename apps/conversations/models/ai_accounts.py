"""Accounts with AI providers, and in which order a chatbot asks them."""

from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from apps.accounts.models import Customer
from apps.conversations.models.chatbots import Chatbot
from apps.reliability.encryption import EncryptedJSONField


def check_server_address(address: str) -> None:
    """Raise ValidationError for what is no address of a server. A name without a dot is one (http://ollama:11434)."""
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in urlsplit(address).netloc or not address.isprintable() or " " in address:
        raise ValidationError(
            "It is no address such as http://127.0.0.1:11434/v1; the key goes into the credentials."
        )


class AiAccount(models.Model):
    """An account of a customer with a provider: where it answers, with which key, model and patience.

    Timeouts, the breaker and the rate limit belong to the account, not to the chatbots that use it.
    """

    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="ai_accounts")
    name = models.CharField(max_length=100)
    provider = models.CharField(
        max_length=50, help_text="A name in the registry of providers, such as openai."
    )
    base_url = models.CharField(
        blank=True,
        max_length=500,
        validators=[check_server_address],
        help_text="For your own server, such as http://127.0.0.1:11434/v1. Empty: the provider's.",
    )
    model = models.CharField(max_length=200, blank=True, help_text="Which model answers.")
    credentials = EncryptedJSONField(default=dict, blank=True)
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text="Settings of the provider, such as the temperature. No secrets here.",
    )
    timeout_seconds = models.PositiveSmallIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(300)],
        help_text="The longest one call may take; the chatbot's max_wait may end it sooner.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "AI account"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["customer", "name"], name="ai_account_name_once_per_customer")
        ]

    def __str__(self) -> str:
        return self.name


class ChatbotAi(models.Model):
    """One step of a chatbot's order: the account at the lowest position is asked first, the next when it fails."""

    chatbot = models.ForeignKey(Chatbot, on_delete=models.CASCADE, related_name="ai_order", db_index=False)
    account = models.ForeignKey(AiAccount, on_delete=models.PROTECT, related_name="uses")
    position = models.PositiveSmallIntegerField(default=1)
    model = models.CharField(max_length=200, blank=True, help_text="Empty: the account's.")

    class Meta:
        verbose_name = "AI of a chatbot"
        verbose_name_plural = "AI of chatbots, in order"
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["chatbot", "position"], name="one_ai_per_position")
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.account}"
