"""The express lane: POST /api/v1/messages without Django's request handling.

Most of what reaches a busy door is this one call, and a thread, a middleware stack and a request object cost several
times what storing the message costs. So under ASGI a request that is in order goes this way:

1. its head is plain (JSON, a length, a host we serve, TLS where it is asked for) and its API key is known;
2. its body is a `MessageIn` for an open account of the key's customer;
3. it joins the group that is committed next (inbox.py) and is answered after the commit.

Whatever is not in order is handed to Django and Ninja as if nobody had looked at it, so that there is one place
that says no and the two ways can't differ in what they refuse. Under WSGI the lane doesn't exist.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, MutableMapping
from functools import cache, lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http.request import split_domain_port, validate_host
from pydantic import ValidationError

from apps.accounts import scopes
from apps.accounts.services import authenticate_api_key, known_api_key
from apps.frontdoor import inbox, lookups, problems
from apps.frontdoor.api.messages import arrival_of, conflict
from apps.frontdoor.auth import bearer
from apps.frontdoor.headers import as_pairs, security_headers
from apps.frontdoor.off_loop import OffLoop
from apps.frontdoor.schemas import MessageIn

PATH = "/api/v1/messages"
LONGEST_LENGTH = 16  # digits of a Content-Length
LONGEST_WAIT = 30.0
"""Seconds until somebody whose message is not committed is told that it may have been stored."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[..., Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

JSON = b"application/json; charset=utf-8"
PROBLEM = problems.CONTENT_TYPE.encode()
# Who asks for a key or an account that isn't in memory: a few a second, whatever the load.
database = OffLoop("frontdoor-express", threads=2)
_asking: dict[Any, asyncio.Future[Any]] = {}


async def take(scope: Scope, receive: Receive, send: Send, django: Application) -> None:
    """Serve a POST to PATH: here if it is in order, else by `django`. An ASGI application but for the last argument."""
    secret = _secret_of_plain_head(scope)
    if secret is None:
        await django(scope, receive, send)
        return
    body = await _whole_body(receive)
    if body is None:
        return  # the caller has left, and what came may not be all
    arrival = await _arrival(scope, secret, body)
    if arrival is None:
        await django(scope, _again(body, receive), send)
        return
    status, kind, answer, more = await _stored(arrival)
    head = [
        (b"content-type", kind),
        (b"content-length", str(len(answer)).encode()),
        *as_pairs(security_headers()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": answer})


async def _stored(arrival: inbox.Arrival) -> tuple[int, bytes, bytes, Headers]:
    """Wait for the commit; the answer as status, content type, body and further headers."""
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            # Shielded: cancelled, it would be committed all the same, and its group could not tell the others.
            (receipt,) = await asyncio.shield(asyncio.wrap_future(inbox.group.put([arrival])))
        if not receipt.conflict:
            return 202, JSON, b'{"id": "%s", "status": "accepted"}' % str(receipt.public_id).encode(), []
        problem = conflict()
    except Exception as error:
        problem = problems.of(error, method="POST", path=PATH)
    return (
        problem.status,
        PROBLEM,
        problems.as_json(problem.status, problem.detail),
        as_pairs(problem.headers),
    )


async def _arrival(scope: Scope, secret: str, body: bytes) -> inbox.Arrival | None:
    """What is to be stored; None where Django must say what is wrong."""
    try:
        key = known_api_key(secret) or await _ask(("key", secret), authenticate_api_key, secret)
        if key is None or not key.has_scope(scopes.MESSAGES_WRITE):
            return None
        payload = MessageIn.model_validate_json(body)
        account = lookups.known_account(payload.account) or await _ask(
            ("account", payload.account), lookups.account_by_public_id, payload.account
        )
        return arrival_of(key, payload, account, _header(scope, b"idempotency-key"))
    except (ValidationError, problems.Problem, DatabaseError, InterfaceError):
        return None


async def _ask(about: Hashable, question: Callable[..., T], *args: Any) -> T:
    """Ask the database on a thread; whoever asks the same meanwhile gets the same answer."""
    asked = _asking.get(about)
    if asked is None:
        asked = database.ask(question, *args)
        _asking[about] = asked
        asked.add_done_callback(lambda _: _asking.pop(about, None))
    answer: T = await asyncio.shield(asked)
    return answer


def _secret_of_plain_head(scope: Scope) -> str | None:
    """The API key that a request brings whose head needs nobody's word; None where Django must look at it."""
    secret, kind, length, host = "", b"", -1, b""
    secure = scope.get("scheme") == "https"
    seen: set[bytes] = set()
    for name, value in scope["headers"]:
        if name in seen and name in _read_here():
            return None  # Django reads both as one, joined; we would choose
        seen.add(name)
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < LONGEST_LENGTH else -1
        elif name == b"host":
            host = value
        elif name == b"x-api-key":
            secret = secret or value.decode("latin-1")
        elif name == b"authorization":
            secret = bearer(value.decode("latin-1")) or secret
        elif name in (b"transfer-encoding", b"content-encoding"):
            return None
        elif (name, value.decode("latin-1")) == _proxy_says_secure():
            secure = True
    in_order = (
        secret
        and kind == b"application/json"
        and 0 < length <= (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or length)
        and _is_ours(host)
        and (secure or not settings.SECURE_SSL_REDIRECT)
    )
    return secret if in_order else None


@cache
def _read_here() -> frozenset[bytes]:
    """The headers that this lane reads."""
    names = {b"content-type", b"content-length", b"host", b"x-api-key", b"authorization", b"idempotency-key"}
    proxy = _proxy_says_secure()
    return frozenset(names | ({proxy[0]} if proxy else set()))


@lru_cache(maxsize=256)
def _is_ours(host: bytes) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


@cache
def _proxy_says_secure() -> tuple[bytes, str] | None:
    if settings.SECURE_PROXY_SSL_HEADER is None:
        return None
    name, value = settings.SECURE_PROXY_SSL_HEADER
    return name.removeprefix("HTTP_").replace("_", "-").lower().encode(), value


@cache
def _always() -> Headers:
    return as_pairs(security_headers())


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


async def _whole_body(receive: Receive) -> bytes | None:
    """The body as it came; None where the caller left in the middle of it."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that tells the body once more, then goes on with the real one."""
    told = False

    async def tell() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return tell
