"""The HTTP API as one document: every room's router under its path, every refusal in one shape (RFC 9457)."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI

from apps.frontdoor import problems
from apps.frontdoor.api import router

api = NinjaAPI(
    title="Switchboard",
    version="1",
    description="Messages in, answers out. Refusals are `application/problem+json` and say what to change.",
    docs_url="/docs",
    openapi_url="/openapi.json",
)
problems.install(api)


@api.exception_handler(RequestDataTooBig)
def body_too_large(request: HttpRequest, error: Exception) -> HttpResponse:
    """A body that got past the front door's own limit (DATA_UPLOAD_MAX_MEMORY_SIZE is set lower)."""
    return problems.response(413, "The body is too large.")


api.add_router("/v1", router)
