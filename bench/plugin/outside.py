"""The one HTTP client of the plugin, and its errors in Switchboard's words.

BENCH_HTTP=lean (the default)   keep-alive connections of bench/wire.py, some 30 µs a call: as undici is for the
                                peer, the leanest there is, so that what is compared is the two houses
BENCH_HTTP=aiohttp              what most plugins would use: about 0.15 ms a call more
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp

from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError
from bench.wire import Client, WireError, request_bytes

Loop = asyncio.AbstractEventLoop


class Lean:
    """Idle keep-alive connections of one event loop, the last one used first."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname, place.port
        self._idle: deque[Client] = deque()

    async def post(self, path: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        async with asyncio.timeout(timeout):
            client = await self._client()
            try:
                answer = await client.request(request_bytes("stand-in", "POST", path, body))
            except BaseException:
                client.transport.close()
                raise
        self._idle.append(client)
        return answer

    async def _client(self) -> Client:
        while self._idle:
            client = self._idle.pop()
            if not client.transport.is_closing():
                return client
        try:
            _, client = await asyncio.get_running_loop().create_connection(Client, self._host, self._port)
        except OSError as error:
            raise TransientError(f"the stand-in can't be reached: {error}", code="unreachable") from error
        return client


class Usual:
    """One aiohttp session of one event loop."""

    def __init__(self, url: str) -> None:
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ttl_dns_cache=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )

    async def post(self, path: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session.post(path, data=body, timeout=limit) as response:
                return response.status, await response.read()
        except aiohttp.ClientConnectorError as error:
            raise TransientError(f"the stand-in can't be reached: {error}", code="unreachable") from error


_clients: WeakKeyDictionary[Loop, Lean | Usual] = WeakKeyDictionary()


def _client() -> Lean | Usual:
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        kind = Usual if os.environ.get("BENCH_HTTP") == "aiohttp" else Lean
        client = _clients[loop] = kind(os.environ["BENCH_STANDIN_URL"])
    return client


async def post(path: str, body: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """POST JSON, give the JSON answered.

    Raises TransientError for 5xx and where nothing was sent, OutcomeUnknown where the call was cut off after
    that, PermanentError for any other refusal.
    """
    try:
        status, text = await _client().post(path, json.dumps(body).encode(), timeout)
    except (WireError, aiohttp.ClientError, TimeoutError) as error:
        raise OutcomeUnknown(f"the call was cut off: {error!r}", code="cut_off") from error
    if status >= 500:
        raise TransientError(f"{path} answered {status}", code=str(status))
    if status != 200:
        raise PermanentError(f"{path} answered {status}", code=str(status))
    answer: dict[str, Any] = json.loads(text)
    return answer
