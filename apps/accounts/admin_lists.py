"""What lists of large tables have in common, in every room."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class UncountedAdmin(ModelAdmin):
    """A list that never counts its whole table beside what is shown."""

    show_full_result_count = False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Says that all is shown where nothing was filtered or searched for; else the header would offer that."""
        changes: ChangeList = super().get_changelist_instance(request)
        if not (changes.query or changes.has_active_filters):
            changes.full_result_count = changes.result_count
        return changes
