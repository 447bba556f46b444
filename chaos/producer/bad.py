"""What must be refused with 4xx and leave no row: malformed, wrongly signed, huge, unknown, of the wrong kind."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from chaos import journal as journals
from chaos.journal import Journal
from chaos.producer.posting import TIMEOUT, Letter, Posting
from tests.fakes.telegram.webhooks import SECRET_HEADER
from tests.fakes.witness import Question

HUGE = 300_000
TRIES = 5
Post = tuple[str, bytes, dict[str, str]]
JSON = {"Content-Type": "application/json"}


def _encoded(letter: Letter, **headers: str) -> Post:
    return letter.url, json.dumps(letter.body).encode(), {**JSON, **letter.headers, **headers}


def _without(letter: Letter, header: str) -> Post:
    url, body, headers = _encoded(letter)
    return url, body, {name: value for name, value in headers.items() if name != header}


def _changed(letter: Letter, **fields: Any) -> Post:
    url, _, headers = _encoded(letter)
    return url, json.dumps({**letter.body, **fields}).encode(), headers


def _cut_short(letter: Letter) -> Post:
    url, body, headers = _encoded(letter)
    return url, body[:-7], headers


def _huge(letter: Letter) -> Post:
    return _changed(letter, padding="x" * HUGE)


def _nested(letter: Letter) -> Post:
    url, body, headers = _encoded(letter)
    return url, b"[" * 50_000 + body, headers


WEBHOOKS: dict[str, Callable[[Letter], Post]] = {
    "webhook, wrong secret": lambda letter: _encoded(letter, **{SECRET_HEADER: "wrong-secret"}),
    "webhook, no secret": lambda letter: _without(letter, SECRET_HEADER),
    "webhook, cut short": _cut_short,
    "webhook, no update_id": lambda letter: _changed(letter, update_id=None),
    "webhook, huge": _huge,
    "webhook, nested without end": _nested,
    "webhook, wrong account": lambda letter: (letter.url[:-12] + "0" * 12, *_encoded(letter)[1:]),
}
POSTS: dict[str, Callable[[Letter], Post]] = {
    "post, wrong key": lambda letter: _encoded(letter, Authorization="Bearer sb_wrong"),
    "post, no key": lambda letter: _without(letter, "Authorization"),
    "post, cut short": _cut_short,
    "post, unknown field": lambda letter: _changed(letter, colour="red"),
    "post, NUL": lambda letter: _changed(letter, text=f"{letter.body['text']}\x00"),
    "post, lone surrogate": lambda letter: _changed(letter, text=f"\ud800{letter.body['text']}"),
    "post, huge": _huge,
    "post, no JSON": lambda letter: _encoded(letter, **{"Content-Type": "text/plain"}),
    "post, no contact": lambda letter: _changed(letter, contact={"id": ""}),
}


class Bad:
    """Posts one of them at a time, in turn, and writes down how it was answered."""

    def __init__(self, directory: Path, posting: Posting, random: Random) -> None:
        self.posting, self.refused = posting, Journal(directory / journals.REFUSED)
        kinds = [*WEBHOOKS.items(), *POSTS.items()]
        random.shuffle(kinds)
        self._kinds, self._numbers = itertools.cycle(kinds), itertools.count()

    async def post_one(self) -> None:
        """Until somebody says yes or no: a 503, or no answer, is neither."""
        what, spoil = next(self._kinds)
        question = Question(f"{self.posting.run}bad", 0, next(self._numbers))
        make = self.posting._by_webhook if what in WEBHOOKS else self.posting._by_api
        letter = make(question)
        letter.headers.pop("Idempotency-Key", None)
        url, body, headers = spoil(letter)
        status = 0
        for _ in range(TRIES):
            try:
                async with self.posting.session.post(
                    url, data=body, headers=headers, timeout=TIMEOUT
                ) as answer:
                    status = answer.status
                    if status < 500:
                        break
            except (aiohttp.ClientError, TimeoutError, OSError):
                status = 0  # one that is too large may be hung up on before it is read
            await asyncio.sleep(1)
        self.refused.write({"at": time.time(), "what": what, "marker": question.text, "status": status})
