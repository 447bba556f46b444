"""Just enough HTTP/1.1 for the yardstick: keep-alive, Content-Length, JSON, nothing else.

The stand-in and the load generator share two cores with what they measure, so they may cost next to nothing:
a request here is some 20 µs where a web framework takes several hundred. Whatever does not fit (a chunked
body, a header cut in an odd way) is an error, never a guess.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

HEAD_END = b"\r\n\r\n"


class WireError(Exception):
    """The other side spoke HTTP that this module does not."""


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        if b"\r\ntransfer-encoding:" in lowered:
            raise WireError("a chunked body, where a Content-Length was expected")
        return 0
    return int(head[at + 17 : lowered.find(b"\r\n", at + 17)])


class Messages(asyncio.Protocol):
    """Cuts the byte stream into (head, body) pairs; both sides of HTTP are this."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # TCP gives a Transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while True:
            end = buffer.find(HEAD_END)
            if end < 0:
                break
            head = buffer[: end + 2]
            start, stop = end + 4, end + 4 + _content_length(head)
            if len(buffer) < stop:
                break
            body, buffer = buffer[start:stop], buffer[stop:]
            self.message(head, body)
        self._buffer = buffer

    def message(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError


Handler = Callable[[str, str, bytes, "Server"], None]


class Server(Messages):
    """One connection of a server. `handler(method, path, body, answer)` answers now or later, once: by
    `answer(status, body)`, or piece by piece by `begin_events`, `write_event`, `end_events`."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    def message(self, head: bytes, body: bytes) -> None:
        method, path, _ = head[: head.find(b"\r\n")].decode("latin-1").split(" ", 2)
        self._handler(method, path, body, self)

    def __call__(self, status: int, body: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )

    def begin_events(self) -> None:
        """Server-sent events follow, chunked."""
        self._write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )

    def write_event(self, event: bytes) -> None:
        """One event, `data: …` with its blank line."""
        self._write(b"%x\r\n%b\r\n" % (len(event), event))

    def end_events(self) -> None:
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class Client(Messages):
    """One keep-alive connection of a client, one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    async def request(self, data: bytes) -> tuple[int, bytes]:
        """Send one ready-made request; gives status and body. Raises WireError when the connection ends."""
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self._waiting

    def message(self, head: bytes, body: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            raise WireError("an answer to nothing")
        waiting.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(WireError(f"the connection ended in the middle of a request: {exc}"))


def request_bytes(
    host: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """A whole request, ready to be written. `body` is made JSON unless it is bytes already."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join(lines).encode() + HEAD_END + data
