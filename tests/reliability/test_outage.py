"""What is away is asked by one at a time, said once, and found again."""

import threading

import pytest
from structlog.testing import capture_logs

from apps.reliability import outage
from apps.reliability.outage import Outage
from tests.waiting import wait_until


@pytest.fixture
def now(monkeypatch):
    moment = [100.0]
    monkeypatch.setattr(outage.time, "monotonic", lambda: moment[0])
    return moment


def test_without_a_probe_one_caller_asks_and_the_others_stay_quiet(now):
    thing = Outage("thing", "…")
    assert not thing.quiet()
    thing.began(OSError("gone"))
    assert thing.quiet()
    now[0] += outage.QUIET_SECONDS
    assert [thing.quiet() for _ in range(5)] == [False, True, True, True, True]
    thing.began(OSError("still"))
    now[0] += outage.QUIET_SECONDS
    assert not thing.quiet()
    now[0] += outage.ASKING_SECONDS  # that one never told
    assert not thing.quiet()
    thing.ended()
    assert [thing.quiet() for _ in range(3)] == [False] * 3


def test_with_a_probe_nobody_asks_until_it_succeeds(monkeypatch):
    monkeypatch.setattr(outage, "PROBE_EVERY", 0.001)
    is_back, asked, at_once = threading.Event(), [], []

    def probe():
        at_once.append(1)
        asked.append(len(at_once))
        at_once.pop()
        if not is_back.is_set():
            raise OSError("gone")

    thing = Outage("thing", "…", probe)
    with capture_logs() as logs:
        for _ in range(50):
            thing.began(OSError("gone"))
        wait_until(lambda: len(asked) > 5)
        assert thing.quiet()
        is_back.set()
        wait_until(lambda: not thing.quiet())
        assert set(asked) == {1}  # one probe at a time
        is_back.clear()
        thing.began(OSError("gone again"))
        assert thing.quiet()
        is_back.set()
        wait_until(lambda: not thing.quiet())
    assert [one["event"] for one in logs if one["log_level"] != "debug"] == [
        *("thing_unavailable", "thing_available"),
        *("thing_unavailable", "thing_available"),
    ]
