"""The figures of the admin's first page as JSON, for the page that shows them."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.monitoring.dashboard.figures import figures


@never_cache
@require_safe
def dashboard_figures(request: HttpRequest) -> JsonResponse:
    """What the person who is logged in may see. Only behind the admin's login (apps/monitoring/urls.py)."""
    return JsonResponse(figures(request.user).as_json())
