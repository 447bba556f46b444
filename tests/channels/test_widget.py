"""The widget: nothing to send, and pages that are woken where Redis is there."""

import json
import uuid

import pytest
import redis
from structlog.testing import capture_logs

from apps.channels import registry
from apps.channels.base import IncomingMessage
from apps.channels.widget import live
from tests.channels.contract import ChannelContract
from tests.waiting import wait_until


class TestWidget(ChannelContract):
    name = "widget"

    def test_answers_at_once_and_may_repeat(self, channel):
        assert channel.repeatable
        assert channel.debounce_seconds == 0


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(live, "_outage", live._Outage())


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    return now


def test_a_wake_reaches_those_who_listen(settings):
    ids = [str(uuid.uuid4()), str(uuid.uuid4())]
    with (
        redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client,
        client.pubsub() as listener,
    ):
        listener.subscribe(live.TOPIC)
        wait_until(
            lambda: (listener.get_message(timeout=0.1) or {}).get("type") == "subscribe", what="subscribed"
        )
        registry.get("widget").announce(ids)
        # Publishes reach every database of the server: another process of this run may be heard, too.
        wait_until(
            lambda: live.woken((listener.get_message(timeout=0.1) or {}).get("data") or "") == ids,
            what="a wake",
        )


class Away:
    """A Redis that isn't there."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = redis.ConnectionError("refused")

    def publish(self, topic: str, payload: str) -> None:
        self.asked += 1
        assert (topic, json.loads(payload)) == ("switchboard:live", ["one"])
        if self.error:
            raise self.error


def test_redis_away_is_said_once_and_never_raised(monkeypatch, clock):
    away = Away()
    monkeypatch.setattr(live, "redis_client", lambda: away)
    with capture_logs() as logs:
        live.wake(["one"])
        live.wake(["one"])  # too early to ask again
        assert away.asked == 1
        clock[0] += live.QUIET_SECONDS
        away.error = OSError("no route")
        live.wake(["one"])
        assert away.asked == 2
        clock[0] += live.QUIET_SECONDS
        away.error = None
        live.wake(["one"])
        live.wake(["one"])
        assert away.asked == 4
    assert [entry["event"] for entry in logs] == ["live_wake_unavailable", "live_wake_available"]


def test_nobody_is_woken_for_nothing(monkeypatch):
    away = Away()
    monkeypatch.setattr(live, "redis_client", lambda: away)
    live.wake([])
    assert away.asked == 0


@pytest.mark.parametrize("payload", ["", "nonsense", "{}", "7", b"\xff", '["a", 1]'])
def test_a_wake_that_is_not_ours_names_nobody(payload):
    assert live.woken(payload) in ([], ["a"])


def test_an_incoming_message_is_plain_data():
    message = IncomingMessage(
        account=1, message_id="m", sender="s", text="t", received_at="2026-01-01T00:00:00+00:00"
    )
    assert message.sender_name == ""
    with pytest.raises(AttributeError):
        message.text = "other"  # type: ignore[misc]
