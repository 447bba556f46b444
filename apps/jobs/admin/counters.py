"""How the jobs of each task ended in the last hour or day, from the counters: they outlive the jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import F, Max, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.jobs.admin import words
from apps.jobs.admin.read_only import ReadOnlyAdmin
from apps.jobs.models import JobCounter

WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def by_task(window: timedelta) -> list[dict[str, Any]]:
    """A row per task, the busiest first; times in words. One query over the index of minutes."""
    rows = (
        JobCounter.objects.filter(minute__gte=timezone.now() - window)
        .values("task")
        .annotate(
            **{f"sum_{name}": Sum(name) for name in ("completed", "failed", "retried", "postponed")},
            runs=Sum(F("completed") + F("failed") + F("retried") + F("postponed")),
            run=Sum("run_ms"),
            wait=Sum("wait_ms"),
            longest_run=Max("run_ms_max"),
            longest_wait=Max("wait_ms_max"),
        )
        .order_by("-runs", "task")
    )
    return [
        {
            **row,
            "mean_run": words.span(row["run"] / 1000 / max(1, row["runs"])),
            "mean_wait": words.span(row["wait"] / 1000 / max(1, row["runs"])),
            "longest_run": words.span(row["longest_run"] / 1000),
            "longest_wait": words.span(row["longest_wait"] / 1000),
        }
        for row in rows
    ]


@admin.register(JobCounter)
class JobCounterAdmin(ReadOnlyAdmin):
    """The rows are by worker, customer and minute; the page adds them up."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The sums. Anything but looking is refused."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        window = request.GET.get("last", "hour")
        window = window if window in WINDOWS else "hour"
        context = {
            **self.admin_site.each_context(request),
            "title": f"How jobs ended in the last {window}, by task",
            "opts": self.opts,
            "media": self.media,
            "window": window,
            "windows": list(WINDOWS),
            "rows": by_task(WINDOWS[window]),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/counters.html", context)

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def history_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404
