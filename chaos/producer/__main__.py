"""The producer's loop; see the package."""

import argparse
import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp

from chaos.producer.bad import Bad
from chaos.producer.posting import Letter, Posting

BAD, REPLAYED, SWAPPED = 0.06, 0.05, 0.05
"""Shares of the ticks at which something bad is posted, an old webhook is replayed, two come in the wrong order."""
LAST_SECONDS = 12.0


class Producer:
    """Picks conversations; within one, a message is posted when the one before was taken."""

    def __init__(self, posting: Posting, bad: Bad, random: Random, conversations: int) -> None:
        self.posting, self.bad, self.random = posting, bad, random
        self.places = dict.fromkeys(range(conversations), 0)
        self.busy: set[int] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()

    async def run(self, rate: float) -> None:
        due = time.monotonic()
        while not self.ended.is_set():
            self._tick()
            due = max(due + 1 / rate, time.monotonic() - 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), max(0.0, due - time.monotonic()))
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=LAST_SECONDS)
        self.posting.stopping.set()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=15)

    def _tick(self) -> None:
        if self.random.random() < BAD:
            self._go(self.bad.post_one())
        if self.posting.taken and self.random.random() < REPLAYED:
            self._go(self._replay(self.random.choice(self.posting.taken)))
        free = [number for number in self.places if number not in self.busy]
        if not free:
            return  # everybody waits for an answer: the system is away
        conversation = self.random.choice(free)
        letters = [self._next(conversation)]
        if letters[0].how == "webhook" and self.random.random() < SWAPPED:
            letters.insert(0, self._next(conversation))
        self.busy.add(conversation)
        self._go(self._talk(conversation, letters))

    def _next(self, conversation: int) -> Letter:
        place = self.places[conversation]
        self.places[conversation] += 1
        return self.posting.letter(conversation, place)

    async def _talk(self, conversation: int, letters: list[Letter]) -> None:
        for letter in letters:
            await self.posting.deliver(letter)
        self.busy.discard(conversation)

    async def _replay(self, letter: Letter) -> None:
        await self.posting.once(letter)

    def _go(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        task.result()  # a good post that was refused ends the producer, and the run notices


async def produce(options: argparse.Namespace) -> None:
    random = Random(options.seed)
    loop = asyncio.get_running_loop()
    failed: list[BaseException] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        posting = Posting(options.directory, session, random, options.run)
        producer = Producer(posting, Bad(options.directory, posting, random), random, options.conversations)

        def broken(_loop: object, context: dict[str, object]) -> None:
            failed.append(context.get("exception") or RuntimeError(str(context)))  # type: ignore[arg-type]
            producer.ended.set()

        loop.set_exception_handler(broken)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, producer.ended.set)
        await producer.run(options.rate)
    if failed:
        raise failed[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--run", default="c1")
    parser.add_argument("--rate", type=float, default=5.0, help="messages a second")
    parser.add_argument("--conversations", type=int, default=40)
    asyncio.run(produce(parser.parse_args()))


if __name__ == "__main__":
    main()
