"""Breakers that all processes share: opened by failures together, one probe at a time, and fail open."""

import pytest
from structlog.testing import capture_logs

from apps.reliability import breaker, outage
from apps.reliability.breaker import Call, Outcome, Standing, State, record, reset, state, states
from apps.reliability.outage import Outage
from apps.reliability.policies import Policy
from apps.reliability.redis_client import redis_client
from tests.reliability.party import parties
from tests.waiting import wait_until

POLICY = Policy(failures=5, window_seconds=600, open_seconds=100, longest_open_seconds=350, lease_seconds=600)


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "failing services are called"))


def tell(*, ok: int = 0, failed: int = 0, took: float = 0.0, key: str = "k", policy: Policy = POLICY) -> None:
    record(Outcome((key,), ok, failed, took), policy=policy)


def admit(keys: list[str], policy: Policy = POLICY) -> list[float]:
    """Whether calls through one breaker each may go."""
    return [answer.seconds for answer in breaker.admit([Call((key,)) for key in keys], policy)]


def asks(number: int = 1) -> list[float]:
    return admit(["k"] * number)


def stands(key: str = "k") -> Standing:
    return state(key, POLICY)


def time_passes(field: str, key: str = "k") -> None:
    """What the breaker waits for ("until", "lease") is over."""
    seconds, _ = redis_client().time()
    assert redis_client().hexists(breaker.BREAKERS + key, field)
    redis_client().hset(breaker.BREAKERS + key, field, seconds * 1_000_000)


def opened(times: int = 1) -> None:
    tell(failed=5)
    for _ in range(times - 1):
        time_passes("until")
        assert asks() == [0.0]
        tell(failed=1)
    assert stands().state is State.OPEN


def test_closed_everybody_goes_and_nothing_is_kept():
    assert admit([]) == []
    assert asks(5) == [0.0] * 5
    assert redis_client().keys("*") == []
    assert stands() == Standing("k")


def test_failures_enough_in_the_window_open_it():
    tell(failed=4)
    assert asks() == [0.0]
    with capture_logs() as logs:
        tell(failed=1)
    assert asks(2) == [pytest.approx(100, abs=30)] * 2
    assert [(entry["event"], entry["breaker"], entry["seconds"]) for entry in logs] == [
        ("breaker_opened", "k", 100)
    ]


def test_alternating_success_and_failure_opens_it():
    for place in range(10):
        assert asks() == [0.0], f"open before call {place}"
        tell(ok=1) if place % 2 == 0 else tell(failed=1)
    assert asks() != [0.0]


def test_few_failures_among_many_calls_open_nothing():
    for _ in range(30):
        tell(ok=2)
        tell(failed=1)
    assert asks() == [0.0]
    assert (stands().ok, stands().failed, stands().state) == (60, 30, State.CLOSED)


def test_five_among_ten_thousand_open_nothing_and_five_in_a_row_do():
    tell(ok=10_000)
    for _ in range(5):
        tell(failed=1)
    assert asks() == [0.0]
    for _ in range(5):
        tell(failed=1, key="quiet")
    assert admit(["quiet"]) != [0.0]


def test_a_success_never_opens():
    tell(failed=4)
    tell(ok=1)
    tell(failed=0, ok=1)
    assert asks() == [0.0]
    tell(failed=1)
    assert asks() != [0.0]


def test_the_window_slides():
    quick = Policy(failures=5, window_seconds=0.12)
    tell(failed=4, policy=quick)
    wait_until(lambda: state("k", quick).failed == 0, what="the failures to be old")
    tell(failed=4, policy=quick)
    assert state("k", quick).state is State.CLOSED
    wait_until(lambda: redis_client().keys("switchboard:breaker:*") == [], what="the key to expire")
    assert states(policy=quick) == []


def test_one_probe_and_its_success_closes():
    opened()
    time_passes("until")
    assert stands().state is State.HALF_OPEN
    assert stands().seconds == 0.0
    waits = asks(5)
    assert waits == [0.0, *[breaker.LOOK_AGAIN_SECONDS] * 4]
    assert stands().seconds == pytest.approx(600, abs=30)
    with capture_logs() as logs:
        tell(ok=1)
    assert [entry["event"] for entry in logs] == ["breaker_closed"]
    assert asks(5) == [0.0] * 5
    assert stands() == Standing("k")
    tell(failed=4)  # the window began anew
    assert asks() == [0.0]


def test_a_failed_probe_opens_again_for_longer_up_to_a_cap():
    tell(failed=5)
    lengths = []
    for _ in range(4):
        lengths.append(asks()[0])
        time_passes("until")
        assert asks() == [0.0]
        tell(failed=1)
    lengths.append(asks()[0])
    assert lengths == [pytest.approx(seconds, abs=30) for seconds in (100, 200, 350, 350, 350)]
    assert stands().openings == 5
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


