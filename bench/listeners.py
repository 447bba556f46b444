"""What open chat pages cost: memory of the live stream's process with many listeners, and how soon they hear.

    python -m bench.listeners [--pages 1000]

One process as in production (Procfile: events), on SQLite and the server in the box, both private and thrown away
afterwards. Each page listens to a conversation of its own. Printed: memory (proportional and resident) before and
with all pages open, and the time from a publish until the last page has what it is about.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.processes import family, memory_mb
from bench.servers import Redis, free_port, start, stop, wait_for_port, workplace

PROGRAMS = Path(sys.executable).parent
ROUNDS = 20


@dataclass
class Page:
    """One open stream: what came in it, by event, and when."""

    conversation: int
    public_id: str
    token: str
    heard: dict[str, float] = field(default_factory=dict)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, session: aiohttp.ClientSession, url: str) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with session.get(url, headers=headers) as response:
            response.raise_for_status()
            async for line in response.content:
                if line.startswith(b"retry:"):
                    self.opened.set()
                elif line.startswith(b"event: "):
                    self.heard[line[7:].strip().decode()] = time.perf_counter()


def environment(directory: Path, redis: Redis) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only-for-the-yardstick-" + "x" * 40,
        "ENCRYPTION_KEYS": "only-for-the-yardstick-" + "x" * 40,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEBUG": "false",
        "HTTPS": "false",
        "DATABASE_URL": f"sqlite:///{directory / 'switchboard.sqlite3'}",
        "REDIS_URL": redis.url,
        "VAR_DIR": str(directory),
        "LOG_LEVEL": "WARNING",
    }


def conversations(number: int) -> list[Page]:
    """A chatbot with a widget, and so many conversations with a token each."""
    from django.core.management import call_command

    from apps.accounts.models import Customer, Plan
    from apps.conversations.models import ChannelAccount, Chatbot
    from apps.conversations.services import start_conversation

    call_command("migrate", verbosity=0)
    customer = Customer.objects.create(name="Bench", plan=Plan.objects.create(name="Bench", monthly_price=1))
    chatbot = Chatbot.objects.create(customer=customer, name="Bench")
    account = ChannelAccount.objects.create(chatbot=chatbot, channel="widget")
    begun = [start_conversation(account_id=account.pk) for _ in range(number)]
    return [Page(conversation.pk, str(conversation.public_id), token) for conversation, token in begun]


def say(pages: list[Page], text: str) -> None:
    """A message to each page, stored as delivered."""
    from django.db import connections, transaction

    from apps.conversations.models import Message
    from apps.conversations.services import NewMessage, add_messages, mark_sent

    with transaction.atomic():
        stored = add_messages(
            [
                NewMessage(conversation_id=page.conversation, direction=Message.Direction.OUT, text=text)
                for page in pages
            ]
        )
        mark_sent({message.pk: "" for message in stored})
    connections.close_all()


async def timed(pages: list[Page], event: str, publish: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds from the publish until each page has heard this event."""
    for page in pages:
        page.heard.pop(event, None)
    began = time.perf_counter()
    await publish()
    while not all(event in page.heard for page in pages):
        await asyncio.sleep(0.002)
        if time.perf_counter() - began > 60:
            raise TimeoutError(f"{sum(event not in page.heard for page in pages)} pages never heard {event}")
    return [(page.heard[event] - began) * 1000 for page in pages]


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, shared pages counted in each."""
    total = 0
    for one in family([pid]):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


async def measure(pages: list[Page], pid: int, url: str) -> dict[str, float]:
    from apps.channels.widget import drafts, live
    from apps.reliability.redis_client import async_redis_client

    async def wake(some: list[Page]) -> None:
        await asyncio.to_thread(live.wake, [page.public_id for page in some])

    async def draft(some: list[Page]) -> None:
        piece = {"draft": "bench", "offset": 0, "text": "An answer that is being written, and grows."}
        lines = [drafts.line(page.public_id, drafts.DRAFT, piece) for page in some]
        await async_redis_client().publish(drafts.TOPIC, "\n".join(lines))

    found: dict[str, float] = {}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        first = asyncio.create_task(pages[0].listen(session, url))
        await pages[0].opened.wait()  # what the first stream loads is no cost of the others
        found["pss_before"], found["rss_before"] = memory_mb({"events": [pid]})["events"], resident_mb(pid)
        began = time.perf_counter()
        tasks = [first, *(asyncio.create_task(page.listen(session, url)) for page in pages[1:])]
        for page in pages:
            await page.opened.wait()
        found["all_open_s"] = time.perf_counter() - began
        await asyncio.sleep(8)  # the first reads are over, the subscription is trusted
        found["pss_open"], found["rss_open"] = memory_mb({"events": [pid]})["events"], resident_mb(pid)
        one = []
        for round_ in range(ROUNDS):
            await asyncio.to_thread(say, pages[:1], f"one {round_}")
            one += await timed(pages[:1], "message", lambda: wake(pages[:1]))
        found["message_one_p50_ms"] = statistics.median(one)
        await asyncio.to_thread(say, pages, "all")
        everybody = await timed(pages, "message", lambda: wake(pages))
        found["message_all_p50_ms"], found["message_all_max_ms"] = (
            statistics.median(everybody),
            max(everybody),
        )
        growing = [one for _ in range(ROUNDS) for one in await timed(pages, "draft", lambda: draft(pages))]
        found["draft_all_p50_ms"], found["draft_all_max_ms"] = statistics.median(growing), max(growing)
        found["pss_after"], found["rss_after"] = memory_mb({"events": [pid]})["events"], resident_mb(pid)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, default=1000)
    number = parser.parse_args().pages
    with workplace() as directory:
        redis = Redis(directory, embedded=True)
        env = environment(directory, redis)
        os.environ.update(env)
        import django

        django.setup()
        port = free_port()
        pages = conversations(number)
        events = start(
            [
                *(
                    str(PROGRAMS / "granian"),
                    "--interface",
                    "asgi",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ),
                *("--workers", "1", "--no-ws", "--log-level", "warning", "project.asgi:application"),
            ],
            log=directory / "events.log",
            env=env,
        )
        try:
            wait_for_port(port, alive=events)
            url = f"http://127.0.0.1:{port}/api/v1/widget/events"
            found = asyncio.run(measure(pages, events.pid, url))
        finally:
            stop(events)
            redis.stop()
    found["kb_per_page"] = (found["pss_open"] - found["pss_before"]) / (number - 1) * 1024
    print(json.dumps({"pages": number, **{name: round(value, 2) for name, value in found.items()}}, indent=2))


if __name__ == "__main__":
    main()
