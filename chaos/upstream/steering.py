"""What may be asked of the outside world while it serves; each wish is a line of the record as well.

PUT /proxy    {"of": "telegram"|"ai"|"second_ai", "mode": "pass"|"refuse"|"swallow"}
PUT /down     {"bot": "again", "status": 500, "delay": 0.5}; without a status it is up again
PUT /faults   {"on": false}: from now on every call is answered properly, at once
PUT /next     {"method": "sendMessage", …}: the fields of a Fault, for the next call (or `times` of them)
PUT /hold     {"on": true}: sends are done and recorded, but answered only when let go
GET /calls    {"telegram": 12, "ai": 30, "held": 1}
"""

import time
from typing import Any

from aiohttp import web

from chaos.journal import Journal
from chaos.upstream.ai import Ai
from chaos.upstream.drawing import Draw
from chaos.upstream.proxy import Proxy
from chaos.upstream.telegram import SEND, Telegram
from tests.fakes.telegram import Fault


class Steering:
    def __init__(
        self,
        journal: Journal,
        telegram: Telegram,
        ai: Ai,
        draws: tuple[Draw, Draw],
        proxies: dict[str, Proxy],
    ) -> None:
        self.journal, self.telegram, self.ai = journal, telegram, ai
        self.draws, self.proxies = draws, proxies

    def app(self) -> web.Application:
        app = web.Application()
        for path in ("proxy", "down", "faults", "next", "hold"):
            app.router.add_put(f"/{path}", self._handler(path))
        app.router.add_get("/calls", self._calls)
        return app

    def _handler(self, path: str) -> Any:
        async def handle(request: web.Request) -> web.Response:
            wanted = await request.json()
            await getattr(self, f"_{path}")(wanted)
            self.journal.write({"at": time.time(), "api": "control", path: wanted})
            return web.json_response({})

        return handle

    async def _proxy(self, wanted: dict[str, Any]) -> None:
        await self.proxies[wanted["of"]].set(wanted["mode"])

    async def _down(self, wanted: dict[str, Any]) -> None:
        if wanted.get("status"):
            self.telegram.down[wanted["bot"]] = wanted
        else:
            self.telegram.down.pop(wanted["bot"], None)

    async def _faults(self, wanted: dict[str, Any]) -> None:
        for draw in self.draws:
            draw.on = bool(wanted["on"])

    async def _next(self, wanted: dict[str, Any]) -> None:
        self.telegram.faults.add(Fault(**wanted))

    async def _hold(self, wanted: dict[str, Any]) -> None:
        self.telegram.hold(bool(wanted["on"]))

    async def _calls(self, request: web.Request) -> web.Response:
        held = self.telegram.record.manners[SEND].held
        return web.json_response(
            {"telegram": len(self.telegram.record.calls), "ai": self.ai.calls, "held": held}
        )
