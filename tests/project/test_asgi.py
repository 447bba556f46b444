"""The ASGI dispatcher: events to the events, the server's lifespan to ourselves, the rest to Django."""

import asyncio
import importlib

import pytest
from a2wsgi import WSGIMiddleware

from apps.reliability import patience


@pytest.fixture(scope="module")
def asgi(django_db_setup, django_db_blocker):
    """The module; it looks at the accounts in the database when it is loaded."""
    with django_db_blocker.unblock():
        module = importlib.import_module("project.asgi")
    patience.by_default(None)  # it is the limit of a web process, and this is none
    return module


@pytest.fixture
def calls(monkeypatch, asgi):
    seen = []

    def recorder(name):
        async def application(scope, receive, send):
            seen.append((name, scope["path"]))

        return application

    monkeypatch.setattr(asgi, "events_application", recorder("events"))
    monkeypatch.setattr(asgi, "django_application", recorder("django"))
    return seen


async def _nothing(*_):
    raise AssertionError("nobody should read or write here")


@pytest.mark.parametrize(
    ("path", "goes_to"),
    [
        ("/api/v1/widget/events", "events"),
        ("/api/v1/widget/events/more", "django"),
        ("/api/v1/widget/messages", "django"),
        ("/healthz", "django"),
    ],
)
def test_dispatch(asgi, calls, path, goes_to):
    asyncio.run(asgi.application({"type": "http", "path": path}, _nothing, _nothing))
    assert calls == [(goes_to, path)]


def test_lifespan(asgi):
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answered = []

    async def receive():
        return next(asked)

    async def send(message):
        answered.append(message["type"])

    asyncio.run(asgi.application({"type": "lifespan"}, receive, send))
    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_django_gets_the_body_also_from_a_server_whose_receive_is_no_coroutine(asgi, monkeypatch):
    """granian's gives a future, and only to the event loop itself."""
    read, here = [], []

    def application(environ, start_response):
        read.append(environ["wsgi.input"].read(100))
        start_response("204 No Content", [])
        return []

    def receive():
        here.append(asyncio.get_running_loop())
        given = here[-1].create_future()
        given.set_result({"type": "http.request", "body": b"all of it", "more_body": False})
        return given

    async def send(message):
        pass

    monkeypatch.setattr(asgi, "threads", WSGIMiddleware(application))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
    }
    asyncio.run(asgi.application(scope, receive, send))
    assert read == [b"all of it"]
