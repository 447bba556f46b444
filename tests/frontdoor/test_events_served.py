"""The live stream as it is served: granian over the loopback, hundreds of pages, a restart in between."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from django.db import connections

from apps.channels.widget import live
from tests.frontdoor.conftest import Visitor, make_visitor
from tests.frontdoor.talk import says
from tests.servers.processes import Process, accepts, free_port, tail
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("committed")
PATH = "/api/v1/widget/events"
PAGES = 300


class Events:
    """The process of the live stream, on the test's own database and Redis."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self._environment, self.log = environment, directory / "events.log"
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}{PATH}"
        self.start()

    def start(self) -> None:
        address = ["--host", "127.0.0.1", "--port", str(self._port)]
        self.process = Process(
            [
                *(sys.executable, "-m", "granian", "--interface", "asgi", *address, "--no-ws"),
                *("--workers-kill-timeout", "2s", "project.asgi:application"),
            ],
            log=self.log,
            env=self._environment,
        )
        wait_until(lambda: accepts(self._port), 60, f"granian\n{tail(self.log)}")

    def kill(self) -> None:
        self.process.sweep_away()
        wait_until(lambda: not accepts(self._port), what="the port to be free")


@pytest.fixture
def events(child_environment: dict[str, str], committed: None, tmp_path: Path) -> Iterator[Events]:
    events = Events(child_environment, tmp_path)
    yield events
    events.process.sweep_away()


async def read(
    session: aiohttp.ClientSession, url: str, visitor: Visitor, number: int, last: str = ""
) -> list[Any]:
    """Open the stream and return its first `number` messages."""
    headers = visitor.headers | ({"Last-Event-ID": last} if last else {})
    found: list[Any] = []
    async with session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        while len(found) < number:
            line = await response.content.readline()
            if line.startswith(b"data: "):
                found.append(json.loads(line.removeprefix(b"data: ")))
    return found


def test_hundreds_of_pages_get_theirs_and_leave_nothing_behind(events):
    visitors = [make_visitor() for _ in range(PAGES)]
    for visitor in visitors:
        says(visitor.conversation, f"before {visitor.token}")

    async def all_pages() -> list[Any]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            first = await asyncio.wait_for(
                asyncio.gather(*(read(session, events.url, visitor, 1) for visitor in visitors)), 90
            )
            tasks = [
                asyncio.create_task(read(session, events.url, visitor, 1, seen[0]["id"]))
                for visitor, seen in zip(visitors, first, strict=True)
            ]
            await asyncio.to_thread(speak, visitors)
            second = await asyncio.wait_for(asyncio.gather(*tasks), 90)
        return [[*a, *b] for a, b in zip(first, second, strict=True)]

    for visitor, lines in zip(visitors, asyncio.run(all_pages()), strict=True):
        assert [line["text"] for line in lines] == [f"before {visitor.token}", f"after {visitor.token}"]
    assert "Traceback" not in events.log.read_text()


def speak(visitors: list[Visitor]) -> None:
    try:
        for visitor in visitors:
            says(visitor.conversation, f"after {visitor.token}")
        live.wake([str(visitor.conversation.public_id) for visitor in visitors])
    finally:
        connections.close_all()


def test_a_restart_of_the_process_loses_nothing(events):
    visitor = make_visitor()
    says(visitor.conversation, "one")

    async def page(number: int, last: str = "") -> list[Any]:
        async with aiohttp.ClientSession(trust_env=False) as session:
            return await asyncio.wait_for(read(session, events.url, visitor, number, last), 30)

    (first,) = asyncio.run(page(1))
    events.kill()
    says(visitor.conversation, "two")
    says(visitor.conversation, "three")
    events.start()
    rest = asyncio.run(page(2, first["id"]))
    assert [line["text"] for line in rest] == ["two", "three"]


def test_it_ends_at_once_although_pages_are_open(events):
    visitor = make_visitor()
    with requests.Session() as session:
        session.trust_env = False
        response = session.get(events.url, headers=visitor.headers, stream=True, timeout=10)
        assert response.status_code == 200
        events.process.terminate(deadline=15)
        response.close()


def test_refusals_come_as_they_should(events):
    with requests.Session() as session:
        session.trust_env = False
        refused = session.get(events.url, headers={"Authorization": "Bearer nonsense"}, timeout=10)
        assert refused.status_code == 401
        assert refused.json()["status"] == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "*"
        assert session.options(events.url, timeout=10).status_code == 204
