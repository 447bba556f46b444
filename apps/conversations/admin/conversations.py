"""Conversations: a list, and each as a transcript with the jobs behind its messages. To read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from apps.conversations.admin.behind import jobs_behind
from apps.conversations.admin.reading import ReadOnlyAdmin
from apps.conversations.admin.transcript import Page, read_page
from apps.conversations.models import Conversation

LARGEST_POSITION = 2**31 - 1


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("contact", "account", "shown_state", "message_count", "last_message_at")
    list_filter = ("state", "account__channel")
    search_fields = ("public_id", "contact__name", "contact__external_id")
    ordering = ("-last_message_at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return Conversation.objects.with_chatbot()

    def get_urls(self) -> list[URLPattern]:
        jobs = path(
            "<path:object_id>/jobs/",
            self.admin_site.admin_view(self.jobs_view),
            name="conversations_conversation_jobs",
        )
        return [jobs, *super().get_urls()]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # The link on a contact's page.
        if lookup == "contact__id__exact":
            return True
        return bool(super().lookup_allowed(lookup, value, request))

    @display(description="state", label={"open": "success", "closed": "warning"})
    def shown_state(self, conversation: Conversation) -> tuple[str, str]:
        return conversation.state, conversation.get_state_display()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The transcript. Nothing is changed here: a POST is refused."""
        conversation = self._opened(request, object_id)
        if conversation is None:
            messages.warning(request, f"There is no conversation {object_id}.")
            return HttpResponseRedirect(reverse("admin:conversations_conversation_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": str(conversation.contact),
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "original": conversation,
            "conversation": conversation,
            "page": self._page(request, conversation),
            "sees_jobs": _sees_jobs(request),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/conversations/transcript.html", context)

    def jobs_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The jobs behind the messages of a page: pieces of HTML that htmx puts in their places.

        Asked for by the page once it is shown, since this is the slow part (apps/conversations/admin/behind.py).
        """
        conversation = self._opened(request, object_id)
        if conversation is None or not _sees_jobs(request):
            raise PermissionDenied
        lines = jobs_behind(self._page(request, conversation))
        return TemplateResponse(request, "admin/conversations/jobs_behind.html", {"lines": lines})

    def _opened(self, request: HttpRequest, object_id: str) -> Conversation | None:
        conversation: Conversation | None = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, conversation):
            raise PermissionDenied
        return conversation

    def _page(self, request: HttpRequest, conversation: Conversation) -> Page:
        asked = request.GET.get("before", "")
        before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 12 else None
        return read_page(conversation, before=min(before, LARGEST_POSITION) if before is not None else None)


def _sees_jobs(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("jobs.view_job"))
