"""Connections to a provider: one pool for each event loop, and on it one client of the provider's package per account.

The clients' own transport (httpx2) searches its whole pool at every call: at 1,000 calls at once it cost 7 to 13 ms of
CPU a call, and 2 s became 9 to 16. Both packages ship another one on aiohttp; with it a call costs 1 ms.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Any
from weakref import WeakKeyDictionary

from apps.ai.base import Access

KEEP_ALIVE_SECONDS = 60.0
CONNECT_SECONDS = 10.0
MOST_CLIENTS = 256  # accounts that a loop remembers; a client is small, the connections are shared


class Connections:
    """`open_pool()` gives the shared HTTP client, `make(pool, access)` the package's client on it."""

    def __init__(self, open_pool: Callable[[], Any], make: Callable[[Any, Access], Any]) -> None:
        self._open_pool = open_pool
        self._make = make
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    async def client(self, access: Access) -> Any:
        """The running loop's client for this account. It is closed with the loop: asyncio.run ends its generators."""
        loop = asyncio.get_running_loop()
        here = self._loops.get(loop)
        if here is None:
            for other in [one for one in self._loops if one.is_closed()]:
                del self._loops[other]  # its pool refers to the loop, so it would never go by itself
            here = self._loops[loop] = _Loop(_life(self._open_pool))
            here.pool = await anext(here.life)
        key = (access.base_url, access.credentials.get("api_key"))
        if key not in here.clients:
            here.clients[key] = self._make(here.pool, access)
            if len(here.clients) > MOST_CLIENTS:
                here.clients.popitem(last=False)
        here.clients.move_to_end(key)
        return here.clients[key]


class _Loop:
    def __init__(self, life: AsyncGenerator[Any, None]) -> None:
        self.life = life
        self.pool: Any = None
        self.clients: OrderedDict[tuple[str, Any], Any] = OrderedDict()


async def _life(open_pool: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    pool = open_pool()
    try:
        yield pool
    finally:
        await pool.aclose()
