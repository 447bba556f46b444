"""Results of plain Celery tasks (django-celery-results), as this admin shows things. Jobs have their own row."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

# Its pages are registered when this module is loaded; only then can they be replaced.
from django_celery_results import admin as theirs
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.admin_lists import UncountedAdmin

admin.site.unregister([TaskResult, GroupResult])

STATES = {"SUCCESS": "success", "FAILURE": "danger", "RETRY": "warning", "STARTED": "info"}


@admin.register(TaskResult)
class TaskResultAdmin(theirs.TaskResultAdmin, UncountedAdmin):
    list_display = ("task_name", "state", "date_done", "worker", "task_id")  # type: ignore[assignment]
    # Not by name or worker: a DISTINCT over the whole table.
    list_filter = ("status", "date_done")  # type: ignore[assignment]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="status", ordering="status", label=STATES)
    def state(self, result: TaskResult) -> str:
        return str(result.status)


@admin.register(GroupResult)
class GroupResultAdmin(theirs.GroupResultAdmin, ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
