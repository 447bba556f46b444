"""What the fakes of the chat APIs share: a server on a thread, accounts with credit and limits, manners by order."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TEXT = "A lane keeps the jobs of one conversation in order: the next begins when the one before has ended."


@dataclass
class KeyAccount:
    """What belongs to one key. None: without end."""

    credit: int | None = None  # calls that are paid for
    calls_left: int | None = None  # until the rate limit says no


@dataclass
class Manner:
    """How the next call is answered, instead of properly.

    status, body, headers  as they are; a text is sent as an HTML page
    cut_after              the connection breaks after so many pieces of the stream
    event_after            after so many pieces this event comes, and the stream ends
    hang                   headers never come, until the server closes
    text, ending, usage    what is answered, the reason given for the end, whether tokens are counted
    with_end               whether the stream says that it has ended
    seconds                how long the answer takes; the pieces of a stream come spread over them
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    event_after: tuple[int, dict[str, Any]] | None = None
    hang: bool = False
    text: str = TEXT
    ending: str = ""
    usage: bool = True
    with_end: bool = True
    seconds: float = 0.0


class Refusal(Exception):
    """What the real server would answer with."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class FakeApi:
    """One fake. Subclasses say where it answers, what it refuses, and how an answer and its stream look."""

    path = ""

    def __init__(
        self, *, keys: dict[str, KeyAccount] | None = None, models: dict[str, int] | None = None
    ) -> None:
        self.keys = keys if keys is not None else {"sk-good-0123456789abcdef": KeyAccount()}
        self.models = models or {"model-1": 128_000}  # context, in tokens of four characters
        self.manners: deque[Manner] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most_at_once = 0

    # --- for tests ---

    @property
    def key(self) -> str:
        return next(iter(self.keys))

    def next(self, *manners: Manner) -> None:
        self.manners.extend(manners)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address of the server, which runs on a thread of its own."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        address: list[str] = []
        self.closing = asyncio.Event()

        async def serve() -> None:
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{tail:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
            address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            ready.set()
            await self.closing.wait()
            await runner.cleanup()

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield address[0]
        finally:
            loop.call_soon_threadsafe(self.closing.set)
            thread.join(10)
            loop.close()

    # --- the API ---

    def refuse(self, request: web.Request, body: dict[str, Any]) -> None:
        """Raise Refusal as the real one would."""
        raise NotImplementedError

    def usual(self, body: dict[str, Any]) -> Manner:
        """How a call is answered for which no manner waits."""
        return Manner()

    def not_found(self, path: str) -> Refusal:
        raise NotImplementedError

    def answer(self, body: dict[str, Any], manner: Manner) -> dict[str, Any]:
        raise NotImplementedError

    def stream(self, body: dict[str, Any], manner: Manner) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """(before the pieces, the pieces, after them)."""
        raise NotImplementedError

    def spend(self, key: str) -> KeyAccount | None:
        """The key's account, None for a stranger's. A call is counted where the account is asked for."""
        return self.keys.get(key)

    def tokens(self, body: dict[str, Any]) -> int:
        return sum(len(m["content"]) for m in body["messages"]) // 4 + len(body.get("system") or "") // 4

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await self._answered(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
        finally:
            self.under_way -= 1

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        if request.path != self.path or request.method != "POST":
            raise self.not_found(request.path)
        body = await request.json()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        manner = self.manners.popleft() if self.manners else self.usual(body)
        if manner.hang:
            await self.closing.wait()
        if isinstance(manner.body, str):
            return web.Response(
                status=manner.status, text=manner.body, content_type="text/html", headers=manner.headers
            )
        if manner.body is not None:
            return web.json_response(manner.body, status=manner.status, headers=manner.headers)
        self.refuse(request, body)
        if not body.get("stream"):
            await asyncio.sleep(manner.seconds)
            return web.json_response(self.answer(body, manner))
        return await self._streamed(request, body, manner)

    async def _streamed(
        self, request: web.Request, body: dict[str, Any], manner: Manner
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        before, pieces, after = self.stream(body, manner)
        if manner.cut_after is not None:
            for piece in [*before, *pieces[: manner.cut_after]]:
                await response.write(piece)
            assert request.transport
            request.transport.abort()
            return response
        if manner.event_after is not None:
            number, event = manner.event_after
            pieces, after = pieces[:number], [self.error_event(event)]
        with suppress(ConnectionResetError):
            for piece in before:
                await response.write(piece)
            for piece in pieces:
                if manner.seconds:
                    await asyncio.sleep(manner.seconds / len(pieces))
                await response.write(piece)
            for piece in after:
                await response.write(piece)
            await response.write_eof()
        return response

    def error_event(self, event: dict[str, Any]) -> bytes:
        return data(event)


def data(event: dict[str, Any] | str) -> bytes:
    return b"data: " + (event if isinstance(event, str) else json.dumps(event)).encode() + b"\n\n"


def words(text: str) -> list[str]:
    """The pieces in which a text is streamed."""
    parts = text.split(" ")
    return [part + " " for part in parts[:-1]] + parts[-1:] if text else []
