"""A provider's breaker and its accounts': asked and told together; what one account meets stops nobody else."""

import pytest

from apps.reliability import breaker
from apps.reliability.breaker import Admission, Call, Outcome, State, admit, record, state, states
from apps.reliability.outage import Outage
from apps.reliability.policies import Policy
from apps.reliability.redis_client import redis_client
from tests.reliability.party import parties

POLICY = Policy(failures=5, window_seconds=600, open_seconds=100, longest_open_seconds=350, lease_seconds=600)
SERVICE = "service:chat:telegram"
A, B, C = ((SERVICE, f"channel:{letter}") for letter in "abc")
GO = Admission()


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "failing services are called"))


def goes(*calls: tuple[str, ...]) -> list[bool]:
    return [answer == GO for answer in admit([Call(names) for names in calls], POLICY)]


def fails(names: tuple[str, ...], times: int = 1, took: float = 0.0) -> None:
    for _ in range(times):
        record(Outcome(names, failed=1, took=took), policy=POLICY)


def answers(names: tuple[str, ...], times: int = 1) -> None:
    record(Outcome(names, ok=times), policy=POLICY)


def stands(name: str) -> State:
    return state(name, POLICY).state


def its_time_is_over(*names: str) -> None:
    seconds, _ = redis_client().time()
    for name in names:
        assert redis_client().hexists(breaker.BREAKERS + name, "until")
        redis_client().hset(breaker.BREAKERS + name, "until", (seconds - 10) * 1_000_000)


def test_an_outage_opens_the_providers_breaker_once_for_all_accounts():
    for names in (A, B, C, A, B):
        assert goes(names) == [True]
        fails(names)
    assert goes(A, B, C, (SERVICE, "channel:never seen")) == [False] * 4
    assert [one.key for one in states(policy=POLICY) if one.state is State.OPEN] == [SERVICE]


def test_ones_accounts_trouble_stops_only_that_account():
    fails(A, times=50)
    assert goes(A, B, C) == [False, True, True]
    assert (stands(SERVICE), stands(A[1])) == (State.CLOSED, State.OPEN)
    assert state(SERVICE, POLICY).failed == 5  # those after it had opened were not counted there either


def test_a_second_account_that_fails_shows_that_it_is_the_provider():
    fails(A, times=5)
    assert goes(B) == [True]
    fails(B)
    assert goes(B, C) == [False, False]


def test_two_failing_accounts_among_many_that_work_stop_nobody():
    answers(C, times=20)
    fails(A, times=5)
    fails(B, times=5)
    assert goes(A, B, C) == [False, False, True]


def test_failures_of_two_accounts_a_window_apart_are_no_outage():
    fails(A, times=4)
    seconds, _ = redis_client().time()
    redis_client().hset(breaker.BREAKERS + SERVICE, "at", (seconds - 601) * 1_000_000)
    fails(B)
    assert stands(SERVICE) is State.CLOSED


def test_a_permit_is_taken_at_all_breakers_or_at_none():
    """Half open the one, open the other: no permit may be kept by one while the other refuses."""
    fails(A, times=5)
    fails(B)  # and so the provider's is open
    its_time_is_over(SERVICE)
    assert goes(A) == [False]
    assert not redis_client().hexists(breaker.BREAKERS + SERVICE, "lease")
    assert goes(B, C) == [True, False]  # B is the probe
    its_time_is_over(A[1])
    assert goes(A) == [False]
    assert not redis_client().hexists(breaker.BREAKERS + A[1], "lease")


def test_one_probe_stands_for_both_and_its_success_closes_both():
    fails(A, times=5)
    fails(B)
    its_time_is_over(SERVICE, A[1])
    assert goes(A, A, B) == [True, False, False]
    answers(A)
    assert (stands(SERVICE), stands(A[1])) == (State.CLOSED, State.CLOSED)
    assert goes(A, A, B) == [True] * 3


def test_a_probe_that_came_to_no_call_gives_back_both_permits():
    fails(A, times=5)
    fails(B)
    its_time_is_over(SERVICE, A[1])
    assert goes(A) == [True]
    record(Outcome(A), policy=POLICY)
    assert goes(A) == [True]


def test_the_account_whose_probe_failed_lets_others_go_first():
    """Else an account with trouble of its own could keep a provider closed to all for ever."""
    fails(A)
    fails(B, times=4)
    its_time_is_over(SERVICE)
    assert goes(A) == [True]
    fails(A)
    assert state(SERVICE, POLICY).openings == 2
    seconds, _ = redis_client().time()
    redis_client().hset(breaker.BREAKERS + SERVICE, "until", seconds * 1_000_000)
    [first, second] = admit([Call(A), Call(B)], POLICY)
    assert 0 < first.seconds <= breaker.LOOK_AGAIN_SECONDS
    assert second == GO
    answers(B)
    assert goes(A, B, C) == [True] * 3


def test_when_nobody_else_comes_it_may_try_again():
    fails(A)
    fails(B, times=4)
    its_time_is_over(SERVICE)
    assert goes(A) == [True]
    fails(A)
    its_time_is_over(SERVICE)  # ten seconds ago
    assert goes(A) == [True]


def test_one_round_trip_tells_of_several_accounts():
    record(Outcome(A, ok=7), Outcome(B, ok=2), Outcome(C, failed=1), policy=POLICY)
    service = state(SERVICE, POLICY)
    assert (service.ok, service.failed) == (9, 1)
    assert [state(names[1], POLICY).ok for names in (A, B, C)] == [7, 2, 0]


def test_exactly_one_probe_of_a_provider_over_processes_and_accounts():
    fails(A)
    fails(B, times=4)
    its_time_is_over(SERVICE)
    calls = [[list(names), False] for names in (A, B, C)]
    with parties(3) as others:
        for party in others:
            party.start("breaker.admit", calls, threads=8, policy={"lease_seconds": 600})
        found = [wait for party in others for waits in party.result() for wait, _ in waits]
    assert len(found) == 72
    assert found.count(0.0) == 1


def test_the_kind_is_in_the_name_and_brings_the_thresholds(settings):
    settings.BREAKERS = {"chat": "2/600", "ai": "5/30", "rpc": "3/60", "ipfs": "5/30"}
    for _ in range(2):
        record(Outcome(("channel:x",), failed=1), Outcome(("service:rpc:ton",), failed=1))
    assert state("channel:x").state is State.OPEN
    assert 500 < state("channel:x").seconds <= 600
    assert state("service:rpc:ton").state is State.CLOSED
    record(Outcome(("service:rpc:ton",), failed=1))
    assert 50 < state("service:rpc:ton").seconds <= 60
