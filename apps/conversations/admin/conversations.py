"""Contacts, conversations as transcripts, and messages; all to read. Only the pipeline writes them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.conversations.models import Contact, Conversation, Message

# More than a person reads on one page; the link below the transcript leads to all of them.
TRANSCRIPT_LENGTH = 200


class ReadOnlyAdmin(admin.ModelAdmin):
    """What people may look at and not touch."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "external_id", "account", "created_at")
    list_select_related = ("account",)
    search_fields = ("name", "external_id")
    ordering = ("-pk",)


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("contact", "account", "state", "message_count", "last_message_at")
    list_filter = ("state", "account__channel")
    search_fields = ("public_id", "contact__name", "contact__external_id")
    ordering = ("-last_message_at", "-pk")
    fields = ("contact", "account", "state", "message_count", "last_message_at", "public_id", "transcript")
    readonly_fields = ("transcript",)

    class Media:
        css = {"all": ["conversations/transcript.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return Conversation.objects.with_chatbot()

    @admin.display(description="transcript")
    def transcript(self, conversation: Conversation) -> SafeString:
        """The last messages as bubbles, oldest first. One statement."""
        messages = list(Message.objects.context_for([conversation.pk], last=TRANSCRIPT_LENGTH))
        if not messages:
            return format_html("<p>{}</p>", "Nothing was said yet.")
        person, chatbot = str(conversation.contact), conversation.account.chatbot.name
        bubbles = format_html_join("", "{}", ((_bubble(message, person, chatbot),) for message in messages))
        everything = reverse("admin:conversations_message_changelist")
        return format_html(
            '<div class="transcript">{}</div><p><a href="{}?conversation__id__exact={}">{}</a></p>',
            bubbles,
            everything,
            conversation.pk,
            "All messages of this conversation",
        )


def _bubble(message: Message, person: str, chatbot: str) -> SafeString:
    inbound = message.direction == Message.Direction.IN
    status = message.get_status_display()
    if message.is_fallback:
        status += ", fallback message"
    error = (
        format_html('<p class="bubble-error">{} {}</p>', message.error_code, message.error)
        if message.error or message.error_code
        else ""
    )
    return format_html(
        '<div class="bubble bubble-{}{}"><p class="bubble-who">{} · <time datetime="{}">{}</time></p>'
        '<p class="bubble-text">{}</p><p class="bubble-status">{}</p>{}</div>',
        message.direction,
        " bubble-failed" if message.status == Message.Status.FAILED else "",
        person if inbound else chatbot,
        message.created_at.isoformat(),
        date_format(timezone.localtime(message.created_at), "DATETIME_FORMAT"),
        message.text,
        status,
        error,
    )


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("beginning", "direction", "status", "conversation", "position", "created_at")
    list_filter = ("direction", "status", "is_fallback")
    list_select_related = ("conversation",)
    search_fields = ("=public_id", "=provider_message_id", "text")
    ordering = ("-pk",)

    @admin.display(description="text")
    def beginning(self, message: Message) -> str:
        return message.text[:80] + ("…" if len(message.text) > 80 else "")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # The link below a transcript.
        if lookup == "conversation__id__exact":
            return True
        return bool(super().lookup_allowed(lookup, value, request))  # type: ignore[arg-type]
