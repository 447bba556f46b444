"""The worker processes: alive, or how they ended."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from apps.jobs.admin import words
from apps.jobs.admin.read_only import ReadOnlyAdmin
from apps.jobs.models import Job, Worker


class EndedFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("there", "not ended"), *Worker.Ending.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "there":
            return queryset.filter(ended_at=None)
        return queryset.filter(ended_how=self.value()) if self.value() else queryset


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("number", "process", "state", "heartbeat", "holds", "shown_queues", "started")
    list_filter = (EndedFilter,)
    fields = (
        "process",
        "state",
        "heartbeat",
        "shown_queues",
        "started",
        "lease",
        "host",
        "ended",
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With how many jobs each holds: one query over the index of what is running."""
        changes = super().get_changelist_instance(request)
        running = Job.objects.filter(status=Job.Status.PROCESSING).values("worker_id").order_by()
        holds = dict(running.annotate(jobs=Count("pk")).values_list("worker_id", "jobs"))
        changes.result_list = list(changes.result_list)
        for worker in changes.result_list:
            worker.jobs_held = holds.get(worker.pk, 0)
        return changes

    @admin.display(description="worker")
    def number(self, worker: Worker) -> str:
        return f"#{worker.pk}"

    @admin.display(description="process")
    def process(self, worker: Worker) -> str:
        return str(worker)

    @admin.display(description="state")
    def state(self, worker: Worker) -> str:
        if worker.ended_at is not None:
            good = worker.ended_how == Worker.Ending.STOPPED
            shown = f"{worker.get_ended_how_display() or 'ended'}, {words.away(worker.ended_at)}"
            return format_html('<span class="job-{}">{}</span>', "completed" if good else "failed", shown)
        if worker.lease_until <= timezone.now():
            return format_html('<span class="job-{}">{}</span>', "failed", "silent beyond its lease")
        return format_html('<span class="job-{}">{}</span>', "processing", "alive")

    @admin.display(description="last heartbeat")
    def heartbeat(self, worker: Worker) -> str:
        return words.when(worker.heartbeat_at)

    @admin.display(description="jobs held")
    def holds(self, worker: Any) -> int:
        return worker.jobs_held

    @admin.display(description="queues")
    def shown_queues(self, worker: Worker) -> str:
        return ", ".join(map(str, worker.queues)) or words.NOTHING

    @admin.display(description="started")
    def started(self, worker: Worker) -> str:
        return words.when(worker.started_at)

    @admin.display(description="lease until")
    def lease(self, worker: Worker) -> str:
        return words.when(worker.lease_until)

    @admin.display(description="ended")
    def ended(self, worker: Worker) -> str:
        return words.when(worker.ended_at)
