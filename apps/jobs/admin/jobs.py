"""Every job, newest first. The page of one is its story (apps/jobs/admin/story.py)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from apps.jobs.admin import words
from apps.jobs.admin.filters import CustomerFilter, MadeFilter, QueueFilter, TaskFilter
from apps.jobs.admin.read_only import ReadOnlyAdmin
from apps.jobs.admin.story import Story
from apps.jobs.models import Job
from apps.reliability.redaction import redact_text

HEAVY = ("payload", "result", "progress", "metadata", "closed_why")
LARGEST_ID = 2**63 - 1


class StoryAdmin(ReadOnlyAdmin):
    """What lists of jobs share: columns, search, and the story as the page of one."""

    list_select_related = ("customer",)
    search_fields = ("id",)
    search_help_text = "A job's number or public id, a correlation id, or a lane; whole, not in part."
    can_act = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*HEAVY)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Whole values only: a part of a text could be found by reading every row alone."""
        term = search_term.strip()
        if not term:
            return queryset, False
        number = term.removeprefix("#")
        if number.isascii() and number.isdecimal() and int(number) <= LARGEST_ID:
            by_id = queryset.filter(pk=int(number))
            if by_id.exists():
                return by_id, False
        match = Q(correlation_id=term) | Q(lane=term)
        try:
            match |= Q(public_id=UUID(term))
        except ValueError:
            return queryset.filter(match), False
        return queryset.filter(match), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The story of one job. Nothing is changed here: a POST is refused."""
        job = self.get_object(request, unquote(object_id))
        if request.method not in ("GET", "HEAD") or not self.has_view_or_change_permission(request, job):
            raise PermissionDenied
        if job is None:
            return self._gone(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": str(job),
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "original": job,
            "job": job,
            "story": Story.of(job, viewer=request.user),
            "can_act": self.can_act and self.has_change_permission(request, job) and job.closed_at is None,
            "looks_at_letter": self.can_act,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/story.html", context)

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        messages.warning(
            request, f"There is no job {object_id} here (any more): finished jobs are not kept for ever."
        )
        return HttpResponseRedirect(reverse(f"admin:jobs_{self.opts.model_name}_changelist"))

    @admin.display(description="customer", empty_value=words.NOTHING)
    def shown_customer(self, job: Job) -> str | None:
        if job.customer_id is None:
            return None
        return format_html(
            '<a href="?customer={}">{}</a>', job.customer_id, job.customer or f"customer {job.customer_id}"
        )

    @admin.display(description="tries")
    def shown_attempts(self, job: Job) -> str:
        crashes = f", {job.crashes} crash{'' if job.crashes == 1 else 'es'}" if job.crashes else ""
        return f"{job.attempts}{crashes}"


@admin.register(Job)
class JobAdmin(StoryAdmin):
    list_display = (
        "number",
        "what",
        "due",
        "took",
        "shown_attempts",
        "whose",
    )
    list_filter = ("status", TaskFilter, QueueFilter, "failure_reason", CustomerFilter, MadeFilter)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*HEAVY, "error")

    @admin.display(description="job")
    def number(self, job: Job) -> str:
        return f"#{job.pk}"

    @admin.display(description="task and state")
    def what(self, job: Job) -> str:
        return format_html(
            '<span>{}<br><span class="job-{}">{}</span></span>', job.task, job.status, words.state(job)
        )

    @admin.display(description="due")
    def due(self, job: Job) -> str:
        return words.when(job.due_at)

    @admin.display(description="waited, ran")
    def took(self, job: Job) -> str:
        return format_html("<span>{}, <br>{}</span>", words.waited(job), words.ran(job))

    @admin.display(description="customer, lane")
    def whose(self, job: Job) -> str:
        lane = redact_text(job.lane) if job.lane else ""
        return format_html("<span>{}<br>{}</span>", self.shown_customer(job) or words.NOTHING, lane)