def test_a_probe_whose_call_may_take_longer_than_a_lease_is_waited_for():
    opened()
    time_passes("until")
    assert breaker.admit([Call(("k",), longest=3000.0)], POLICY) == [breaker.GO]
    assert stands().seconds == pytest.approx(3000 + breaker.REPORT_SECONDS, abs=30)


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
    assert stands().state is State.HALF_OPEN
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
    assert stands().state is State.HALF_OPEN


@pytest.mark.parametrize("outcome", [{"ok": 1}, {"failed": 1}])
def test_what_began_before_the_probe_decides_nothing(outcome):
    opened()
    time_passes("until")
    assert asks() == [0.0]
    tell(**outcome, took=1000)
    standing = stands()
    assert (standing.state, standing.openings) == (State.HALF_OPEN, 1)
    tell(ok=1, took=0.000001)
    assert stands().state is State.CLOSED


def test_what_began_before_it_closed_is_not_counted():
    opened()
    time_passes("until")
    asks()
    tell(ok=1)
    tell(failed=50, took=1000)
    assert stands() == Standing("k")


def test_of_outcomes_together_the_greater_part_decides():
    opened()
    time_passes("until")
    asks()
    tell(ok=1, failed=2)
    assert stands().openings == 2
    time_passes("until")
    asks()
    tell(ok=2, failed=2)
    assert stands().state is State.CLOSED


def test_keys_are_apart_and_come_in_order():
    tell(failed=10)
    assert admit(["a", "k", "b", "k"]) == [
        0.0,
        pytest.approx(100, abs=30),
        0.0,
        pytest.approx(100, abs=30),
    ]


def test_states_names_what_is_not_closed_and_what_fails():
    tell(failed=10)
    tell(failed=10, key="j")
    tell(failed=1, key="failing")
    tell(ok=1, key="fine")
    found = states(policy=POLICY)
    assert [(one.key, one.state) for one in found] == [
        ("failing", State.CLOSED),
        ("j", State.OPEN),
        ("k", State.OPEN),
    ]
    assert [one.key for one in states(["fine", "k", "new"], POLICY)] == ["fine", "k", "new"]
    assert found[0].age is None
    assert 0 <= found[1].age < 30
    time_passes("until")
    asks()
    tell(ok=1)
    assert [one.key for one in states(policy=POLICY)] == ["failing", "j"]
    redis_client().delete(breaker.BREAKERS + "j")  # forgotten, as after an hour
    assert [one.key for one in states(policy=POLICY)] == ["failing"]


def test_how_long_it_has_not_been_closed_counts_from_its_first_opening():
    opened()
    first = redis_client().hget(breaker.BREAKERS + "k", "opened")
    time_passes("until")
    asks()
    tell(failed=1)
    assert redis_client().hget(breaker.BREAKERS + "k", "opened") == first


# --- reset ---------------------------------------------------------------------------------------


def test_a_reset_closes_it_and_calls_under_way_do_not_count():
    opened(times=2)
    assert reset("k", POLICY)
    assert stands() == Standing("k")
    assert asks(3) == [0.0] * 3
    tell(failed=50, took=1000)  # began before
    assert stands() == Standing("k")
    tell(failed=4)
    assert stands().failed == 4
    tell(failed=1)
    assert asks() == [pytest.approx(100, abs=30)]  # not doubled any more


def test_a_reset_forgets_failures_and_says_whether_there_was_anything():
    tell(failed=4)
    assert reset("k", POLICY)
    assert states(policy=POLICY) == []
    assert not reset("k", POLICY)
    assert not reset("never heard of", POLICY)
    tell(failed=4)
    assert asks() == [0.0]


# --- others --------------------------------------------------------------------------------------


def test_what_nobody_asks_about_is_forgotten():
    opened()
    assert 0 < redis_client().ttl(breaker.BREAKERS + "k") <= 100 + breaker.FORGOTTEN_SECONDS + 1
    assert 0 < redis_client().ttl(breaker.TROUBLED) <= 2 * breaker.FORGOTTEN_SECONDS + 101


def test_failures_of_two_processes_open_it_for_all():
    with parties(2) as others:
        policy = {"failures": 10, "window_seconds": 600, "open_seconds": 100}
        for party in others:
            for _ in range(5):
                party.does("breaker.record", [["k"], 0, 1], policy=policy)
        assert admit(["k"]) != [0.0]
        for party in others:
            [[[seconds, code]]] = party.does("breaker.admit", [[["k"], False]], policy=policy)
            assert (seconds > 0, code) == (True, "breaker_open")


def test_exactly_one_probe_among_threads_of_several_processes():
    opened()
    time_passes("until")
    call, policy = [["k"], False], {"lease_seconds": 600}
    with parties(3) as others:
        for party in others:
            party.start("breaker.admit", [call, call], threads=8, policy=policy)
        answers = [wait for party in others for waits in party.result() for wait, _ in waits]
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
            assert stands() == Standing("k")
            assert states(policy=POLICY) == []
            assert breaker.is_away()
            now[0] += outage.QUIET_SECONDS
        settings.REDIS_URL = url
        assert asks() != [0.0]
        assert stands().state is State.OPEN
    assert [entry["event"] for entry in logs] == ["breaker_unavailable", "breaker_available"]
