"""Serve both fakes in a process of its own until it is ended: OpenAI's API and Anthropic's, each at its path.

    python -m tests.fakes.ai --port 8090

They answer `re: <the last line that the person wrote>`, unless told otherwise:

PUT /fake/behave   {"text", "seconds", "status", "hold"}, each if given; {}: properly again. hold=false lets go
GET /fake/calls?since=N     [{"number", "api", "lines", "asked", "stream", "begun", "ended", "cut"}, …]
GET /fake/counts   {"under_way", "most_at_once", "held"}
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.ai.anthropic_api import AnthropicApi
from tests.fakes.ai.openai_api import OpenAiApi
from tests.fakes.ai.server import FakeApi, Manner


@dataclass
class Usual:
    """How every call is answered. `text` empty: an echo. `status`: 500 and the like, with a body of no interest."""

    text: str = ""
    seconds: float = 0.0
    status: int = 200
    hold: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)


def asked(body: dict[str, Any]) -> str:
    """What the person wrote last, as far as they wrote without an answer."""
    return str(body["messages"][-1]["content"])


class Desk:
    """Both fakes, what all their calls are answered with, and the record of the calls."""

    def __init__(self) -> None:
        self.usual = Usual()
        self.calls: list[dict[str, Any]] = []
        self.under_way = self.most_at_once = self.held = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        for api in (OpenAiApi(), AnthropicApi()):
            api.usual = self.manner  # type: ignore[method-assign]
            app.router.add_post(api.path, self._recorded(api))
        app.router.add_put("/fake/behave", self._behave)
        app.router.add_get("/fake/calls", self._calls)
        app.router.add_get("/fake/counts", self._counts)
        return app

    def manner(self, body: dict[str, Any]) -> Manner:
        if self.usual.status != 200:
            return Manner(
                status=self.usual.status, body={"error": {"message": "told to", "type": "server_error"}}
            )
        text = self.usual.text or f"re: {asked(body).splitlines()[-1]}"
        return Manner(text=text, seconds=self.usual.seconds)

    def _recorded(self, api: FakeApi) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            call = {
                "number": len(self.calls),
                "api": type(api).__name__,
                "lines": len(body["messages"]),
                "asked": asked(body),
                "stream": bool(body.get("stream")),
                "begun": time.time(),
                "ended": None,
                "cut": False,
            }
            self.calls.append(call)
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
            try:
                if self.usual.hold:
                    self.held += 1
                    try:
                        await self.usual.released.wait()
                    finally:
                        self.held -= 1
                return await api._handle(request)
            except asyncio.CancelledError:  # its caller has hung up
                call["cut"] = True
                raise
            finally:
                self.under_way -= 1
                call["ended"] = time.time()

        return handle

    async def _behave(self, request: web.Request) -> web.Response:
        wanted, before = await request.json(), self.usual
        if wanted:
            kept = {name: getattr(before, name) for name in ("text", "seconds", "status", "hold")}
            self.usual = Usual(**{**kept, **wanted})
        else:
            self.usual, self.most_at_once = Usual(), self.under_way
        if self.usual.hold and before.hold:
            self.usual.released = before.released
        else:
            before.released.set()
        return web.json_response({})

    async def _calls(self, request: web.Request) -> web.Response:
        return web.json_response(self.calls[int(request.query.get("since", "0")) :])

    async def _counts(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"under_way": self.under_way, "most_at_once": self.most_at_once, "held": self.held}
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # handler_cancellation: a caller that hangs up is known at once
    web.run_app(
        Desk().app(),
        host="127.0.0.1", port=port, print=None, access_log=None, handler_cancellation=True, backlog=2048,
    )  # fmt: skip


if __name__ == "__main__":
    main()
