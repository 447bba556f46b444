"""The AI: tests/fakes/ai's OpenAI API, which refuses what the real one refuses, with a record and faults by seed."""

import asyncio
import time
from typing import Any

from aiohttp import web

from chaos.journal import Journal
from chaos.upstream.drawing import NEVER, Draw, Timing
from tests.fakes.ai.openai_api import OpenAiApi
from tests.fakes.ai.server import Manner


def last_words(body: dict[str, Any]) -> str:
    """What is asked: the last line that the person wrote."""
    return str(body["messages"][-1]["content"]).splitlines()[-1]


class Ai:
    """`POST /v1/chat/completions` answers `re: <the last line>`. `seconds`: how long it thinks."""

    def __init__(self, journal: Journal, draw: Draw, timing: Timing, seconds: float = 0.1) -> None:
        self.journal, self.draw, self.timing, self.seconds = journal, draw, timing, seconds
        self.calls = 0
        self._api = OpenAiApi()
        self._api.usual = lambda body: Manner(  # type: ignore[method-assign]
            text=f"re: {last_words(body)}", seconds=self.seconds
        )

    def app(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post(self._api.path, self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = last_words(await request.json())
        self.calls += 1
        call, fault = self.calls, self.draw(asked)
        self._say("begin", call, asked=asked, fault=fault)
        if fault == "cut_before":
            return self._hang_up(request, call)
        if fault in ("500", "429", "400"):
            status, headers = int(fault), {"retry-after": "2"} if fault == "429" else {}
            self._say("done", call, status=status)
            kind = {"500": "server_error", "429": "requests", "400": "invalid_request_error"}[fault]
            body = {"error": {"message": "told to", "type": kind, "code": None, "param": None}}
            return web.json_response(body, status=status, headers=headers)
        if fault == "hang":
            await asyncio.sleep(NEVER)
        if fault in ("slow", "late"):
            await asyncio.sleep(self.timing.slow if fault == "slow" else self.timing.late)
        if fault == "cut_after":
            await asyncio.sleep(self.seconds)
            return self._hang_up(request, call)
        response = await self._api._handle(request)
        self._say("end", call, status=response.status)
        return response

    def _hang_up(self, request: web.Request, call: int) -> web.Response:
        self._say("end", call, status=0, cut=True)
        if request.transport:
            request.transport.abort()
        return web.Response()

    def _say(self, moment: str, call: int, **more: Any) -> None:
        self.journal.write({"at": time.time(), "api": "ai", "moment": moment, "call": call, **more})
