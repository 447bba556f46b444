"""A chatbot of a customer, and the accounts on channels where people reach it."""

from uuid import uuid4

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from apps.accounts.models import Customer
from apps.conversations.models.origins import validate_origins
from apps.reliability.encryption import EncryptedJSONField

GREETING = "Hello! How can I help you?"
FALLBACK_MESSAGE = "Sorry, I can't answer right now. Please try again in a few minutes."


class Chatbot(models.Model):
    """What answers: which provider, with which words, and how long it may take.

    `max_wait` is in seconds, counted from the first unanswered message; then the fallback message goes out.
    """

    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="chatbots")
    name = models.CharField(max_length=100)
    greeting = models.TextField(blank=True, default=GREETING, help_text="The first words on the chat page.")
    system_prompt = models.TextField(blank=True, help_text="What the AI is told about its role.")
    provider = models.CharField(
        max_length=50, default="builtin", help_text="Which AI answers where no AI account is listed."
    )
    provider_options = models.JSONField(
        default=dict,
        blank=True,
        help_text="Settings of the provider, such as the temperature. No secrets here.",
    )
    max_wait = models.PositiveSmallIntegerField(
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(300)],
        help_text="Seconds a person waits for the AI before the fallback message goes out.",
    )
    fallback_message = models.TextField(default=FALLBACK_MESSAGE)
    answer_each_message = models.BooleanField(
        default=False, help_text="Answer every message by itself instead of several in a row together."
    )
    allowed_origins = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text='Where its widget may be embedded: ["https://shop.example", "https://*.shop.example"]. '
        "Empty: anywhere.",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class ChannelAccount(models.Model):
    """One account on one channel (a Telegram bot, a phone number, a web page) that leads to a chatbot.

    Its customer is the chatbot's. The credentials are encrypted at rest.
    """

    class OnUnknown(models.TextChoices):
        """What happens to a message when nobody knows whether it arrived."""

        SEND_AGAIN = "send_again", "Send again (the person may get it twice)"
        ASK_PERSON = "ask_person", "Ask a person"

    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    chatbot = models.ForeignKey(Chatbot, on_delete=models.PROTECT, related_name="accounts")
    channel = models.CharField(max_length=50)
    name = models.CharField(max_length=100, blank=True)
    credentials = EncryptedJSONField(default=dict, blank=True)
    options = models.JSONField(
        default=dict, blank=True, help_text="Settings of the channel. No secrets here."
    )
    debounce_seconds = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(30)],
        help_text="How long to wait for a next message before answering. Empty: what suits the channel.",
    )
    on_unknown = models.CharField(
        max_length=20,
        choices=OnUnknown,
        default=OnUnknown.SEND_AGAIN,
        verbose_name="when the outcome of a send is unknown",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.channel})" if self.name else self.channel
