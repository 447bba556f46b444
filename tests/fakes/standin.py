"""The outside world of the survival tests and their only witness: AI, channel and marks over HTTP, one process.

    python -m tests.fakes.standin <port> <record.jsonl>

Every call is appended to the record BEFORE it is answered, so a sender that dies at any moment can't hide it; a
second line says when the answer had gone out, or that the caller had hung up.

    POST /ai, /send, /mark   recorded; answered after the delay of that kind
    PUT  /settings           {"ai": {"delay": 2, "status": 200, "hold": false}, …}: hold = keep until released
    GET  /counts             {"ai": {"begun": 3, "ended": 2, "held": 1}, …}
"""

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KINDS = ("ai", "send", "mark")


@dataclass
class Manners:
    """How calls of one kind are answered."""

    delay: float = 0.0
    status: int = 200
    hold: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Standin:
    def __init__(self, record: str) -> None:
        self.file = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.manners = {kind: Manners() for kind in KINDS}
        self.begun: dict[str, int] = defaultdict(int)
        self.ended: dict[str, int] = defaultdict(int)
        self.held: dict[str, int] = defaultdict(int)
        self.calls = 0

    def write(self, line: dict[str, Any]) -> None:
        os.write(self.file, (json.dumps(line) + "\n").encode())

    async def answer(self, request: web.Request) -> web.Response:
        kind = request.path.strip("/")
        body = await request.json()
        self.calls += 1
        call, manners = self.calls, self.manners[kind]
        self.write({"call": call, "kind": kind, "at": time.time(), **body})
        self.begun[kind] += 1
        try:
            if manners.hold:
                self.held[kind] += 1
                try:
                    await manners.released.wait()
                finally:
                    self.held[kind] -= 1
            await asyncio.sleep(manners.delay)
        except asyncio.CancelledError:
            self.write({"call": call, "kind": "cut", "at": time.time()})
            raise
        finally:
            self.ended[kind] += 1
        cut = request.transport is None or request.transport.is_closing()
        self.write({"call": call, "kind": "cut" if cut else "end", "at": time.time()})
        if kind == "ai":
            return web.json_response({"text": f"re: {body.get('text', '')}"}, status=manners.status)
        return web.json_response({"id": f"standin-{call}"}, status=manners.status)

    async def settings(self, request: web.Request) -> web.Response:
        for kind, wanted in (await request.json()).items():
            manners = self.manners[kind]
            manners.delay = float(wanted.get("delay", manners.delay))
            manners.status = int(wanted.get("status", manners.status))
            if "hold" in wanted:
                manners.hold = bool(wanted["hold"])
                manners.released.set()
                manners.released = asyncio.Event()
        return web.json_response({})

    async def counts(self, _request: web.Request) -> web.Response:
        counts = {k: {"begun": self.begun[k], "ended": self.ended[k], "held": self.held[k]} for k in KINDS}
        return web.json_response(counts)


def main(port: int, record: str) -> None:
    standin = Standin(record)
    app = web.Application()
    for kind in KINDS:
        app.router.add_post(f"/{kind}", standin.answer)
    app.router.add_put("/settings", standin.settings)
    app.router.add_get("/counts", standin.counts)
    # handler_cancellation: a caller that hangs up is known at once, not only when the answer is written
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, handler_cancellation=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
