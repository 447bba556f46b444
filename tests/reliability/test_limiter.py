"""Limits that all processes share: counted together, kept in order, and no reason to stop when Redis is away."""

import math
import threading

import pytest
from structlog.testing import capture_logs

from apps.reliability import limiter, outage
from apps.reliability.limiter import Limit, held, hold, holds, reserve
from apps.reliability.outage import Outage
from apps.reliability.redis_client import redis_client
from tests.reliability.party import parties
from tests.waiting import wait_until

# Slow enough that nothing is given back while a test runs.
SLOW = Limit("slow", rate=0.001, burst=3)


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(limiter, "_outage", Outage("limiter", "limits are not kept"))


def test_the_burst_goes_and_the_rest_waits_one_step_after_the_other():
    waits = reserve([[SLOW]] * 6)
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits[3] == pytest.approx(1000, abs=30)
    assert waits[4] - waits[3] == pytest.approx(1000)
    assert waits[5] - waits[4] == pytest.approx(1000)


def test_who_must_wait_is_not_counted():
    reserve([[SLOW]] * 50)
    assert reserve([[SLOW]]) == [pytest.approx(1000, abs=30)]


def test_all_limits_of_an_item_or_none():
    account, chat = Limit("account", 0.001, burst=5), Limit("chat", 0.001, burst=1)
    other = Limit("other", 0.001, burst=1)
    waits = reserve([[account, chat], [account, chat], [account, other]])
    assert waits == [0.0, pytest.approx(1000, abs=30), 0.0]
    # the refused one did not count for the account: three of its five are left
    assert reserve([[account]] * 4) == [0.0, 0.0, 0.0, pytest.approx(1000, abs=30)]


def test_an_item_counts_once_however_often_it_names_a_key():
    assert reserve([[SLOW, SLOW, SLOW], [SLOW], [SLOW]]) == [0.0, 0.0, 0.0]


def test_items_without_limits_go():
    assert reserve([]) == []
    assert reserve([[], []]) == [0.0, 0.0]
    assert reserve([[], [SLOW], []]) == [0.0, 0.0, 0.0]


def test_time_gives_back():
    quick = Limit("quick", rate=50, burst=2)
    assert reserve([[quick]] * 3)[:2] == [0.0, 0.0]
    wait_until(lambda: reserve([[quick]]) == [0.0], what="the next step")


def test_in_the_long_run_the_rate_is_kept_whatever_the_callers_do():
    """Redis' own clock judges: what was let through never exceeds burst + rate x the time that went by."""
    limit = Limit("long", rate=200, burst=5)

    def now() -> float:
        seconds, micro = redis_client().time()
        return seconds + micro / 1e6

    began, went = now(), 0
    while now() - began < 0.2:
        went += reserve([[limit]] * 10).count(0.0)
    assert 5 < went <= 5 + 200 * (now() - began)


def test_keys_expire_by_themselves():
    reserve([[Limit("a", rate=2, burst=1)]])
    assert 0 < redis_client().pttl(limiter.LIMITS + "a") <= 502
    hold("a", 3)
    assert 0 < redis_client().pttl(limiter.HOLDS + "a") <= 3001
    held(["a", "b"])
    reserve([[Limit("a", rate=2)]])
    assert 0 < redis_client().ttl(limiter.HELD) <= limiter.LONGEST_HOLD_SECONDS
    assert len(redis_client().keys("*")) == 3


def test_a_held_key_stops_everybody_for_the_rest_of_its_hold():
    account, chat = Limit("account", 1000, burst=10), Limit("chat", 0.001)
    hold("account", 600)
    assert reserve([[account, chat]]) == [pytest.approx(600, abs=30)]
    assert reserve([[chat]]) == [0.0]  # it was counted in none
    assert held(["chat", "account"]) == [0.0, pytest.approx(600, abs=30)]


def test_after_a_hold_they_come_at_the_pace_of_the_limit():
    limit = Limit("account", rate=0.1, burst=2)
    hold("account", 600)
    waits = reserve([[limit]] * 4)
    assert waits[0] == waits[1] == pytest.approx(600, abs=30)
    assert [waits[2] - waits[0], waits[3] - waits[2]] == [pytest.approx(10), pytest.approx(10)]


@pytest.mark.parametrize(
    ("first", "second", "rest"),
    [
        (600, 5, 600),
        (5, 600, 600),
        (10**9, 1, 86_400),
        (math.inf, 1, 86_400),
        (0, 0, 0),
        (-5, 0, 0),
        (math.nan, 0, 0),
    ],
)
def test_a_hold_is_never_shortened_and_a_day_at_most(first, second, rest):
    hold("k", first)
    hold("k", second)
    assert held(["k"]) == [pytest.approx(rest, abs=30)]


def test_holds_names_what_is_held_and_nothing_else():
    assert holds() == []
    hold("b", 600)
    hold("a", 60)
    hold("over", 0.01)
    wait_until(lambda: held(["over"]) == [0.0], what="the end of the hold")
    assert holds() == [("a", pytest.approx(60, abs=30)), ("b", pytest.approx(600, abs=30))]


def test_a_hold_ends():
    hold("k", 0.05)
    wait_until(
        lambda: held(["k"]) == [0.0] and reserve([[Limit("k", 1)]]) == [0.0], what="the end of the hold"
    )


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0), (math.nan, 1), (math.inf, 1)])
def test_a_limit_that_makes_no_sense_is_refused(rate, burst):
    with pytest.raises(ValueError, match="rate above 0"):
        Limit("k", rate, burst)


def test_threads_and_processes_count_together():
    limit = ["shared", 0.001, 20]
    with parties(2) as others:
        for party in others:
            party.start("limiter.reserve", [[limit]] * 4, threads=8)
        mine: list[float] = []
        threads = [
            threading.Thread(target=lambda: mine.extend(reserve([[Limit("shared", 0.001, 20)]] * 4)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        theirs = [wait for party in others for waits in party.result() for wait in waits]
    assert len(mine) + len(theirs) == 96
    assert (mine + theirs).count(0.0) == 20


def test_a_redis_that_forgot_the_script_learns_it_again():
    redis_client().script_flush()
    assert reserve([[SLOW]]) == [0.0]
    assert reserve([[SLOW]]) == [0.0]


def test_redis_away_lets_everything_go_and_is_said_once(settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(outage.time, "monotonic", lambda: now[0])
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    with capture_logs() as logs:
        for _ in range(3):
            assert reserve([[SLOW]] * 10) == [0.0] * 10
            assert held(["k"]) == [0.0]
            assert holds() == []
            hold("k", 5)
            now[0] += outage.QUIET_SECONDS
        settings.REDIS_URL = url
        assert reserve([[SLOW]] * 4)[3] > 0
        reserve([[SLOW]])
    assert [entry["event"] for entry in logs] == ["limiter_unavailable", "limiter_available"]


def test_an_answer_that_makes_no_sense_lets_everything_go():
    redis_client().lpush(limiter.LIMITS + "slow", "not a number")
    with capture_logs() as logs:
        assert reserve([[SLOW]]) == [0.0]
    assert [entry["event"] for entry in logs] == ["limiter_unavailable"]
