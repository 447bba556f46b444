"""The chat page. Everything it does beyond its first paint is in static/frontdoor/, over the public API."""

import uuid
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.frontdoor import reading

API_PATH = "/api/v1/widget"
EVENTS_PATH = f"{API_PATH}/events"


@require_safe
def chat(request: HttpRequest, chatbot: str) -> HttpResponse:
    """The page of one chatbot, or a friendly 404."""
    page = reading.chat_page(public_id) if (public_id := _uuid(chatbot)) else None
    if page is None:
        response = render(request, "frontdoor/chat_not_found.html", status=404)
    else:
        context = {"page": page, "chatbot": public_id, "api": API_PATH, "events": events_url()}
        response = render(request, "frontdoor/chat.html", context)
    response["Content-Security-Policy"] = content_security_policy()
    response["Cache-Control"] = "no-cache"
    return response


def events_url() -> str:
    """Where the page finds its live stream: at EVENTS_URL, else at this page's own address."""
    base: str = settings.EVENTS_URL
    return base.rstrip("/") + EVENTS_PATH


def content_security_policy() -> str:
    """Our own files and our own API; nothing inline, nothing from elsewhere."""
    parts = urlsplit(settings.EVENTS_URL)
    elsewhere = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{elsewhere}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
