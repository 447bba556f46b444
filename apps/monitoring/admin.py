"""The page of circuit breakers: which are open, half open or failing, what is held, and resetting one."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from apps.conversations import destinations
from apps.jobs.admin.deciding import LONGEST_REASON
from apps.jobs.admin.read_only import ReadOnlyAdmin
from apps.monitoring.breakers import line_of, lines
from apps.monitoring.models import Breaker
from apps.reliability import breaker
from apps.reliability.policies import policy_of

log = structlog.get_logger(__name__)


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    """A list that is no table: its rows are in Redis, and go when a breaker has closed."""

    def get_urls(self) -> list[URLPattern]:
        reset = path("reset/", self.admin_site.admin_view(self.reset_view), name="monitoring_breaker_reset")
        return [reset, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list. Anything but looking is refused."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        breakers, holds = lines()
        context = self._context(
            request, "Breakers", breakers=breakers, holds=holds, is_away=breaker.is_away()
        )
        return TemplateResponse(request, "admin/monitoring/breakers.html", context)

    def reset_view(self, request: HttpRequest) -> HttpResponse:
        """Asks for a reason, then closes the breaker that `name` says, and writes it into the admin's log."""
        name = request.GET.get("name", "")
        if not self.may_reset(request):
            raise PermissionDenied
        try:
            policy_of(name)
        except LookupError:
            raise Http404 from None
        if request.method == "POST":
            self._reset(request, name, " ".join(request.POST.get("why", "").replace("\x00", "").split()))
            return HttpResponseRedirect(reverse("admin:monitoring_breaker_changelist"))
        line = line_of(breaker.state(name), destinations.owners([name]).get(name))
        context = self._context(request, "Reset a breaker", line=line)
        return TemplateResponse(request, "admin/monitoring/reset.html", context)

    def may_reset(self, request: HttpRequest) -> bool:
        return request.user.has_perm("monitoring.reset_breaker")

    def _reset(self, request: HttpRequest, name: str, why: str) -> None:
        why = why[:LONGEST_REASON]
        try:
            was_there = breaker.reset(name)
        except (redis.RedisError, OSError):
            messages.error(
                request, "Redis can't be reached: nothing was reset, and meanwhile every call goes."
            )
            return
        reason = f"Reason: {why}" if why else "No reason given."
        self.log_change(request, Breaker(name=name), f"Reset. {reason}")
        log.warning("breaker_reset", breaker=name, by=request.user.get_username(), reason=why)
        said = f"{name} is closed: calls go again." if was_there else f"{name} was closed already."
        messages.success(request, said)

    def _context(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        request.current_app = self.admin_site.name
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "may_reset": self.may_reset(request),
            **more,
        }

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def history_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404
