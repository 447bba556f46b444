"""What the providers over HTTP have in common. One answer:

1. The package is imported at the first call, in a thread: it takes a second or two and tens of megabytes.
2. The turn becomes a prompt (apps/ai/prompting.py); the whole call has `turn.timeout_seconds`, tries included.
3. The answer streams where somebody watches, else it comes in one piece, which costs a fraction of the CPU.
4. A prompt that is too long for the model is shortened once and sent again. A server that refuses to stream, or to
   count tokens while streaming, is asked without, and the account remembered for the life of the process.
5. Whatever went wrong becomes an error of our tree. An AI call is safe to repeat: nothing here is of unknown outcome.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import urlsplit

from apps.ai.base import Access, Answer, OnText, Provider, Turn
from apps.ai.builtin import estimated_tokens
from apps.ai.connections import CONNECT_SECONDS, KEEP_ALIVE_SECONDS, Connections
from apps.ai.failures import Means, Refusal, Rule, error_for, excerpt, meaning, refusal_in, refusal_of
from apps.ai.prompting import Prompt, clean, prompt_of, shortened
from apps.reliability.errors import PermanentError, SwitchboardError, TransientError

SHORTEN = (Means.CONTEXT, Means.TOO_LARGE)
# What follows from a refusal of ours to ask for something.
WITHOUT = (Means.NO_USAGE, Means.NO_STREAM)
MOST_REMEMBERED = 1_000


@dataclass(slots=True)
class Gathered:
    """An answer on its way: the pieces so far, and what was said about it."""

    on_text: OnText | None
    pieces: list[str] = field(default_factory=list)
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    ended: str = ""  # why it ended, in the provider's word; empty: it did not

    def add(self, text: str) -> None:
        if text:
            text = clean(text)
            self.pieces.append(text)
            if self.on_text is not None:
                self.on_text(text)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Refused(Exception):
    """The other side said no. Never leaves this module."""

    def __init__(self, means: Means, refusal: Refusal) -> None:
        super().__init__(means)
        self.means = means
        self.refusal = refusal


class HostedProvider(Provider):
    """Subclasses name their package, address and rules, make a client, and say how to ask and what an event holds."""

    needs_account = True
    credential_names = ("api_key",)
    package: ClassVar[str]
    address: ClassVar[str]
    rules: ClassVar[tuple[Rule, ...]]
    # Words for an end at which the provider kept something back.
    refusing_ends: ClassVar[frozenset[str]] = frozenset()
    # Options that are ours to set.
    reserved: ClassVar[frozenset[str]] = frozenset({"model", "messages", "stream", "stream_options", "n"})

    def __init__(self) -> None:
        self._connections = Connections(self._open_pool, self.make_client)
        self._without: dict[tuple[str, str], frozenset[Means]] = {}

    def make_client(self, pool: Any, access: Access) -> Any:
        """The package's client for this account, on the shared pool; its own tries off."""
        raise NotImplementedError

    def request(
        self, client: Any, turn: Turn, prompt: Prompt, *, stream: bool, usage: bool, timeout: Any
    ) -> Any:
        """The call, as the context manager of a response that has not been read."""
        raise NotImplementedError

    def take_event(self, event: dict[str, Any], into: Gathered) -> None:
        """Read one event of a stream."""
        raise NotImplementedError

    def take_answer(self, body: dict[str, Any], into: Gathered) -> None:
        """Read a whole answer. Raises LookupError or TypeError if it is none."""
        raise NotImplementedError

    def service(self, access: Access) -> str:
        """The host that answers, with its port where one is named."""
        return urlsplit(access.base_url or self.address).netloc.rpartition("@")[2].lower()

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        """See the top of the file. Raises TransientError, Postpone or PermanentError."""
        self._check(turn)
        try:
            async with asyncio.timeout(turn.timeout_seconds):
                await self._load()
                try:
                    return await self._answer(turn, on_text)
                except Refused as refused:
                    shorter = shortened(turn) if refused.means in SHORTEN else None
                    if shorter is None:
                        raise
                    return await self._answer(shorter, on_text)
        except TimeoutError:
            raise TransientError(
                f"{self._who(turn)}: no answer within {turn.timeout_seconds:g} s", code="timeout"
            ) from None
        except Refused as refused:
            raise self._error(refused, turn) from None

    def _check(self, turn: Turn) -> None:
        access = turn.access
        if not access.model:
            raise PermanentError(
                f"{self.name}: the AI account names no model",
                code="model_missing",
                advice="Say in the AI account, or in the chatbot's order, which model answers.",
            )
        if not access.base_url and not access.credentials.get("api_key"):
            raise PermanentError(
                f"{self.name}: the AI account has no key",
                code="key_missing",
                advice="Enter the API key; only a server of your own, named by base_url, can do without.",
            )
        if wrong := sorted(self.reserved & turn.options.keys()):
            raise PermanentError(
                f"{self.name}: these options are Switchboard's to set: {', '.join(wrong)}",
                code="reserved_option",
                advice="Take them out of the options of the chatbot and the AI account.",
            )

    async def _load(self) -> None:
        if not _loaded(self.package):
            await asyncio.to_thread(_load, self.package)

    def _open_pool(self) -> Any:
        package, httpx2 = import_module(self.package), import_module("httpx2")
        # 0 connections: as many as there are calls; the ledger limits those.
        limits = httpx2.Limits(max_connections=0, keepalive_expiry=KEEP_ALIVE_SECONDS)
        return package.DefaultAioHttpClient(
            limits=limits, trust_env=False, follow_redirects=False, timeout=CONNECT_SECONDS
        )

    async def _answer(self, turn: Turn, on_text: OnText | None) -> Answer:
        prompt = prompt_of(turn)
        place = (turn.access.account, turn.access.base_url)
        while True:
            without = self._without.get(place, frozenset())
            stream = on_text is not None and Means.NO_STREAM not in without
            usage = Means.NO_USAGE not in without
            gathered = Gathered(on_text)
            try:
                await self._ask(turn, prompt, gathered, stream=stream, usage=usage)
            except Refused as refused:
                if not stream or refused.means not in WITHOUT or refused.means in without:
                    raise
                if len(self._without) >= MOST_REMEMBERED:
                    self._without.clear()
                self._without[place] = without | {refused.means}
            else:
                return self._finished(turn, prompt, gathered)

    async def _ask(self, turn: Turn, prompt: Prompt, into: Gathered, *, stream: bool, usage: bool) -> None:
        timeout = import_module("httpx2").Timeout(turn.timeout_seconds, connect=CONNECT_SECONDS)
        async with self._translated(turn):
            client = await self._connections.client(turn.access)
            call = self.request(client, turn, prompt, stream=stream, usage=usage, timeout=timeout)
            async with call as response:
                if "event-stream" in response.headers.get("content-type", ""):
                    await self._read_stream(response.iter_bytes(), into)
                else:
                    self._read_whole(await response.read(), into)

    async def _read_stream(self, pieces: AsyncIterator[bytes], into: Gathered) -> None:
        from apps.ai.streams import events

        async for event in events(pieces):
            if event is None:
                into.ended = into.ended or "done"
                return
            if event.get("error") or event.get("object") == "error" or event.get("type") == "error":
                refusal = refusal_in(event)
                raise Refused(meaning(self.rules, refusal), refusal)
            self.take_event(event, into)
        if not into.ended:
            raise TransientError("the answer broke off", code="answer_cut_off")

    def _read_whole(self, body: bytes, into: Gathered) -> None:
        try:
            found = json.loads(body)
            if found.get("error"):
                refusal = refusal_in(found)
                raise Refused(meaning(self.rules, refusal), refusal)
            self.take_answer(found, into)
        except (ValueError, LookupError, TypeError, AttributeError):
            refusal = Refusal(message=f"it answered {excerpt(body[:200].decode(errors='replace'))!r}")
            raise Refused(Means.ADDRESS, refusal) from None

    def _finished(self, turn: Turn, prompt: Prompt, got: Gathered) -> Answer:
        text = got.text
        if got.ended in self.refusing_ends:
            raise Refused(Means.CONTENT, Refusal(message=got.ended))
        if not text.strip():
            raise PermanentError(
                f"{self._who(turn)}: an empty answer (ended with {got.ended or 'nothing'})",
                code="empty_answer",
                advice="If it ended with length or max_tokens, allow more output tokens: the model may have spent them "
                "on thinking. Else ask the model the same by hand.",
            )
        return Answer(
            text=text,
            model=got.model or turn.access.model,
            # None or 0: nobody counted
            tokens_in=got.tokens_in or estimated_tokens("x" * prompt.length),
            tokens_out=got.tokens_out or estimated_tokens(text),
            estimated=not (got.tokens_in and got.tokens_out),
        )

    @asynccontextmanager
    async def _translated(self, turn: Turn) -> AsyncIterator[None]:
        """What the package, its transport and the system raise, as refusals and errors of ours."""
        package, httpx2, aiohttp = (import_module(name) for name in (self.package, "httpx2", "aiohttp"))
        who = self._who(turn)
        try:
            yield
        except (SwitchboardError, Refused):
            raise
        except package.APIStatusError as error:
            response = error.response
            refusal = refusal_of(response.status_code, response.headers, response.text)
            raise Refused(meaning(self.rules, refusal), refusal) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, aiohttp.InvalidURL) as error:
            raise Refused(Means.ADDRESS, Refusal(message=type(error).__name__)) from None
        except (package.APIError, httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            # No address in it: somebody may have put a key there.
            causes = ", ".join(_names(error))
            if "UnsupportedProtocol" in causes:
                raise Refused(Means.ADDRESS, Refusal(message=causes)) from None
            raise TransientError(
                f"{who}: no connection, or one that broke ({causes})", code="connection"
            ) from None

    def _error(self, refused: Refused, turn: Turn) -> SwitchboardError:
        key = str(turn.access.credentials.get("api_key") or "")
        return error_for(refused.means, refused.refusal, who=self._who(turn), mask=key)

    def _who(self, turn: Turn) -> str:
        return f"{self.name} ({turn.access.model})"


_packages: set[str] = set()


def _loaded(package: str) -> bool:
    return package in _packages


def _load(package: str) -> None:
    for name in ("httpx2", "aiohttp", package):
        import_module(name)
    _packages.add(package)


def _names(error: BaseException) -> list[str]:
    """The kinds of this error and of what caused it, the first three."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < 3:
        names.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return names
