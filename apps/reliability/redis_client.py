"""One Redis client for each process. Redis holds limits, breakers and live wake-ups, never the truth.

Every command gives up after 2 seconds: whoever asks must be able to go on without an answer. A connection
that broke (Redis restarted) is replaced once without waiting; a time-out is not tried again.
"""

import asyncio
from functools import lru_cache
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 2.0

_async_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis]" = WeakKeyDictionary()


def redis_client() -> redis.Redis:
    """This process's client for settings.REDIS_URL; answers are text. Fit for threads and forks."""
    return _client(_url())


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def async_redis_client() -> redis.asyncio.Redis:
    """The running event loop's client. Raises RuntimeError outside a loop.

    The time-out also ends a blocking read: listen to a channel with `pubsub.get_message(timeout=…)`, not with
    `pubsub.listen()`.
    """
    loop = asyncio.get_running_loop()
    client = _async_clients.get(loop)
    if client is None:
        client = _async_clients[loop] = redis.asyncio.Redis.from_url(
            _url(),
            decode_responses=True,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    return client


def _url() -> str:
    url: str = settings.REDIS_URL
    if not url:
        raise ImproperlyConfigured(
            "REDIS_URL is empty. Point it to a Redis, for example unix:///run/redis.sock."
        )
    return url
