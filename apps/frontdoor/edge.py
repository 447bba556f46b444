"""What holds for every request to /api/, before any view: size, content type, CORS, and the shape of a refusal.

Pages on other sites may speak to the widget's endpoints only. They send their token in a header and no cookie
ever, so `*` without credentials is safe and CSRF has nothing to hold on to. Which sites a chatbot allows is decided
behind the token (origins.py); a refusal is readable everywhere, so that whoever embeds a chat can see what to add.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.frontdoor import away, problems
from apps.frontdoor.headers import CORS, PREFLIGHT, WIDGET
from apps.reliability import patience

API = "/api/"
ADMIN = "/admin/"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Edge:
    """Django middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method != "OPTIONS" and (refused := away.refusal(request.path)):
            body, headers = refused
            return HttpResponse(body, status=503, headers=headers)
        if request.path.startswith(ADMIN):
            with patience.of(patience.ADMIN):  # people wait longer for a list than programs for a 202
                return self.get_response(request)
        if not request.path.startswith(API):
            return self.get_response(request)
        widget = request.path.startswith(WIDGET)
        if widget and request.method == "OPTIONS":
            return HttpResponse(status=204, headers=CORS | PREFLIGHT)
        response = refusal(request) or self.get_response(request)
        if response.status_code >= 400 and "json" not in response.get("Content-Type", ""):
            response = in_our_shape(response)
        if widget:
            for header, value in CORS.items():
                response[header] = value
        return response


def refusal(request: HttpRequest) -> HttpResponse | None:
    """Refuse a body before it is read: too long, not JSON, or not there."""
    if request.method not in WITH_BODY:
        return None
    largest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if largest is not None and _length(request) > largest:
        return problems.response(413, f"The body is larger than {largest} bytes.")
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return problems.response(411, "Send the body in one piece, with a Content-Length.")
    if _length(request) == 0:
        return problems.response(400, "The body is empty. Send JSON.")
    if request.content_type != "application/json":
        return problems.response(415, "Send JSON, with the header “Content-Type: application/json”.")
    return None


def in_our_shape(response: HttpResponseBase) -> HttpResponse:
    """Give a refusal that Django itself made (no such path, wrong method) the shape of ours."""
    details = {
        404: "There is nothing here: check the path against /api/docs.",
        405: f"This path takes {response.get('Allow', 'another method')} only.",
        500: problems.OURS,
    }
    kept = {name: response[name] for name in ("Allow", "Retry-After") if name in response}
    status = response.status_code
    return problems.response(status, details.get(status, problems.title_of(status)), kept)


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
