"""Breakers that all processes share: opened by failures together, one probe at a time, and fail open."""

import pytest
from structlog.testing import capture_logs

from apps.reliability import breaker, outage
from apps.reliability.breaker import Policy, Standing, State, admit, record, state, states
from apps.reliability.outage import Outage
from apps.reliability.redis_client import redis_client
from tests.reliability.party import parties
from tests.waiting import wait_until

POLICY = Policy(
    calls=10, ratio=0.5, window_seconds=600, open_seconds=100, longest_open_seconds=350, lease_seconds=600
)


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "failing services are called"))


def tell(*, ok: int = 0, failed: int = 0, took: float = 0.0, key: str = "k") -> None:
    record(key, ok=ok, failed=failed, took=took, policy=POLICY)


def asks(number: int = 1) -> list[float]:
    return admit(["k"] * number, POLICY)


def time_passes(field: str, key: str = "k") -> None:
    """What the breaker waits for ("until", "lease") is over."""
    seconds, _ = redis_client().time()
    assert redis_client().hexists(breaker.BREAKERS + key, field)
    redis_client().hset(breaker.BREAKERS + key, field, seconds * 1_000_000)


def opened(times: int = 1) -> None:
    tell(failed=10)
    for _ in range(times - 1):
        time_passes("until")
        assert asks() == [0.0]
        tell(failed=1)
    assert state("k").state is State.OPEN


def test_closed_everybody_goes_and_nothing_is_kept():
    assert admit([]) == []
    assert asks(5) == [0.0] * 5
    assert redis_client().keys("*") == []
    assert state("k") == Standing("k")


def test_opens_at_enough_calls_and_failures():
    tell(failed=9)
    assert asks() == [0.0]
    with capture_logs() as logs:
        tell(failed=1)
    assert asks(2) == [pytest.approx(100, abs=30)] * 2
    assert [(entry["event"], entry["breaker"], entry["seconds"]) for entry in logs] == [
        ("breaker_opened", "k", 100)
    ]


def test_alternating_success_and_failure_opens_by_ratio():
    for place in range(10):
        assert asks() == [0.0], f"open before call {place}"
        tell(ok=1) if place % 2 == 0 else tell(failed=1)
    assert asks() != [0.0]


def test_few_failures_among_many_calls_open_nothing():
    for _ in range(30):
        tell(ok=2)
        tell(failed=1)
    assert asks() == [0.0]
    assert state("k", POLICY) == Standing("k", ok=60, failed=30)


def test_a_success_never_opens():
    tell(failed=9)
    tell(ok=1)  # ten calls, nine failed: but it has just answered
    assert asks() == [0.0]
    tell(failed=1)
    assert asks() != [0.0]


def test_the_window_slides():
    quick = Policy(calls=10, window_seconds=0.12)
    record("k", failed=9, policy=quick)
    wait_until(lambda: state("k", quick).failed == 0, what="the failures to be old")
    record("k", failed=9, policy=quick)
    assert state("k", quick).state is State.CLOSED
    wait_until(lambda: redis_client().keys("*") == [], what="the key to expire")


def test_one_probe_and_its_success_closes():
    opened()
    time_passes("until")
    assert state("k").state is State.HALF_OPEN
    assert state("k").seconds == 0.0
    waits = asks(5)
    assert waits == [0.0, *[breaker.LOOK_AGAIN_SECONDS] * 4]
    assert state("k").seconds == pytest.approx(600, abs=30)
    with capture_logs() as logs:
        tell(ok=1)
    assert [entry["event"] for entry in logs] == ["breaker_closed"]
    assert asks(5) == [0.0] * 5
    assert state("k", POLICY) == Standing("k")
    tell(failed=9)  # the window began anew
    assert asks() == [0.0]


def test_a_failed_probe_opens_again_for_longer_up_to_a_cap():
    tell(failed=10)
    lengths = []
    for _ in range(4):
        lengths.append(asks()[0])
        time_passes("until")
        assert asks() == [0.0]
        tell(failed=1)
    lengths.append(asks()[0])
    assert lengths == [pytest.approx(seconds, abs=30) for seconds in (100, 200, 350, 350, 350)]
    assert state("k").openings == 5
    # a success resets the length
    time_passes("until")
    asks()
    tell(ok=1)
    tell(failed=10)
    assert asks() == [pytest.approx(100, abs=30)]


def test_a_probe_that_died_gives_its_place_when_its_lease_is_over():
    opened()
    time_passes("until")
    assert asks() == [0.0]
    assert asks() != [0.0]
    time_passes("lease")
    assert asks(2) == [0.0, breaker.LOOK_AGAIN_SECONDS]


