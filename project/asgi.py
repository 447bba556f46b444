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

from apps.frontdoor.events import application as events_application  # noqa: E402 - after the apps are ready
from apps.operations.checks import stop_if_wrong  # noqa: E402

stop_if_wrong()
# Static files come as synchronous iterators; they are small, and in production the WSGI process serves them.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

EVENT_PATHS = ("/api/v1/widget/events",)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch by path; answer the server's lifespan questions ourselves, Django refuses them."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"] in EVENT_PATHS:
        await events_application(scope, receive, send)
    else:
        await django_application(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
