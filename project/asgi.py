"""The ASGI application: every HTTP process serves it, and the path decides who answers.

- server-sent events (`frontdoor.events`) and POSTs of messages that are in order (`frontdoor.express`) live on the
  event loop and need no thread;
- everything else is Django's, on a pool of threads that keep their database connections. Django's own ASGI handler
  would make a thread and a connection for each request.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
wsgi_application: Any = get_wsgi_application()

from a2wsgi import WSGIMiddleware  # noqa: E402 - after the apps are ready
from django.conf import settings  # noqa: E402

from apps.accounts.last_used import last_used  # noqa: E402
from apps.frontdoor import away, express  # noqa: E402
from apps.frontdoor.events import application as events_application  # noqa: E402
from apps.operations.checks import stop_if_wrong  # noqa: E402
from apps.reliability import garbage  # noqa: E402

stop_if_wrong()
away.serve()
threads: Any = WSGIMiddleware(wsgi_application, workers=settings.WEB_THREADS)
# Each web process writes beside its requests when its API keys were used.
last_used.start()
garbage.settle()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

EVENT_PATHS = ("/api/v1/widget/events",)


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """By path; the server's lifespan questions we answer ourselves, Django refuses them."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"] in EVENT_PATHS:
        await events_application(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == express.PATH and scope["method"] == "POST":
        await express.take(scope, receive, send, django_application)
    else:
        await django_application(scope, receive, send)


async def django_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Django. Its threads ask for the body by a coroutine of the event loop's, and granian's `receive` gives none."""

    async def received() -> MutableMapping[str, Any]:
        return await receive()

    await threads(scope, received, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


application = away.guarded(dispatch)
