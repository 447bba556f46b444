"""The load generator, a process of its own whose CPU counts for nobody.

Reads its orders as JSON on stdin, gives what it saw as JSON on stdout:

    {"host", "port", "path", "headers", "account", "first_conversation", "conversations", "first_sequence",
     "messages", "connections", "rate", "shape"}
    → {"accepted": [[conversation, sequence, posted, answered], …], "refused": {"status body": count}, "cpu": seconds}

Message i goes to conversation `first + i % conversations`, so messages of one conversation are posted in order,
each after the one before was answered. With `rate`, posts leave on a fixed timetable (open loop: a slow side
gets no mercy); without, as fast as `connections` keep-alive connections carry them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from typing import Any

import uvloop

from bench.wire import Client, request_bytes

FILLER = "Could you tell me when my parcel arrives, and whether I can still change the address?"


def _api(order: dict[str, Any], conversation: int, sequence: int) -> dict[str, Any]:
    return {
        "account": order["account"],
        "contact": {"id": f"contact-{conversation}", "name": f"Contact {conversation}"},
        "text": f"#{conversation}.{sequence} {FILLER}",
    }


def _telegram(order: dict[str, Any], conversation: int, sequence: int) -> dict[str, Any]:
    """An update as the Bot API sends it for a text in a private chat."""
    person = {"id": conversation + 1, "first_name": "Contact", "last_name": str(conversation)}
    return {
        "update_id": sequence * 100_000_000 + conversation,
        "message": {
            "message_id": sequence + 1,
            "from": {**person, "is_bot": False, "language_code": "en"},
            "chat": {**person, "type": "private"},
            "date": int(time.time()),
            "text": f"#{conversation}.{sequence} {FILLER}",
        },
    }


BODIES = {"api": _api, "telegram": _telegram}


class Load:
    """One run of the load."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.accepted: list[tuple[int, int, float, float]] = []
        self.refused: Counter[str] = Counter()
        self._next = 0

    def _message(self, number: int) -> tuple[int, int, bytes]:
        order = self.order
        conversation = order["first_conversation"] + number % order["conversations"]
        sequence = order["first_sequence"] + number // order["conversations"]
        body = BODIES[order.get("shape", "api")](order, conversation, sequence)
        host = f"{order['host']}:{order['port']}"
        return conversation, sequence, request_bytes(host, "POST", order["path"], body, order["headers"])

    async def _post(self, client: Client, number: int) -> None:
        conversation, sequence, data = self._message(number)
        posted = time.monotonic()
        status, body = await client.request(data)
        if status in (200, 202):
            self.accepted.append((conversation, sequence, posted, time.monotonic()))
        else:
            self.refused[f"{status} {body[:200].decode(errors='replace')}"] += 1

    async def _connect(self) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Client, self.order["host"], self.order["port"])
        return client

    async def _pull(self, client: Client) -> None:
        while self._next < self.order["messages"]:
            number, self._next = self._next, self._next + 1
            await self._post(client, number)

    async def run(self) -> dict[str, Any]:
        clients = [await self._connect() for _ in range(self.order["connections"])]
        rate = self.order.get("rate")
        if rate:
            await self._timetable(clients, rate)
        else:
            await asyncio.gather(*(self._pull(client) for client in clients))
        for client in clients:
            client.transport.close()
        return {"accepted": self.accepted, "refused": dict(self.refused), "cpu": time.process_time()}

    async def _timetable(self, clients: list[Client], rate: float) -> None:
        free: asyncio.Queue[Client] = asyncio.Queue()
        for client in clients:
            free.put_nowait(client)
        start = time.monotonic() + 0.1

        async def one(number: int) -> None:
            await asyncio.sleep(start + number / rate - time.monotonic())
            client = await free.get()
            await self._post(client, number)
            free.put_nowait(client)

        await asyncio.gather(*(one(number) for number in range(self.order["messages"])))


def main() -> None:
    order = json.load(sys.stdin)
    gc.freeze()
    json.dump(uvloop.run(Load(order).run()), sys.stdout)


if __name__ == "__main__":
    main()
