"""The one Redis client: shared, quick to give up, back by itself."""

import asyncio

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings as SettingsWrapper

from apps.reliability.redis_client import TIMEOUT_SECONDS, async_redis_client, redis_client


def test_there_is_one_and_it_speaks_text() -> None:
    client = redis_client()
    assert redis_client() is client
    client.set("k", "väl")
    assert client.get("k") == "väl"


def test_every_command_has_a_time_limit() -> None:
    options = redis_client().connection_pool.connection_kwargs
    assert options["socket_timeout"] == TIMEOUT_SECONDS
    assert options["socket_connect_timeout"] == TIMEOUT_SECONDS


def test_a_lost_connection_is_replaced() -> None:
    client = redis_client()
    client.set("k", "v")
    own = client.client_id()
    client.client_kill_filter(_id=own, skipme=False)
    assert client.get("k") == "v"


def test_without_an_address_the_error_says_what_to_do(settings: SettingsWrapper) -> None:
    settings.REDIS_URL = ""
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL"):
        redis_client()


def test_where_nobody_listens_it_gives_up(settings: SettingsWrapper) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(redis.ConnectionError):
        redis_client().ping()


def test_each_event_loop_has_its_own() -> None:
    async def talk() -> int:
        client = async_redis_client()
        assert async_redis_client() is client
        await client.set("k", "v")
        assert await client.get("k") == "v"
        await client.aclose()
        return id(client)

    assert asyncio.run(talk())
    assert asyncio.run(talk())
    with pytest.raises(RuntimeError):
        async_redis_client()
