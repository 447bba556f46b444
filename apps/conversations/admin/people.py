"""Contacts and messages, to read."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from apps.conversations.admin.reading import ReadOnlyAdmin
from apps.conversations.models import Contact, Message

BEGINNING = 80
STATUSES = {
    "received": "info",
    "pending": "warning",
    "sent": "success",
    "delivered": "success",
    "read": "success",
    "failed": "danger",
}


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "external_id", "account", "state", "created_at")
    list_select_related = ("account",)
    search_fields = ("name", "external_id")
    ordering = ("-pk",)
    fields = ("name", "external_id", "account", "closed_at", "closed_reason", "created_at", "conversations")
    readonly_fields = ("closed_at", "closed_reason", "conversations")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).defer("account__credentials")

    @display(description="state", label={"reachable": "success", "closed": "danger"})
    def state(self, contact: Contact) -> tuple[str, str]:
        """Whether they can be written to, and why not."""
        if contact.closed_at is None:
            return "reachable", "reachable"
        return "closed", f"closed: {contact.closed_reason}" if contact.closed_reason else "closed"

    @admin.display(description="conversations")
    def conversations(self, contact: Contact) -> str:
        url = reverse("admin:conversations_conversation_changelist")
        return format_html('<a href="{}?contact__id__exact={}">Their conversations</a>', url, contact.pk)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("beginning", "shown_direction", "shown_status", "talk", "position", "created_at")
    list_filter = ("direction", "status", "is_fallback")
    list_select_related = ("conversation__contact",)
    search_fields = ("=public_id", "=provider_message_id", "text")
    ordering = ("-pk",)
    fields = (
        "talk", "direction", "status", "text", "is_fallback", "in_reply_to", "position", "created_at",
        "sent_at", "provider_message_id", "error_code", "error", "details", "public_id",
    )  # fmt: skip
    readonly_fields = ("talk", "public_id")

    @admin.display(description="text")
    def beginning(self, message: Message) -> str:
        return message.text[:BEGINNING] + ("…" if len(message.text) > BEGINNING else "")

    @display(description="direction", label={"in": "info", "out": "primary"})
    def shown_direction(self, message: Message) -> tuple[str, str]:
        return message.direction, message.get_direction_display()

    @display(description="status", label=STATUSES)
    def shown_status(self, message: Message) -> tuple[str, str]:
        label = message.get_status_display()
        return message.status, f"{label}, fallback" if message.is_fallback else label

    @admin.display(description="conversation")
    def talk(self, message: Message) -> str:
        """To its place in the transcript."""
        url = reverse("admin:conversations_conversation_change", args=[message.conversation_id])
        return format_html(
            '<a href="{}?before={}#m{}">{}</a>',
            url,
            message.position + 1,
            message.position,
            message.conversation.contact,
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # The link below a transcript.
        if lookup == "conversation__id__exact":
            return True
        return bool(super().lookup_allowed(lookup, value, request))
