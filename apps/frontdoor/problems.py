"""How we say no: one JSON shape for every refusal (RFC 9457, application/problem+json).

    {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "text: it is empty"}

`detail` tells a person what to change. It never repeats what was sent, so nothing secret comes back or gets
into a log.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from apps.reliability import database_outage

CONTENT_TYPE = "application/problem+json"
TRY_AGAIN_SECONDS = 2
LONGEST_DETAIL = 1_000

log = structlog.get_logger(__name__)

UNAUTHORIZED = "Send a valid API key as “Authorization: Bearer sb_…” or in the header X-API-Key."
UNAVAILABLE = "The database can't be reached right now. Nothing was stored; send the same request again."
TOO_SLOW = (
    "It could not be stored in time, and may be stored yet. Send the same request again; with the same id or "
    "Idempotency-Key it is stored once."
)
OURS = "Something went wrong on our side. It was written down; send the same request again later."


class Problem(Exception):
    """A refusal: HTTP status, and what the caller can do about it. `headers` go out with it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def as_json(status: int, detail: str) -> bytes:
    """The body of a refusal."""
    shape = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail[:LONGEST_DETAIL],
    }
    return json.dumps(shape).encode()


def title_of(status: int) -> str:
    """What the status is called."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """The refusal as a Django response."""
    return HttpResponse(
        as_json(status, detail), status=status, content_type=CONTENT_TYPE, headers=dict(headers or {})
    )


def install(api: NinjaAPI) -> None:
    """Let every failure of `api` leave in this shape."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(AuthenticationError, _unauthorized)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Http404, _not_found)
    api.add_exception_handler(OperationalError, _failed)
    api.add_exception_handler(InterfaceError, _failed)
    api.add_exception_handler(TimeoutError, _failed)
    api.add_exception_handler(DatabaseError, _failed)
    api.add_exception_handler(Exception, _failed)


def reasons(errors: list[dict[str, Any]]) -> str:
    """One line out of pydantic's list: where, and why."""
    lines = []
    for error in errors[:5]:
        place = ".".join(str(part) for part in error["loc"][1:] if part != "payload")
        reason = str(error["msg"]).removeprefix("Value error, ")
        lines.append(f"{place}: {reason}" if place else reason)
    if len(errors) > 5:
        lines.append(f"and {len(errors) - 5} more")
    return "; ".join(lines)


def _problem(request: HttpRequest, error: Any) -> HttpResponse:
    return response(error.status, error.detail, error.headers)


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    return response(422, reasons(error.errors))


def _unauthorized(request: HttpRequest, error: Any) -> HttpResponse:
    return response(401, UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    # Ninja's only reason for a 400 of its own; with DEBUG it would repeat what was sent.
    detail = "The body is not valid JSON." if error.status_code == 400 else error.message
    return response(error.status_code, detail)


def _not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return response(404, "There is nothing here.")


def unavailable() -> Problem:
    """The database is away, and nothing was stored."""
    return Problem(503, UNAVAILABLE, {"Retry-After": str(TRY_AGAIN_SECONDS)})


def of(error: Exception, *, method: str, path: str) -> Problem:
    """What a failure of ours says outside; it is logged here, with all that is known."""
    if isinstance(error, database_outage.StillAway):
        return unavailable()  # said once in the log, where it began
    if isinstance(error, OperationalError | InterfaceError):
        database_outage.noticed(error)
        log.warning("database_unavailable", method=method, path=path, error=str(error))
        return unavailable()
    if isinstance(error, TimeoutError):
        log.warning("database_too_slow", method=method, path=path)
        return Problem(503, TOO_SLOW, {"Retry-After": str(TRY_AGAIN_SECONDS)})
    log.error("request_failed", method=method, path=path, exc_info=error)
    return Problem(500, OURS)


def _failed(request: HttpRequest, error: Any) -> HttpResponse:
    return _problem(request, of(error, method=request.method or "", path=request.path))
