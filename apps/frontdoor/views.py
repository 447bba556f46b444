"""The chat page, and the files of the widget. Everything they do beyond the first paint is in static/frontdoor/, over
the public API."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.frontdoor import reading, shipped

FRESH = "public, max-age=300, stale-while-revalidate=86400"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
# What page.js imports, so that the browser needn't find out one after the other.
MODULES = tuple(
    f"{name}.js"
    for name in (
        *("api", "chat", "dom", "look", "memory", "now"),
        *("prose", "stream", "texts", "transcript", "view"),
    )
)


@require_safe
def chat(request: HttpRequest, chatbot: str) -> HttpResponse:
    """The page of one chatbot, or a friendly 404."""
    page = reading.chat_page(public_id) if (public_id := _uuid(chatbot)) else None
    context: dict[str, Any] = {"version": shipped.shipment().version}
    if page is None:
        response = render(request, "frontdoor/chat_not_found.html", context, status=404)
    else:
        context |= {
            "page": page,
            "chatbot": public_id,
            "api": reading.API_PATH,
            "events": reading.events_url(),
            "modules": MODULES,
        }
        response = render(request, "frontdoor/chat.html", context)
    response["Content-Security-Policy"] = content_security_policy()
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def widget(request: HttpRequest) -> HttpResponse:
    """`/widget.js`: what a page embeds. Kept for five minutes, then asked for again with its tag."""
    return _sent(request, shipped.shipment().loader, FRESH)


@require_safe
def widget_file(request: HttpRequest, version: str, name: str) -> HttpResponse:
    """A file that `/widget.js` or the chat page loads. An old version gets today's file, which it must not keep."""
    shipment = shipped.shipment()
    file = shipment.files.get(name)
    if file is None:
        return HttpResponse("There is nothing here.\n", status=404, content_type="text/plain")
    return _sent(request, file, FOR_EVER if version == shipment.version else ASK_EACH_TIME)


def content_security_policy() -> str:
    """Our own files and our own API; nothing inline, nothing from elsewhere."""
    parts = urlsplit(settings.EVENTS_URL)
    elsewhere = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{elsewhere}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _sent(request: HttpRequest, file: shipped.File, cache: str) -> HttpResponse:
    headers = {
        "Cache-Control": cache,
        "ETag": file.tag,
        "Vary": "Accept-Encoding",
        # Modules are imported by pages of other origins; what is in them is public.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if file.tag in request.headers.get("If-None-Match", ""):
        return HttpResponse(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return HttpResponse(file.compressed, content_type=file.type, headers=headers)
    return HttpResponse(file.body, content_type=file.type, headers=headers)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
