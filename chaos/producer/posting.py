"""One message on its way in: how it is posted, and again until it is taken."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from chaos import journal as journals
from chaos.journal import Journal
from chaos.system import bot_of
from chaos.upstream.telegram import FIRST_PERSON
from tests.fakes.telegram.webhooks import SECRET_HEADER
from tests.fakes.witness import Question

TIMEOUT = aiohttp.ClientTimeout(total=8)
AGAIN = 0.3
REPLAYS_KEPT = 200


@dataclass
class Letter:
    """A question and the road it takes; the same bytes each time it is posted."""

    question: Question
    how: str
    url: str
    body: dict[str, Any]
    headers: dict[str, str]


class Posting:
    """Knows the doors. Everything random comes from `random`."""

    def __init__(self, directory: Path, session: aiohttp.ClientSession, random: Random, run: str) -> None:
        known = journals.get(directory / journals.SYSTEM)
        self.url, self.bots, self.api_key = known["url"], known["bots"], known["api_key"]
        self.session, self.random, self.run = session, random, run
        self.posted = Journal(directory / journals.POSTED)
        self.accepted = Journal(directory / journals.ACCEPTED)
        self.stopping = asyncio.Event()
        self.taken: list[Letter] = []  # webhooks that were taken, for replays
        self._updates = itertools.count(1_000_000)

    def letter(self, conversation: int, place: int) -> Letter:
        """The first of a conversation goes by the API, whose answer names it; the others by either road."""
        question = Question(self.run, conversation, place)
        if place == 0 or self.random.random() < 0.5:
            return self._by_api(question)
        return self._by_webhook(question)

    def _by_api(self, question: Question) -> Letter:
        bot = self.bots[bot_of(question)]
        body = {
            "account": bot["account"],
            "contact": {"id": str(FIRST_PERSON + question.conversation)},
            "text": question.text,
        }
        headers = {"Authorization": f"Bearer {self.api_key}", "Idempotency-Key": question.text}
        return Letter(question, "api", f"{self.url}/api/v1/messages", body, headers)

    def _by_webhook(self, question: Question) -> Letter:
        bot, person = self.bots[bot_of(question)], FIRST_PERSON + question.conversation
        number = next(self._updates)
        message = {
            "message_id": number,
            "date": int(time.time()),
            "chat": {"id": person, "type": "private", "first_name": f"Person {question.conversation}"},
            "from": {"id": person, "is_bot": False, "first_name": f"Person {question.conversation}"},
            "text": question.text,
        }
        url = f"{self.url}/webhooks/telegram/{bot['account']}"
        body = {"update_id": number, "message": message}
        return Letter(question, "webhook", url, body, {SECRET_HEADER: bot["secret"]})

    async def deliver(self, letter: Letter) -> bool:
        """Post until it is taken; False when the producer stops before. A webhook comes up to three times at once."""
        question, first = letter.question, time.time()
        line = {
            "run": question.run,
            "conversation": question.conversation,
            "place": question.place,
            "bot": bot_of(question),
            "how": letter.how,
        }
        self.posted.write({"at": first, **line})
        attempts = 0
        while not self.stopping.is_set():
            attempts += 1
            copies = 1 if letter.how == "api" or self.random.random() < 0.8 else self.random.choice((2, 2, 3))
            answers = await asyncio.gather(*(self.once(letter) for _ in range(copies)))
            taken = [found for status, found in answers if 200 <= status < 300]
            if taken:
                found = taken[0].get("id") if letter.how == "api" else None
                self.accepted.write(
                    {"at": time.time(), "posted": first, "id": found, "attempts": attempts, **line}
                )
                if letter.how == "webhook":
                    self.taken = [*self.taken[-REPLAYS_KEPT:], letter]
                return True
            refused = [status for status, _ in answers if 400 <= status < 500 and status != 429]
            if refused:
                raise AssertionError(f"a good {letter.how} post was answered {refused}")
            await asyncio.sleep(AGAIN)
        return False

    async def once(self, letter: Letter) -> tuple[int, dict[str, Any]]:
        """(status, body); status 0 where no answer came."""
        try:
            async with self.session.post(
                letter.url, json=letter.body, headers=letter.headers, timeout=TIMEOUT
            ) as answer:
                body = await answer.json(content_type=None) if answer.status < 300 else {}
                return answer.status, body if isinstance(body, dict) else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}
