"""The inbox in the admin: to look at, never to change."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.admin_lists import UncountedAdmin
from apps.frontdoor.models import InboundEvent


@admin.register(InboundEvent)
class InboundEventAdmin(UncountedAdmin):
    list_display = ("public_id", "account", "sender", "event_id", "received_at")
    list_filter = (("account", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("=public_id", "=event_id", "=sender")
    ordering = ("-pk",)
    list_select_related = ("account",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundEvent]:
        return super().get_queryset(request).defer("account__credentials")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
