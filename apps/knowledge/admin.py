"""What chatbots know, to read, write and search."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.admin_lists import UncountedAdmin
from apps.knowledge.models import KnowledgeItem


@admin.register(KnowledgeItem)
class KnowledgeItemAdmin(UncountedAdmin):
    list_display = ("title", "chatbot", "updated_at")
    list_filter = (("chatbot", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("chatbot",)
    list_per_page = 50
    search_fields = ("title", "text")
    autocomplete_fields = ("chatbot",)
    readonly_fields = ("updated_at",)
    ordering = ("chatbot", "title")

    def get_queryset(self, request: HttpRequest) -> QuerySet[KnowledgeItem]:
        """The list shows no texts, so it reads none; they may be long."""
        return super().get_queryset(request).defer("text")