def test_a_lease_of_less_than_a_look_is_waited_for():
    short = Policy(lease_seconds=0.5)
    opened()
    time_passes("until")
    waits = admit(["k", "k"], short)
    assert waits[0] == 0.0
    assert 0 < waits[1] <= 0.5


def test_a_probe_that_made_no_call_gives_its_place_back():
    opened()
    time_passes("until")
    assert asks() == [0.0]
    tell()
    assert state("k").state is State.HALF_OPEN
    assert asks(2) == [0.0, breaker.LOOK_AGAIN_SECONDS]


def test_outcomes_while_open_change_nothing():
    opened()
    before = redis_client().hgetall(breaker.BREAKERS + "k")
    tell(ok=50)
    tell(failed=50)
    tell()
    assert redis_client().hgetall(breaker.BREAKERS + "k") == before


def test_a_success_between_open_and_the_probe_is_a_stragglers():
    opened()
    time_passes("until")
    tell(ok=5)
    assert state("k").state is State.HALF_OPEN


@pytest.mark.parametrize("outcome", [{"ok": 1}, {"failed": 1}])
def test_what_began_before_the_probe_decides_nothing(outcome):
    opened()
    time_passes("until")
    assert asks() == [0.0]
    tell(**outcome, took=1000)
    standing = state("k")
    assert (standing.state, standing.openings) == (State.HALF_OPEN, 1)
    tell(ok=1, took=0.000001)
    assert state("k").state is State.CLOSED


def test_what_began_before_it_closed_is_not_counted():
    opened()
    time_passes("until")
    asks()
    tell(ok=1)
    tell(failed=50, took=1000)
    assert state("k", POLICY) == Standing("k")


def test_of_outcomes_together_the_greater_part_decides():
    opened()
    time_passes("until")
    asks()
    tell(ok=1, failed=2)
    assert state("k").openings == 2
    time_passes("until")
    asks()
    tell(ok=2, failed=2)
    assert state("k").state is State.CLOSED


def test_keys_are_apart_and_come_in_order():
    tell(failed=10)
    assert admit(["a", "k", "b", "k"], POLICY) == [
        0.0,
        pytest.approx(100, abs=30),
        0.0,
        pytest.approx(100, abs=30),
    ]


def test_states_names_what_is_not_closed():
    tell(failed=10)
    tell(failed=10, key="j")
    tell(failed=1, key="fine")
    assert [(one.key, one.state) for one in states()] == [("j", State.OPEN), ("k", State.OPEN)]
    assert [one.key for one in states(["fine", "k", "new"])] == ["fine", "k", "new"]
    time_passes("until")
    asks()
    tell(ok=1)
    assert [one.key for one in states()] == ["j"]
    redis_client().delete(breaker.BREAKERS + "j")  # forgotten, as after an hour
    assert states() == []


def test_what_nobody_asks_about_is_forgotten():
    opened()
    for key in (breaker.BREAKERS + "k", breaker.NOT_CLOSED):
        assert 0 < redis_client().ttl(key) <= 100 + breaker.FORGOTTEN_SECONDS + 1


def test_failures_of_two_processes_open_it_for_all():
    with parties(2) as others:
        policy = {"window_seconds": 600, "open_seconds": 100}
        for party in others:
            for _ in range(5):
                party.does("breaker.record", "k", failed=1, policy=policy)
        assert admit(["k"]) != [0.0]
        assert all(party.does("breaker.admit", ["k"]) != [[0.0]] for party in others)


def test_exactly_one_probe_among_threads_of_several_processes():
    opened()
    time_passes("until")
    with parties(3) as others:
        for party in others:
            party.start("breaker.admit", ["k", "k"], threads=8)
        answers = [wait for party in others for waits in party.result() for wait in waits]
    assert len(answers) == 48
    assert answers.count(0.0) == 1


def test_redis_away_lets_everybody_go(settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(outage.time, "monotonic", lambda: now[0])
    tell(failed=10)
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    with capture_logs() as logs:
        for _ in range(3):
            assert asks(2) == [0.0, 0.0]
            tell(failed=10)
            assert state("k") == Standing("k")
            assert states() == []
            now[0] += outage.QUIET_SECONDS
        settings.REDIS_URL = url
        assert asks() != [0.0]
        assert state("k").state is State.OPEN
    assert [entry["event"] for entry in logs] == ["breaker_unavailable", "breaker_available"]
