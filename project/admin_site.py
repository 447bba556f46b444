"""How the admin looks: the settings of django-unfold. Its first page and its sidebar are in apps/monitoring."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static

# The blue of the chat page, from light to dark.
BLUE = {
    "50": "#eef4ff",
    "100": "#dce7fe",
    "200": "#bfd3fd",
    "300": "#93b4fa",
    "400": "#6490f3",
    "500": "#3f70ea",
    "600": "#2457c5",
    "700": "#1f48a3",
    "800": "#1e3d85",
    "900": "#1d366c",
    "950": "#142245",
}


def _icon(request: HttpRequest) -> str:
    return static("frontdoor/icon.svg")


def _style(request: HttpRequest) -> str:
    return static("monitoring/admin.css")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Switchboard",
    "SITE_HEADER": "Switchboard",
    "SITE_ICON": _icon,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "SITE_URL": None,  # there is no public page at /
    "STYLES": [_style],
    "COLORS": {"primary": BLUE},
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "apps.monitoring.dashboard.page.context",
    "SIDEBAR": {
        "show_search": True,
        "navigation": "apps.monitoring.sidebar.navigation",
    },
}
