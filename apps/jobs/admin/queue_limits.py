"""Rate and concurrency of a queue, set while the system runs (apps/jobs/throttle.py keeps them)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.jobs.models import QueueState
from apps.jobs.queue import page, per_second


class QueueLimitForm(forms.ModelForm):
    """The queue is one of the page, the rate in Celery's form."""

    queue = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    rate = forms.CharField(
        required=False,
        max_length=20,
        widget=UnfoldAdminTextInputWidget,
        help_text="The most jobs that all workers together begin: 30/s, 600/m or 1000/h. "
        "Empty: what project/queues.py says. Not kept while Redis is away.",
    )
    concurrency = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The most jobs that all workers together have in flight. Empty: what project/queues.py says.",
    )

    class Meta:
        model = QueueState
        fields = ("queue", "rate", "concurrency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if field := self.fields.get("queue"):
            taken = set(QueueState.objects.exclude(pk=self.instance.pk).values_list("queue", flat=True))
            field.choices = [(name, name) for name in settings.QUEUES if name not in taken]  # type: ignore[attr-defined]

    def clean_rate(self) -> str:
        rate = str(self.cleaned_data["rate"]).replace(" ", "")
        if rate:
            try:
                per_second(rate)
            except ValueError as error:
                raise forms.ValidationError(str(error)) from error
        return rate


@admin.register(QueueState)
class QueueStateAdmin(ModelAdmin):
    """One row for each queue whose limits an operator has set; without a row the page of queues holds."""

    form = QueueLimitForm
    list_display = ("queue", "rate_now", "concurrency_now")
    ordering = ("queue",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("queue",) if obj else ()

    @admin.display(description="rate")
    def rate_now(self, state: QueueState) -> str:
        return state.rate or _on_page(state.queue, "rate")

    @admin.display(description="concurrency")
    def concurrency_now(self, state: QueueState) -> str:
        return str(state.concurrency or _on_page(state.queue, "concurrency"))


def _on_page(queue: str, field: str) -> str:
    if queue not in settings.QUEUES:
        return "not on the page of queues any more"
    return str(getattr(page(queue), field) or "no limit")
