"""The budget for retries: a tenth of all calls while a destination fails, no limit at all while it is well."""

import random

import pytest

from apps.reliability import breaker
from apps.reliability.breaker import GO, LEAST_RETRIES, Call, Outcome, State, admit, record, state
from apps.reliability.outage import Outage
from apps.reliability.policies import Policy
from apps.reliability.redis_client import redis_client
from tests.reliability.party import parties

POLICY = Policy(failures=1_000, window_seconds=600, open_seconds=100, lease_seconds=600)
K = ("k",)


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "failing services are called"))


def tell(ok=0, failed=0, names=K):
    record(Outcome(names, ok, failed), policy=POLICY)


def go(number, *, retry=True, names=K):
    """How many of so many calls may go."""
    return admit([Call(names, retry)] * number, POLICY).count(GO)


def test_while_it_is_well_every_retry_goes():
    tell(ok=90, failed=10)
    assert go(500) == 500
    assert state("k", POLICY).retries == 500


def test_while_it_fails_a_tenth_of_all_calls_are_retries():
    tell(ok=70, failed=30)
    assert go(50) == 10
    assert go(50) == 0
    assert go(50, retry=False) == 50
    tell(ok=10, failed=10)
    assert go(50) == 2
    assert state("k", POLICY).retries == 12


def test_a_lone_message_has_its_tries():
    tell(failed=1)
    assert go(1) == 1
    tell(failed=1)
    assert go(1) == 1
    tell(failed=1)
    assert go(10) == LEAST_RETRIES - 2


def test_what_is_refused_comes_back_one_after_the_other_and_soon():
    tell(ok=70, failed=30)
    waits = [answer.seconds for answer in admit([Call(K, True)] * 40, POLICY)]
    assert waits[:10] == [0.0] * 10
    assert waits[10:13] == [pytest.approx(60), pytest.approx(120), pytest.approx(180)]
    assert max(waits) == pytest.approx(600)
    later = [answer.seconds for answer in admit([Call(K, True)] * 2, POLICY)]
    assert later == [pytest.approx(600, abs=30)] * 2  # behind those of the first asking, and never longer
    assert admit([Call(K, True)], POLICY)[0].code == "retry_budget"


def test_a_retry_needs_budget_at_both_breakers_and_is_counted_at_both_or_none():
    mine, yours = ("service", "mine"), ("service", "yours")
    tell(ok=70, failed=30, names=("service",))
    tell(ok=100, names=("mine",))
    tell(failed=1, names=("yours",))
    assert go(50, names=yours) == LEAST_RETRIES
    assert state("service", POLICY).retries == LEAST_RETRIES
    assert go(50, names=mine) == 10 - LEAST_RETRIES
    assert (state("mine", POLICY).retries, state("yours", POLICY).retries) == (7, 3)


def test_a_probe_needs_no_budget():
    policy = Policy(failures=5, window_seconds=600, open_seconds=100, lease_seconds=600)
    record(Outcome(K, failed=5), policy=policy)
    assert state("k", policy).state is State.OPEN
    seconds, _ = redis_client().time()
    redis_client().hset(breaker.BREAKERS + "k", "until", (seconds - 10) * 1_000_000)
    answers = admit([Call(K, True)] * 3, policy)
    assert [answer.code for answer in answers] == ["", "breaker_open", "breaker_open"]


@pytest.mark.parametrize("share", [0.12, 0.3, 0.5, 1.0])
def test_whatever_share_fails_retries_stay_a_tenth(share):
    """A thousand messages, each with two retries at once, and a breaker that never opens."""
    chance, first, again = random.Random(4), 0, 0  # noqa: S311
    for _ in range(1_000):
        first += 1
        fails = chance.random() < share
        tell(ok=not fails, failed=fails)
        for _ in range(2):
            if not fails or not go(1):
                break
            again += 1
            fails = chance.random() < share
            tell(ok=not fails, failed=fails)
    assert again <= max(LEAST_RETRIES, 0.1 * (first + again)) + 1
    assert again >= 0.08 * first


def test_processes_share_one_budget():
    tell(ok=70, failed=30)
    call = [["k"], True]
    policy = {"failures": 1_000, "window_seconds": 600}
    with parties(3) as others:
        for party in others:
            party.start("breaker.admit", [call, call], threads=8, policy=policy)
        answers = [tuple(answer) for party in others for said in party.result() for answer in said]
    assert len(answers) == 48
    assert answers.count((0.0, "")) == 10
    assert {code for _, code in answers} == {"", "retry_budget"}


def test_redis_away_lets_every_retry_go(settings):
    tell(ok=70, failed=30)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert go(50) == 50
