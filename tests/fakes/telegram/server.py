"""The HTTP server: /bot<token>/<method> like the real one; /fake/… is in steering.py."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.telegram.faults import Fault, Faults
from tests.fakes.telegram.flood import Flood, FloodControl
from tests.fakes.telegram.methods import METHODS, Refused
from tests.fakes.telegram.record import Call, Record
from tests.fakes.telegram.steering import Steering
from tests.fakes.telegram.webhooks import Webhooks
from tests.fakes.telegram.world import Bot, Group, Person, World

_TOKEN = re.compile(r"\d{1,20}:[\w-]{35}")


class FakeTelegram:
    """A Bot API server on a thread of its own. Use as a context manager; `url` is its address."""

    def __init__(
        self, *, port: int = 0, flood: Flood | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.world = World(self._deliver)
        self.world.drop = lambda bot: self.webhooks.drop(bot)
        self.faults = Faults()
        self.flood = FloodControl(flood)
        self.calls: list[tuple[str, dict[str, Any]]] = []  # (method, parameters) as they came
        self.answers: list[tuple[str, dict[str, Any]]] = []  # (method, body)
        self.keep_answers = True
        self.record = Record()
        self._wanted_port, self._tls = port, tls
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fake-telegram", daemon=True)

    # what tests say
    def bot(self, username: str = "", token: str = "", name: str = "Test bot") -> Bot:
        return self.world.bot(username, token, name)

    def person(self, first_name: str = "Ada", **more: Any) -> Person:
        return self.world.person(first_name, **more)

    def group(self, title: str = "Team", **more: Any) -> Group:
        return self.world.group(title, **more)

    def fault(self, method: str = "", **how: Any) -> None:
        """Let the next call of `method` fail; `how` are the fields of a Fault."""
        self.faults.add(Fault(method, **how))

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of all calls of this method, in order."""
        return [parameters for name, parameters in self.calls if name.lower() == method.lower()]

    def draw_fault(self, token: str, method: str, parameters: dict[str, Any]) -> Fault | None:
        """The fault of a call for which none waits; for those who want some by chance."""
        return None

    # its life
    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(20)
        if self._failed:
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except BaseException as error:  # for the thread that waits for us
            self._failed = error
            self._started.set()
            return
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        self.webhooks = Webhooks(self.world)
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_route("*", "/from/{sender}/bot{token}/{method}", self._call)
        Steering(self).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._wanted_port, ssl_context=self._tls, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _stop(self) -> None:
        await self.webhooks.close()
        await self._runner.cleanup()

    def _deliver(self, bot: Bot, chat_id: int, update: dict[str, Any]) -> None:
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self.webhooks.add, bot, chat_id, update)

    # the Bot API
    async def _call(self, request: web.Request) -> web.StreamResponse:
        method, parameters = request.match_info["method"], await _parameters(request)
        self.calls.append((method, parameters))
        token = request.match_info["token"]
        fault = self.faults.take(method, parameters) or self.draw_fault(token, method, parameters)
        call = self.record.begin(
            method,
            token,
            parameters,
            sender=request.match_info.get("sender", ""),
            fault=fault.name if fault else "",
        )
        response = await self._respond(request, call, parameters, fault)
        await self.record.wait(call)
        cut = request.transport is None or request.transport.is_closing()
        self.record.end(call, status=response.status, cut=cut)
        return response

    async def _respond(
        self, request: web.Request, call: Call, parameters: dict[str, Any], fault: Fault | None
    ) -> web.Response:
        method = request.match_info["method"]
        if fault and fault.cut == "before":
            self.record.done(call, 0)
            return _hang_up(request)
        if fault and fault.status and fault.raw is None:
            more = {"retry_after": fault.retry_after} if fault.retry_after else {}
            self.record.done(call, fault.status)
            if fault.delay:
                await asyncio.sleep(fault.delay)
            return self._answer(
                method, Refused(fault.status, fault.description or "Internal Server Error", **more)
            )
        answer = self._perform(request.match_info["token"], method, parameters)
        self.record.done(call, answer.status if isinstance(answer, Refused) else 200)
        if fault:
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.cut == "after":
                return _hang_up(request)
            if fault.raw is not None:
                return web.Response(status=fault.status or 200, body=fault.raw)
        return self._answer(method, answer)

    def _perform(self, token: str, method: str, parameters: dict[str, Any]) -> Any:
        """The result, or the Refused that stands for it."""
        with self.world.lock:
            bot = self.world.bots.get(token)
            if not _TOKEN.fullmatch(token):
                return Refused(404, "Not Found")
            if bot is None:
                return Refused(401, "Unauthorized")
            perform = METHODS.get(method.lower())
            if perform is None:
                return Refused(404, "Not Found")
            chat = str(parameters.get("chat_id", ""))
            if method.lower() == "sendmessage" and (
                wait := self.flood.wait(token, int(chat) if chat.lstrip("-").isdigit() else 0)
            ):
                return Refused(429, f"Too Many Requests: retry after {wait}", retry_after=wait)
            try:
                result = perform(self.world, bot, parameters)
            except Refused as error:
                return error
        if method.lower() == "setwebhook":
            self.webhooks.wake(bot)
        return result

    def _answer(self, method: str, found: Any) -> web.Response:
        if isinstance(found, Refused):
            status, body = found.status, found.body()
        else:
            status, body = 200, {"ok": True, "result": found}
        if self.keep_answers:
            self.answers.append((method, body))
        return web.json_response(body, status=status)


async def _parameters(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        body = await request.text()
        return dict(json.loads(body)) if body else {}
    return {**dict(request.query), **{name: value for name, value in (await request.post()).items()}}


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.close()
    return web.Response()
