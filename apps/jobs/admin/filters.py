"""Filters whose choices cost nothing: read from the code and the page of queues, never by DISTINCT."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import Customer
from apps.jobs.models import Job
from apps.jobs.task import registry

OFFERED_CUSTOMERS = 30
MADE_WITHIN = {"10": "10 minutes", "60": "hour", "1440": "24 hours", "10080": "7 days"}


class _Named(admin.SimpleListFilter):
    """One column, whose names are known; a name that is not (an old task) can still be asked for."""

    def names(self) -> Iterable[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = [name] if (name := self.value()) else []
        return [(name, name) for name in sorted({*self.names(), *chosen})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class TaskFilter(_Named):
    title, parameter_name = "task", "task"

    def names(self) -> Iterable[str]:
        return registry()


class QueueFilter(_Named):
    title, parameter_name = "queue", "queue"

    def names(self) -> Iterable[str]:
        return settings.QUEUES


class OpenReasonFilter(admin.SimpleListFilter):
    """Why it failed; cancelled jobs are closed at once, so they are no dead letters."""

    title, parameter_name = "reason", "failure_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, label in Job.Reason.choices if value != Job.Reason.CANCELLED]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(failure_reason=self.value()) if self.value() else queryset


class MadeFilter(admin.SimpleListFilter):
    title, parameter_name = "made within the last", "made"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(MADE_WITHIN.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if (value := self.value()) not in MADE_WITHIN:
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(minutes=int(value or 0)))


class CustomerFilter(admin.SimpleListFilter):
    """The first customers by name, and whichever is chosen: a row's customer is a link to this filter."""

    title, parameter_name = "customer", "customer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = Customer.objects.order_by("name", "pk").values_list("pk", "name")
        offered = dict(known[:OFFERED_CUSTOMERS])
        if (chosen := self._chosen()) and chosen not in offered:
            offered[chosen] = dict(known.filter(pk=chosen)).get(chosen, f"customer {chosen}")
        return [("0", "nobody's"), *((str(pk), name) for pk, name in offered.items())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if (chosen := self._chosen()) is None:
            return queryset
        return queryset.filter(customer=chosen) if chosen else queryset.filter(customer=None)

    def _chosen(self) -> int | None:
        value = self.used_parameters.get(self.parameter_name)
        if not value:
            return None
        if not (str(value).isascii() and str(value).isdecimal()) or len(str(value)) > 18:
            raise IncorrectLookupParameters(f"no customer {value!r}")
        return int(value)
