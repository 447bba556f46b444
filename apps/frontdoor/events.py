"""The browser's live stream: `GET /api/v1/widget/events`, server-sent events, as a plain ASGI application.

1. The token (in the Authorization header) says whose conversation it is; a page that was here before sends
   `Last-Event-ID`, the id of the last message it saw.
2. The stream joins the hub and then reads from the database what came after that message, in the order of the
   conversation. Joined first: what comes in between wakes it.
3. Woken, it reads on from where it was. Without Redis it looks every few seconds by itself.
4. A message to the visitor that is still on its way holds back what is behind it; one that failed is passed over
   (`reading.after`).
5. What passes by (`typing`, `draft`) is written as it comes from the hub: no id, no look into the database.

No message is lost or repeated, because the position only moves when a line has been handed to the server.
Django's request handling is not involved: it would cost a thread per open page.
"""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from ninja.responses import NinjaJSONEncoder

from apps.frontdoor import origins, problems, reading
from apps.frontdoor.auth import bearer, visitor_for
from apps.frontdoor.headers import CORS, PREFLIGHT, as_pairs
from apps.frontdoor.hub import Hub, Listener, TooManyListeners
from apps.frontdoor.lookups import Visitor
from apps.frontdoor.off_loop import OffLoop
from apps.frontdoor.schemas import LineOut

HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 5.0
"""How often a stream looks by itself while Redis is away."""
LONGEST_STREAM_SECONDS = 3600.0
"""Then the page connects anew, and its token is checked again."""
RETRY_MILLISECONDS = 2000

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

log = structlog.get_logger(__name__)
hub = Hub()
# A handful of threads with a connection each serves all streams of the process.
database = OffLoop("frontdoor-events", threads=4)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI, http only."""
    if scope["method"] == "OPTIONS":
        await _answer(send, 204, b"", CORS | PREFLIGHT)
        return
    try:
        if scope["method"] != "GET":
            raise problems.Problem(405, "This path takes GET only.", {"Allow": "GET"})
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        visitor = await database.ask(visitor_for, bearer(headers.get("authorization", "")))
        origins.check(headers.get("origin", ""), headers.get("host", ""), visitor.account.allowed_origins)
        position = await database.ask(_position, visitor, headers.get("last-event-id", ""))
        listener = _join(visitor)
    except problems.Problem as problem:
        await _refuse(send, problem)
        return
    except (OperationalError, InterfaceError) as error:
        await _refuse(send, problems.of(error, method="GET", path=scope["path"]))
        return
    try:
        await _stream(Stream(send, visitor.conversation, position), listener, receive)
    finally:
        await hub.leave(listener)


class Stream:
    """What one page has seen, and how it sees more."""

    def __init__(self, send: Send, conversation: int, position: int) -> None:
        self._send = send
        self._conversation = conversation
        self._position = position
        self._is_blind = False

    async def open(self) -> None:
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",  # nginx must not collect it
        }
        await self._send({"type": "http.response.start", "status": 200, "headers": as_pairs(headers | CORS)})
        await self.write(f"retry: {RETRY_MILLISECONDS}\n\n")

    async def write(self, text: str) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def close(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def catch_up(self) -> None:
        """Send all that can be seen by now. A database that is away is waited for: the next look will tell."""
        more = True
        while more:
            try:
                page = await database.ask(reading.after, self._conversation, self._position)
            except DatabaseError as error:
                if not self._is_blind:
                    log.warning("live_updates_without_database", error=type(error).__name__)
                self._is_blind = True
                return
            self._is_blind = False
            if page.lines:
                await self.write("".join(event(line) for line in page.lines))
            self._position, more = page.position, page.more

    @property
    def look_again_in(self) -> float:
        return HEARTBEAT_SECONDS if hub.hears and not self._is_blind else LOOK_SECONDS


def event(line: LineOut) -> str:
    """One message as a server-sent event, the JSON as the API writes it. It has no line breaks: one `data` line."""
    data = json.dumps(line.model_dump(), cls=NinjaJSONEncoder)
    return f"id: {line.id}\nevent: message\ndata: {data}\n\n"


async def _stream(stream: Stream, listener: Listener, receive: Receive) -> None:
    gone = asyncio.create_task(_until_gone(receive), name="frontdoor-gone")
    now = asyncio.get_running_loop().time
    ends_at, look_at = now() + LONGEST_STREAM_SECONDS, 0.0
    try:
        await stream.open()
        while not gone.done() and now() < ends_at:
            listener.woken.clear()
            if passing := listener.take_passing():
                await stream.write(passing)
            if listener.must_look:
                listener.must_look = False
                await stream.catch_up()
                look_at = now() + stream.look_again_in
            if not await _woken(listener, gone, max(0.0, look_at - now())) and not gone.done():
                listener.must_look = True
                await stream.write(": still here\n\n")
        if not gone.done():
            await stream.close()
    except OSError:
        log.debug("listener_left")  # some servers say it at the send
    finally:
        gone.cancel()
        await asyncio.wait([gone])


async def _woken(listener: Listener, gone: asyncio.Task[None], seconds: float) -> bool:
    """Wait until the listener is woken or gone; False when `seconds` went by."""
    woken = asyncio.create_task(listener.woken.wait())
    try:
        done, _ = await asyncio.wait({woken, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
    return bool(done)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _position(visitor: Visitor, last_event_id: str) -> int:
    with contextlib.suppress(ValueError):  # not an id of ours: from the beginning
        return reading.position_of(visitor.conversation, uuid.UUID(last_event_id))
    return 0


def _join(visitor: Visitor) -> Listener:
    try:
        return hub.join(visitor.conversation_id)
    except TooManyListeners:
        detail = "This conversation is open in too many places. Close some of them."
        raise problems.Problem(429, detail, {"Retry-After": "30"}) from None


async def _refuse(send: Send, problem: problems.Problem) -> None:
    headers = {"Content-Type": problems.CONTENT_TYPE} | CORS | problem.headers
    await _answer(send, problem.status, problems.as_json(problem.status, problem.detail), headers)


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": as_pairs(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})
