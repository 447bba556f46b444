"""What the template of the admin's first page gets (django-unfold calls `context`)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.monitoring.dashboard.figures import figures


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the index, with the figures of this person."""
    shown = figures(request.user)
    return {**context, "title": "Overview", "figures": shown, "figures_json": shown.as_json()}
