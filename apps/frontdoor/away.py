"""While the database keeps those who ask waiting: 503 at once, for every path that would ask it.

Under ASGI the answer is given on the event loop (`guarded`), because the threads may all be waiting; under WSGI by the
middleware (edge.py).
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.conf import settings
from django.db import connection

from apps.frontdoor import problems
from apps.frontdoor.headers import CORS, WIDGET, as_pairs, security_headers
from apps.reliability import database_outage, patience

LOCKED_SECONDS = 10
"""How long the door waits for a lock of SQLite's that another process holds."""
OURS = ("/api/", "/webhooks/")
TEXT = "text/plain; charset=utf-8"
FOR_PEOPLE = b"The database can't be reached right now. Try again in a moment.\n"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def serve() -> None:
    """This process serves a door: whoever asks the database for somebody outside waits seconds at most."""
    patience.by_default(patience.DOOR)
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["timeout"] = LOCKED_SECONDS


def refusal(path: str) -> tuple[bytes, dict[str, str]] | None:
    """Body and headers of the 503 for `path`; None where the request may go on."""
    if not database_outage.outage.quiet() or path.startswith(_without_database()):
        return None
    problem = problems.unavailable()
    if not path.startswith(OURS):
        return FOR_PEOPLE, {"Content-Type": TEXT} | problem.headers
    headers = {"Content-Type": problems.CONTENT_TYPE} | problem.headers
    if path.startswith(WIDGET):
        headers |= CORS
    return problems.as_json(problem.status, problem.detail), headers


def guarded(application: Application) -> Application:
    """`application`, an ASGI one, but for what is refused here."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        refused = refusal(scope["path"]) if scope["type"] == "http" else None
        if refused is None or scope["method"] == "OPTIONS":
            await application(scope, receive, send)
            return
        body, headers = refused
        head = as_pairs(headers | security_headers() | {"Content-Length": str(len(body))})
        await send({"type": "http.response.start", "status": 503, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return guard


def _without_database() -> tuple[str, ...]:
    return (f"/{settings.STATIC_URL.lstrip('/')}", "/widget.js", "/widget/")
