"""The ASGI application: server-sent events, which hold a connection for long; everything else goes to Django.

In production only the events come here (Procfile: `events`), because Django's ASGI handler costs twice as much a
request as WSGI. For one process in development it serves everything.
"""

import os
import warnings
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django_application = get_asgi_application()

from apps.accounts.last_used import last_used  # noqa: E402 - after the apps are ready
from apps.frontdoor import express  # noqa: E402
from apps.frontdoor.events import application as events_application  # noqa: E402
from apps.operations.checks import stop_if_wrong  # noqa: E402
from apps.reliability import garbage  # noqa: E402

stop_if_wrong()
# Each web process writes beside its requests when its API keys were used.
last_used.start()
garbage.settle()
# Static files come as synchronous iterators; they are small, and in production the WSGI process serves them.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

EVENT_PATHS = ("/api/v1/widget/events",)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by path; answer the server's lifespan questions ourselves, Django refuses them."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"] in EVENT_PATHS:
        await events_application(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == express.PATH and scope["method"] == "POST":
        await express.take(scope, receive, send, django_application)
    else:
        await django_application(dict(scope), receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
