"""What one sendMessage costs the sender: CPU time per call, with python-telegram-bot on its own httpx and on ours.

    python -m bench.telegram_requests [--calls 2000] [--side-by-side 1 50] [--runs 3]

The other side is tests/fakes/telegram in a process of its own; only this process's CPU time is counted. Each
figure is the median of the runs, in microseconds of CPU a call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import requests
import uvloop
from telegram import Bot
from telegram.request import BaseRequest, HTTPXRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
from apps.channels.telegram.request import Request

TOKEN = "7000000001:AAFake-token_0123456789abcdefghij00"
TEXT = "**Lanes** keep jobs in order. Jobs that name the same lane run one at a time.\n" * 4
Call = Callable[[int], Awaitable[object]]


async def _measured(call: Call, calls: int, side_by_side: int) -> float:
    async def line(number: int) -> None:
        for _ in range(calls // side_by_side):
            await call(number)

    await asyncio.gather(*(call(number) for number in range(side_by_side)))  # connections are there
    began = time.process_time()
    await asyncio.gather(*(line(number) for number in range(side_by_side)))
    return (time.process_time() - began) / (calls // side_by_side * side_by_side) * 1e6


async def _with_bot(request: BaseRequest, url: str, calls: int, side_by_side: int) -> float:
    bot = Bot(TOKEN, base_url=f"{url}/bot", request=request, get_updates_request=request)
    try:
        return await _measured(lambda _: bot.send_message(4711, TEXT), calls, side_by_side)
    finally:
        await request.shutdown()


async def _bare(url: str, calls: int, side_by_side: int) -> float:
    async with aiohttp.ClientSession() as session:

        async def call(_: int) -> bytes:
            data = {"chat_id": 4711, "text": TEXT}
            async with session.post(f"{url}/bot{TOKEN}/sendMessage", data=data) as response:
                return await response.read()

        return await _measured(call, calls, side_by_side)


def _sides(url: str, calls: int, side_by_side: int) -> dict[str, Callable[[], Awaitable[float]]]:
    return {
        "python-telegram-bot, its own httpx": lambda: _with_bot(HTTPXRequest(), url, calls, side_by_side),
        "python-telegram-bot, ours on aiohttp": lambda: _with_bot(Request(10), url, calls, side_by_side),
        "aiohttp alone": lambda: _bare(url, calls, side_by_side),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--side-by-side", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--port", type=int, default=18_081)
    options = parser.parse_args()
    command = [sys.executable, "-m", "tests.fakes.telegram", "--port", str(options.port), "--token", TOKEN]
    url = f"http://127.0.0.1:{options.port}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:
        try:
            assert fake.stdout
            assert TOKEN in fake.stdout.readline()
            person = {"token": TOKEN, "id": 4711, "text": "hi"}
            requests.post(f"{url}/fake/writes", json=person, timeout=5).raise_for_status()
            for side_by_side in options.side_by_side:
                for name, run in _sides(url, options.calls, side_by_side).items():
                    figures = [uvloop.run(run()) for _ in range(options.runs)]
                    print(
                        f"{side_by_side:4} side by side  {name:38} {statistics.median(figures):7.0f} µs"
                        f"  ({min(figures):.0f}–{max(figures):.0f})"
                    )
        finally:
            fake.terminate()


if __name__ == "__main__":
    main()
