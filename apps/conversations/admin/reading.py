"""What people may look at and not touch."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.accounts.admin_lists import UncountedAdmin


class ReadOnlyAdmin(UncountedAdmin):
    """A list and a page to look at: only the pipeline writes these rows."""

    list_per_page = 50

    class Media:
        css = {"all": ["conversations/transcript.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
