"""Steering a fake that runs in a process of its own: /fake/… over HTTP.

POST /fake/bot     {"token", "username"}                    -> the bot, with its token
POST /fake/writes  {"token", "id", "first_name", "text"}    -> the update; the person is made where there is none
POST /fake/does    {"token", "id", "what", "quiet", …}      -> what came of it; see DEEDS. quiet: no update is sent
POST /fake/fault   the fields of a Fault
PUT  /fake/behave  {"method", "delay", "hold"}              for all calls to come; {}: properly again, without faults
GET  /fake/sent    what bots sent, in order
GET  /fake/calls?since=N    all calls from that number on (record.py)
GET  /fake/bots    per token: the updates that wait for the webhook, the calls that are held
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.telegram.faults import Fault
from tests.fakes.telegram.world import Bot, Group, Person, World

if TYPE_CHECKING:
    from tests.fakes.telegram.server import FakeTelegram

Deed = Callable[[World, Bot, dict[str, Any]], Any]


def person_of(world: World, wanted: dict[str, Any], key: str = "id") -> Person:
    """The person of this id; made where there is none."""
    found = world.chats.get(wanted[key]) or world.person(wanted.get("first_name", "Ada"), id=wanted[key])
    assert isinstance(found, Person)
    return found


def group_of(world: World, wanted: dict[str, Any]) -> Group:
    found = world.chats.get(wanted["id"]) or world.group(wanted.get("title", "Team"), id=wanted["id"])
    assert isinstance(found, Group)
    return found


def _writes(world: World, bot: Bot, wanted: dict[str, Any]) -> Any:
    """A text to the bot, or into the group `to`: there as a command, which bots always get to see."""
    if "to" not in wanted:
        return person_of(world, wanted).writes(wanted["text"], bot)
    command = wanted["text"].split(" ", 1)[0]
    entities = [{"type": "bot_command", "offset": 0, "length": len(command)}]
    group = group_of(world, {"id": wanted["to"]})
    return person_of(world, wanted).writes(wanted["text"], bot, to=group, entities=entities)


def _upgrades(world: World, bot: Bot, wanted: dict[str, Any]) -> Any:
    return group_of(world, wanted).upgrades(bot).chat


DEEDS: dict[str, Deed] = {
    "writes": _writes,
    "blocks": lambda world, bot, wanted: person_of(world, wanted).blocks(bot),
    "unblocks": lambda world, bot, wanted: person_of(world, wanted).unblocks(bot),
    # of a group; `by`: the person's id
    "adds": lambda world, bot, wanted: group_of(world, wanted).adds(bot, person_of(world, wanted, "by")),
    "removes": lambda world, bot, wanted: group_of(world, wanted).removes(
        bot, person_of(world, wanted, "by")
    ),
    "upgrades": _upgrades,
}


class Steering:
    """The handlers of /fake/…"""

    def __init__(self, telegram: FakeTelegram) -> None:
        self.telegram, self.world = telegram, telegram.world

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/fake/bot", self._bot)
        app.router.add_post("/fake/writes", self._write)
        app.router.add_post("/fake/does", self._do)
        app.router.add_post("/fake/fault", self._fault)
        app.router.add_put("/fake/behave", self._behave)
        app.router.add_get("/fake/sent", self._sent)
        app.router.add_get("/fake/calls", self._calls)
        app.router.add_get("/fake/bots", self._bots)

    async def _bot(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        bot = self.telegram.bot(wanted.get("username", ""), wanted.get("token", ""))
        return web.json_response({**bot.user, "token": bot.token})

    async def _write(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        return web.json_response(_writes(self.world, self.world.bots[wanted["token"]], wanted))

    async def _do(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        with self.world.lock:
            deliver = self.world.deliver
            if wanted.get("quiet"):
                self.world.deliver = lambda bot, chat_id, update: None
            try:
                done = DEEDS[wanted["what"]](self.world, self.world.bots[wanted["token"]], wanted)
            finally:
                self.world.deliver = deliver
        return web.json_response(done)

    async def _fault(self, request: web.Request) -> web.Response:
        self.telegram.faults.add(Fault(**await request.json()))
        return web.json_response({})

    async def _behave(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted:
            self.telegram.record.behave(wanted["method"], delay=wanted.get("delay"), hold=wanted.get("hold"))
        else:
            self.telegram.record.behave_again()
            self.telegram.faults.clear()
        return web.json_response({})

    async def _sent(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(one) for one in self.world.sent])

    async def _calls(self, request: web.Request) -> web.Response:
        return web.json_response(self.telegram.record.shown(int(request.query.get("since", "0"))))

    async def _bots(self, request: web.Request) -> web.Response:
        held = {method: manners.held for method, manners in self.telegram.record.manners.items()}
        pending = {bot.token: bot.pending for bot in self.world.bots.values()}
        return web.json_response({"pending": pending, "held": held})
