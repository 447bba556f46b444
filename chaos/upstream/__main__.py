"""Serve it until it is ended; see the package. Where everything listens is written to upstream.json."""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from chaos import journal as journals
from chaos.journal import Journal
from chaos.upstream.ai import Ai
from chaos.upstream.drawing import AI, TELEGRAM, Draw, Timing
from chaos.upstream.proxy import Proxy
from chaos.upstream.steering import Steering
from chaos.upstream.telegram import Telegram
from tests.servers.processes import free_port


async def listen(app: web.Application) -> int:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    return int(runner.addresses[0][1])


async def serve(options: argparse.Namespace) -> None:
    journal = Journal(options.directory / journals.WITNESS)
    timing = Timing(late=options.late)
    draws = Draw(options.seed, TELEGRAM), Draw(options.seed + 1, AI)
    for draw in draws:
        draw.on = not options.calm
    with Telegram(journal, draws[0], timing) as telegram:
        ai = Ai(journal, draws[1], timing, options.ai_seconds)
        proxies = {
            "telegram": Proxy(free_port(), telegram.port, journal, "telegram"),
            "ai": Proxy(free_port(), ai_port := await listen(ai.app()), journal, "ai"),
            "second_ai": Proxy(free_port(), ai_port, journal, "second_ai"),
        }
        for proxy in proxies.values():
            await proxy.start()
        steering = Steering(journal, telegram, ai, draws, proxies)
        # Two hosts, as two providers have: a breaker of the one is none of the other.
        found: dict[str, Any] = {
            "control": f"http://127.0.0.1:{await listen(steering.app())}",
            "telegram": f"http://127.0.0.1:{proxies['telegram'].port}",
            "ai": f"http://127.0.0.1:{proxies['ai'].port}/v1",
            "second_ai": f"http://localhost:{proxies['second_ai'].port}/v1",
            "bots": telegram.tokens(),
            "seed": options.seed,
            "late": timing.late,
        }
        journal.write({"at": time.time(), "api": "control", "faults": not options.calm})
        journals.put(options.directory / "upstream.json", found)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--calm", action="store_true", help="no faults by seed")
    parser.add_argument(
        "--late", type=float, default=6.0, help="seconds of a late answer; longer than clients wait"
    )
    parser.add_argument("--ai-seconds", type=float, default=0.1)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
