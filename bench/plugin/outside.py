"""The one HTTP client of the plugin: a session per event loop, keep-alive, errors in Switchboard's words."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp

from apps.reliability.errors import OutcomeUnknown, PermanentError, TransientError

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


def _session() -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None:
        session = _sessions[loop] = aiohttp.ClientSession(
            os.environ["BENCH_STANDIN_URL"],
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ttl_dns_cache=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            headers={"Content-Type": "application/json"},
            trust_env=False,
        )
    return session


async def post(path: str, body: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """POST JSON, give the JSON answered.

    Raises TransientError for 5xx and where nothing was sent, OutcomeUnknown where the call was cut off after
    that, PermanentError for any other refusal.
    """
    try:
        async with _session().post(
            path, data=json.dumps(body).encode(), timeout=aiohttp.ClientTimeout(total=timeout)
        ) as response:
            text = await response.read()
    except aiohttp.ClientConnectorError as error:
        raise TransientError(f"the stand-in can't be reached: {error}", code="unreachable") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OutcomeUnknown(f"the call was cut off: {error!r}", code="cut_off") from error
    if response.status >= 500:
        raise TransientError(f"{path} answered {response.status}", code=str(response.status))
    if response.status != 200:
        raise PermanentError(f"{path} answered {response.status}", code=str(response.status))
    answer: dict[str, Any] = json.loads(text)
    return answer
