"""What the tests of accounts share: a clock that is moved by hand and an empty memory of keys."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from apps.accounts import services
from apps.accounts.last_used import LastUsed
from tests.factories.accounts import StaffFactory


class HandClock:
    """Both kinds of time: seconds that only grow, and the time of day."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def move(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandClock]:
    """The clock of the key cache and of the noting of uses."""
    hand = HandClock()
    monkeypatch.setattr(services.key_cache, "clock", hand.monotonic)
    monkeypatch.setattr(services, "last_used", LastUsed(now=hand.now))
    services.key_cache.clear()
    yield hand
    services.key_cache.clear()


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """A browser that is logged in to the admin."""
    client.force_login(StaffFactory.create())
    return client
