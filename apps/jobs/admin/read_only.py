"""What the ledger's pages have in common: nobody writes a row by hand, and nothing counts a huge table."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from apps.accounts.admin_lists import UncountedAdmin

COUNTED = 2_000
"""The most rows that a list counts and offers; those beyond are found by filter or search."""


class BoundedPaginator(Paginator):
    """Counts no further than COUNTED."""

    @cached_property
    def _reached(self) -> int:
        rows: Any = self.object_list
        return len(rows.values_list("pk", flat=True)[: COUNTED + 1])

    @cached_property
    def count(self) -> int:
        return min(self._reached, COUNTED)

    @property
    def is_cut(self) -> bool:
        """Whether there are rows beyond the last page."""
        return self._reached > COUNTED


class ReadOnlyAdmin(UncountedAdmin):
    """A list and a page to look at. Columns can't be sorted by: only the order of ids has an index."""

    change_list_template = "admin/jobs/change_list.html"
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()
    ordering = ("-pk",)
    actions: Any = None

    class Media:
        css = {"all": ["jobs/desk.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, under its own name: "Select job to view" tells nobody anything."""
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})
