"""python-telegram-bot's HTTP, on aiohttp instead of httpx: the same answers for a fraction of the CPU
(docs/benchmarks.md), and errors that say whether the request can have arrived.

One session serves all bots of an event loop. It verifies certificates, ignores proxies of the environment, keeps
connections alive, follows no redirects and tries nothing twice.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from functools import cache

import aiohttp
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from telegram.error import NetworkError
from telegram.request import BaseRequest, RequestData

CONNECTIONS = 256  # side by side, in one process; as many as python-telegram-bot allows itself
KEEP_ALIVE_SECONDS = 30.0
CONNECT_SECONDS = 5.0
FORM = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": BaseRequest.USER_AGENT}


class NotSent(NetworkError):
    """No byte of the request reached the other side: no connection, or none in time."""


class CutOff(NetworkError):
    """The request went out, and no whole answer came back: nobody knows whether it was done."""


class ServerTrouble(NetworkError):
    """An answer of 5xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class Request(BaseRequest):
    """All calls of one event loop. `timeout` is for a whole call, in seconds, connecting included.

    None of its errors carries the URL: a bot's token stands in it.
    """

    __slots__ = ("_life", "_session", "_timeout")

    def __init__(self, timeout: float) -> None:
        connect = min(CONNECT_SECONDS, timeout / 2)
        # `connect` includes the wait for a free connection; so what ends the call later has gone out.
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=connect)
        self._session: aiohttp.ClientSession | None = None
        self._life: AsyncGenerator[aiohttp.ClientSession, None] | None = None

    @property
    def read_timeout(self) -> float | None:
        return self._timeout.total

    async def initialize(self) -> None:
        """Open the session. It is closed by `shutdown`, or with the loop: asyncio.run ends its generators."""
        if self._session is None:
            self._life = _session()
            self._session = await anext(self._life)

    async def shutdown(self) -> None:
        if self._life is not None:
            await self._life.aclose()
        self._session = self._life = None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = None,
        write_timeout: object = None,
        connect_timeout: object = None,
        pool_timeout: object = None,
    ) -> tuple[int, bytes]:
        """(status, body). Raises NotSent, CutOff, ServerTrouble. The timeouts are ours, not the caller's."""
        if request_data is not None and request_data.contains_files:
            raise NotSent("this client sends no files")
        if self._session is None:
            await self.initialize()
        assert self._session is not None
        body = request_data.url_encoded_parameters().encode() if request_data else b""
        try:
            async with self._session.request(
                method, url, data=body, headers=FORM, timeout=self._timeout, allow_redirects=False
            ) as response:
                status, payload = response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotSent(_words(error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CutOff(_words(error)) from None
        if status >= 500:
            raise ServerTrouble(status)
        return status, payload


def _words(error: Exception) -> str:
    """What went wrong, without the address."""
    reason = getattr(error, "os_error", None)
    return type(error).__name__ if reason is None else f"{type(error).__name__}: {type(reason).__name__}"


async def _session() -> AsyncGenerator[aiohttp.ClientSession, None]:
    connector = aiohttp.TCPConnector(
        limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=_certificates(), ttl_dns_cache=60
    )
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield session


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities of the system, and those that `requests` brings: slim images have none of their own."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context
