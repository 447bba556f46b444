"""A TCP proxy that can refuse connections, and swallow bytes without closing, as a half-open connection does."""

import asyncio
import socket
import time
from contextlib import suppress

from chaos.journal import Journal

PIECE = 65536


class Proxy:
    """`port` is what the system knows. Modes: pass, refuse, swallow.

    A connection that was open, or was opened, while bytes were swallowed stays dead for ever, on both sides: that is
    what the client of a half-open connection sees. It ends when its client gives it up. What is swallowed is recorded.
    """

    def __init__(self, port: int, target: int, journal: Journal, name: str) -> None:
        self.port, self.target, self.mode = port, target, "pass"
        self.journal, self.name = journal, name
        self._server: asyncio.Server | None = None
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._listen()

    async def set(self, mode: str) -> None:
        """Raises ValueError for an unknown mode."""
        if mode not in ("pass", "refuse", "swallow"):
            raise ValueError(f"no such mode: {mode}")
        self.mode = mode
        if mode == "refuse":
            if self._server:
                self._server.close()
                self._server = None
            for pair in list(self._open):
                for writer in pair:
                    writer.transport.abort()
        elif mode == "swallow":
            self._dead |= {client for client, _ in self._open}
        if mode != "refuse" and self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(self._serve, sock=listener, backlog=1024)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "swallow":
            self._dead.add(writer)
        try:
            behind, towards = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, towards)
        self._open.add(pair)
        try:
            await asyncio.gather(self._pump(reader, towards, writer), self._pump(behind, writer, writer))
        finally:
            self._open.discard(pair)
            self._dead.discard(writer)
            for one in pair:
                one.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE):
                if client in self._dead:
                    way = "back" if sink is client else "there"
                    self.journal.write({"at": time.time(), "api": "proxy", "of": self.name, "swallowed": way})
                    continue
                sink.write(piece)
                await sink.drain()
        if client not in self._dead or sink is not client:  # one end has gone: so does the other
            with suppress(OSError, RuntimeError):
                sink.close()
