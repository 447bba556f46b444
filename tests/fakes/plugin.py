"""A channel and an AI provider as a third party would add them, by settings alone; each is an HTTP POST.

    EXTRA_CHANNELS=recording=tests.fakes.plugin.RecordingChannel
    EXTRA_AI_PROVIDERS=recording=tests.fakes.plugin.RecordingProvider
    STANDIN_URL=http://127.0.0.1:<port>

The stand-in at the other end (tests/fakes/standin.py) records every call before it answers.
"""

import asyncio
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

import aiohttp

from apps.ai.base import Answer, OnText, Provider, Turn
from apps.channels.base import Channel, Malformed, Outgoing, Sent, Unverified, WebhookRequest
from apps.channels.events import ProviderEvent, StatusReported, TextReceived, Unknown
from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError

_sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}


async def post(path: str, body: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """One call to the stand-in. Raises our errors, as a real adapter's table would map them."""
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        _sessions[loop] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    url = os.environ["STANDIN_URL"] + path
    try:
        async with _sessions[loop].post(
            url, json=body, timeout=aiohttp.ClientTimeout(total=timeout)
        ) as answer:
            if answer.status >= 500 or answer.status == 429:
                raise TransientError(f"the stand-in answered {answer.status}", code=str(answer.status))
            if answer.status >= 400:
                raise PermanentError(f"the stand-in answered {answer.status}", code=str(answer.status))
            found: dict[str, Any] = await answer.json()
            return found
    except aiohttp.ClientConnectorError as error:
        raise TransientError("the stand-in can't be reached", code="unreachable") from error
    except (TimeoutError, aiohttp.ClientError) as error:
        raise OutcomeUnknown(f"the stand-in did not answer: {error!r}", code="cut_off") from error


class RecordingChannel(Channel):
    """A messenger without idempotency: what is sent twice arrives twice."""

    name = "recording"
    label = "Recording stand-in"
    debounce_seconds = 0.0
    max_text_length = 4096
    repeatable = False

    async def send(self, outgoing: Outgoing) -> Sent:
        answer = await post(
            "/send",
            {
                "message": outgoing.message_id,
                "conversation": outgoing.conversation_id,
                "recipient": outgoing.recipient,
                "text": outgoing.text,
                "account": outgoing.account,
            },
            timeout=60.0,
        )
        return Sent(provider_message_id=str(answer["id"]))


class ReportingChannel(RecordingChannel):
    """The same messenger with a webhook: POST {"events": [{"id", "from", "text"}, {"id", "status", "message" (its id),
    "echo" (ours), "code", "error"}]}, with the account's token in the header."""

    name = "reporting"
    label = "Reporting stand-in"
    has_webhook = True
    HEADER = "x-reporting-token"

    def verify(self, request: WebhookRequest, credentials: Mapping[str, Any]) -> None:
        given = request.headers.get(self.HEADER, "")
        if not hmac.compare_digest(given.encode(), str(credentials.get("token", "")).encode()):
            raise Unverified("the token is another one")

    def parse(self, body: bytes) -> list[ProviderEvent]:
        try:
            events = json.loads(body)["events"]
            return [_event(one) for one in events]
        except (ValueError, KeyError, TypeError) as error:
            raise Malformed("the body is none of ours") from error


def _event(raw: dict[str, Any]) -> ProviderEvent:
    if "text" in raw:
        return TextReceived(event_id=raw["id"], sender=raw["from"], text=raw["text"], raw=raw)
    if "status" in raw:
        return StatusReported(
            event_id=raw["id"],
            status=raw["status"],
            provider_message_id=raw.get("message", ""),
            message_id=raw.get("echo", ""),
            code=raw.get("code", ""),
            error=raw.get("error", ""),
            raw=raw,
        )
    return Unknown(event_id=raw["id"], raw=raw)


class RecordingProvider(Provider):
    """Answers `re: <the last line>`."""

    name = "recording"
    uses_knowledge = False

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        asked = turn.lines[-1].text
        try:
            answer = await post(
                "/ai", {"text": asked, "lines": len(turn.lines)}, timeout=turn.timeout_seconds
            )
        except OutcomeUnknown as error:  # asking twice does no harm
            raise TransientError(error.message, code=error.code) from error
        return Answer(text=str(answer["text"]), model="recording-1", tokens_in=len(asked), tokens_out=3)


class WordsProvider(Provider):
    """Says WORDS one after the other, and asks the stand-in before each: whoever holds its `ai` calls decides when
    the next word comes."""

    name = "words"
    uses_knowledge = False
    WORDS = ("We ", "open ", "at **nine** ", "and ", "close ", "at ", "five.")

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        asked = turn.lines[-1].text
        for place, word in enumerate(self.WORDS):
            await post("/ai", {"text": asked, "word": place}, timeout=turn.timeout_seconds)
            if on_text:
                on_text(word)
        return Answer(
            text="".join(self.WORDS), model="words-1", tokens_in=len(asked), tokens_out=len(self.WORDS)
        )
