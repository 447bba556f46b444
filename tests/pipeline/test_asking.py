"""Whom a turn asks, for how long, what it says of them, and what is left when it is cut off."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.ai import registry as providers
from apps.ai.base import Access, Answer, ChatLine, OnText, Provider, Turn
from apps.conversations.facts import Choice
from apps.pipeline import asking
from apps.pipeline.asking import Reply, ask
from apps.pipeline.watching import Draft
from apps.reliability import breaker, limiter
from apps.reliability.breaker import Admission, Call, Outcome, State
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, SwitchboardError, TransientError
from apps.reliability.policies import Policy
from tests.reliability.party import parties
from tests.waiting import wait_until

Step = str | BaseException | Callable[[Turn, OnText | None], Awaitable[str]]


class Scripted(Provider):
    """Does what it is told, one step a call, then answers with its name."""

    needs_account = True

    def __init__(self, name: str) -> None:
        self.called = name
        self.steps: list[Step] = []
        self.turns: list[Turn] = []

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        self.turns.append(turn)
        step = self.steps.pop(0) if self.steps else f"from {self.called}"
        if isinstance(step, BaseException):
            raise step
        text = step if isinstance(step, str) else await step(turn, on_text)
        return Answer(text=text, model=f"{self.called}-1", tokens_in=3, tokens_out=2)


@pytest.fixture
def ais(settings, monkeypatch) -> dict[str, Scripted]:
    """Three providers: one, two, three."""
    fakes = {name: Scripted(name) for name in ("one", "two", "three")}
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, **dict.fromkeys(fakes, "tests.pipeline.Scripted")}
    monkeypatch.setattr(providers, "_load", lambda name, path: fakes[name])
    return fakes


def choice(provider: str, seconds: float = 60.0, **more: Any) -> Choice:
    access = Access(account=f"account-{provider}", model="m", credentials={"api_key": "sk-planted-0815"})
    return Choice(provider, {"of": provider}, access, f"my {provider}", seconds, **more)


ONE, TWO, THREE = choice("one"), choice("two"), choice("three")
TURN = Turn(lines=(ChatLine("user", "Hi"),), timeout_seconds=20.0)


def asked(*choices: Choice, turn: Turn = TURN, draft: Draft | None = None, **more: Any) -> Reply:
    return asyncio.run(ask(turn, choices, draft, **more))


def turn_of(seconds: float) -> Turn:
    return Turn(lines=TURN.lines, timeout_seconds=seconds)


async def hang(turn: Turn, on_text: OnText | None) -> str:
    await asyncio.Event().wait()
    return "never"


def seen(account: Choice) -> tuple[int, int]:
    standing = breaker.state(account.key)
    return standing.ok, standing.failed


def break_open(account: Choice) -> None:
    breaker.record(Outcome((account.key,), failed=10))
    assert breaker.state(account.key).state is State.OPEN


def half_open(account: Choice) -> None:
    breaker.record(Outcome((account.key,), failed=10), policy=Policy(open_seconds=0.001))
    wait_until(lambda: breaker.state(account.key).state is State.HALF_OPEN)


# --- the order -----------------------------------------------------------------------------------


def test_the_first_that_answers_counts_and_gets_what_is_its_own(ais):
    reply = asked(ONE, TWO)
    assert (reply.answer.text, reply.choice, reply.passed_over) == ("from one", ONE, ())
    [turn] = ais["one"].turns
    assert (turn.options, turn.access) == ({"of": "one"}, ONE.access)
    assert ais["two"].turns == []
    assert seen(ONE) == (1, 0)


@pytest.mark.parametrize(
    ("error", "code", "counted"),
    [
        (TransientError("502", code="server_error"), "server_error", (0, 1)),
        (OutcomeUnknown("cut off", code="cut"), "cut", (0, 1)),
        (PermanentError("no such model", code="model_gone"), "model_gone", (1, 0)),
        (Postpone(30, "slow down", code="rate_limited"), "rate_limited", (1, 0)),
        (KeyError("choices"), "KeyError", (0, 0)),
        (TimeoutError(), "ai_timeout", (0, 1)),
        (asyncio.CancelledError(), "ai_cut_off", (0, 1)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_goes_wrong_with_one_the_next_answers(ais, error, code, counted):
    ais["one"].steps = [error]
    reply = asked(ONE, TWO)
    assert (reply.answer.text, reply.choice) == ("from two", TWO)
    assert reply.passed_over == (f"my one: {code}",)
    assert (seen(ONE), seen(TWO)) == (counted, (1, 0))


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x00"])
def test_an_empty_answer_is_none(ais, text):
    ais["one"].steps = [text]
    assert asked(ONE, TWO).passed_over == ("my one: empty_answer",)
    ais["one"].steps = [text]
    with pytest.raises(PermanentError) as caught:
        asked(ONE)
    assert caught.value.code == "empty_answer"


def test_a_provider_that_is_not_in_the_settings_leaves_the_others(ais):
    gone = Choice("gone", {}, Access(account="a-9"), "old")
    assert asked(gone, TWO).passed_over == ("old: unknown_provider",)


def test_a_bug_of_a_provider_is_on_record_with_its_place(ais):
    ais["one"].steps = [ZeroDivisionError("by zero")]
    with capture_logs() as logs:
        asked(ONE, TWO)
    [line] = [line for line in logs if line["event"] == "ai_provider_broken"]
    assert (line["account"], type(line["exc_info"])) == ("my one", ZeroDivisionError)
    assert line["exc_info"].__traceback__ is not None


def test_what_is_said_of_accounts_has_no_secrets(ais):
    ais["one"].steps = [TransientError("502")]
    ais["two"].steps = [ValueError("bug")]
    with capture_logs() as logs:
        reply = asked(ONE, TWO, THREE)
    assert "sk-planted" not in repr(logs) + repr(reply) + repr(ais["one"].turns)


# --- resting -------------------------------------------------------------------------------------


def test_an_account_whose_breaker_is_open_is_passed_over_without_a_call(ais):
    break_open(ONE)
    assert asked(ONE, TWO).passed_over == ("my one: ai_resting",)
    assert ais["one"].turns == []
    assert seen(ONE) == (0, 0)  # nothing was asked, nothing is counted


def test_who_is_asked_to_wait_holds_the_account_for_everybody(ais):
    ais["one"].steps = [Postpone(30, "429")]
    assert asked(ONE, TWO).choice == TWO
    assert 25 < limiter.held([ONE.key])[0] <= 30
    assert asked(ONE, TWO).passed_over == ("my one: ai_resting",)
    assert len(ais["one"].turns) == 1
    assert limiter.held([TWO.key]) == [0.0]


def test_one_429_moves_every_process(ais):
    ais["one"].steps = [Postpone(30, "429")]
    with pytest.raises(Postpone):
        asked(ONE)
    with parties(1) as [elsewhere]:
        [[held, other]] = elsewhere.does("limiter.held", [ONE.key, TWO.key])
        assert (25 < held <= 30, other) == (True, 0)
        elsewhere.does("limiter.hold", TWO.key, 40)  # and the other way round
    with pytest.raises(Postpone) as caught:
        asked(ONE, TWO)
    assert caught.value.code == "ai_resting"
    assert len(ais["one"].turns) == 1
    assert ais["two"].turns == []


def test_one_outage_rests_the_host_for_all_accounts_of_all_customers(ais, monkeypatch):
    monkeypatch.setattr(Scripted, "service", lambda self, access: "api.example.com")
    ais["one"].steps, ais["two"].steps = [TransientError("503")] * 3, [TransientError("503")] * 3
    for account in (ONE, TWO, ONE, TWO, ONE):
        with pytest.raises(TransientError):
            asked(account)
    assert breaker.state("service:ai:api.example.com").state is State.OPEN
    assert [breaker.state(one.key).state for one in (ONE, TWO)] == [State.CLOSED] * 2
    with pytest.raises(Postpone):
        asked(THREE)
    assert ais["three"].turns == []


def test_trouble_of_one_account_leaves_the_host_to_others(ais, monkeypatch):
    monkeypatch.setattr(Scripted, "service", lambda self, access: "api.example.com")
    ais["one"].steps = [TransientError("503")] * 5
    for _ in range(5):
        with pytest.raises(TransientError):
            asked(ONE)
    assert breaker.state(ONE.key).state is State.OPEN
    assert asked(ONE, TWO).choice == TWO
    assert asked(THREE).choice == THREE


# --- the budget for retries ----------------------------------------------------------------------


def test_a_turn_that_was_tried_before_asks_for_budget_and_its_next_account_as_well(ais):
    for account in (ONE, TWO):
        breaker.record(Outcome(account.breakers, ok=70, failed=30))
    for _ in range(11):  # they succeed, and so one more is a tenth of all
        assert asked(ONE, is_retry=True).choice == ONE
    assert asked(ONE, TWO, is_retry=True).passed_over == ("my one: retry_budget",)
    assert asked(ONE).choice == ONE  # a first try goes
    ais["one"].steps = [TransientError("503")]
    assert asked(ONE, TWO).choice == TWO  # the switch to the next account is no retry
    breaker.record(Outcome(ONE.breakers, failed=3))
    with pytest.raises(Postpone) as caught:
        asked(ONE, is_retry=True)
    assert caught.value.code == "retry_budget"
    assert 0 < caught.value.seconds <= 30


def test_without_an_account_there_is_nothing_to_rest(ais):
    free = Choice("one", {})
    ais["one"].steps = [TransientError("down")] * 20
    for _ in range(20):
        with pytest.raises(TransientError):
            asked(free)
    assert len(ais["one"].turns) == 20


def test_five_failures_open_the_breaker_and_one_probe_closes_it(ais):
    ais["one"].steps = [TransientError("503")] * 5
    for _ in range(5):
        asked(ONE, TWO)
    assert breaker.state(ONE.key).state is State.OPEN
    half_open(THREE)
    assert asked(THREE).choice == THREE
    assert breaker.state(THREE.key).state is State.CLOSED


@pytest.mark.parametrize("error", [PermanentError("no"), Postpone(1, "429")])
def test_a_refused_probe_is_an_answer(ais, error):
    half_open(ONE)
    ais["one"].steps = [error]
    with pytest.raises(SwitchboardError):
        asked(ONE)
    assert breaker.state(ONE.key).state is State.CLOSED


def test_a_probe_that_may_think_for_minutes_keeps_its_place_for_so_long(ais):
    slow, places = choice("one", seconds=300.0), []

    async def think(turn: Turn, on_text: OnText | None) -> str:
        places.append(breaker.state(slow.key).seconds)
        return "after a while"

    half_open(slow)
    ais["one"].steps = [think]
    assert asked(slow, turn=turn_of(280.0)).answer.text == "after a while"
    assert places[0] > 200
    wait_until(lambda: breaker.state(slow.key).state is State.CLOSED)


def test_a_bug_gives_the_place_of_the_probe_back(ais):
    half_open(ONE)
    ais["one"].steps = [KeyError("x")]
    with pytest.raises(KeyError):
        asked(ONE)
    assert breaker.admit([Call(ONE.breakers)]) == [Admission()]


# --- time ----------------------------------------------------------------------------------------


def test_each_gets_half_of_what_is_left_and_the_last_all_of_it(ais):
    for name in ("one", "two"):
        ais[name].steps = [TransientError("503")]
    asked(ONE, TWO, THREE)
    given = [ais[name].turns[0].timeout_seconds for name in ("one", "two", "three")]
    assert given[0] == pytest.approx(10, abs=0.5)
    assert given[1] == pytest.approx(10, abs=0.5)  # the first failed at once: nothing of its time was used
    assert given[2] == pytest.approx(20, abs=1)


def test_no_account_gets_more_than_its_own_patience(ais):
    asked(choice("one", seconds=3.0))
    assert ais["one"].turns[0].timeout_seconds == 3.0


def test_one_that_hangs_leaves_time_for_the_next(ais):
    ais["one"].steps = [hang]
    reply = asked(ONE, TWO, turn=turn_of(0.4))
    assert reply.passed_over == ("my one: ai_timeout",)
    assert 0.05 < ais["two"].turns[0].timeout_seconds <= 0.2


def test_all_that_hang_are_over_in_time_and_the_rest_is_not_asked(ais, monkeypatch):
    monkeypatch.setattr(asking, "SHORTEST_TRY", 0.2)
    ais["one"].steps, ais["two"].steps = [hang], [hang]
    with pytest.raises(TransientError) as caught:
        asked(ONE, choice("two", seconds=60), THREE, turn=turn_of(0.5))
    assert caught.value.code == "ai_timeout"
    assert len(ais["one"].turns) + len(ais["two"].turns) + len(ais["three"].turns) == 2


def test_it_ends_when_it_must_however_much_the_turn_would_give(ais):
    ais["one"].steps = [hang]

    async def late() -> Reply:
        return await ask(TURN, (ONE,), ends_at=asking.time.monotonic() - 1)

    with pytest.raises(TransientError):
        asyncio.run(asyncio.wait_for(late(), 10))


def test_silence_counts_against_an_account_that_had_a_fair_time(ais, monkeypatch):
    monkeypatch.setattr(asking, "FAIR_TRY", 0.1)
    ais["one"].steps = [hang]
    with pytest.raises(TransientError):
        asked(ONE, turn=turn_of(0.15))
    assert seen(ONE) == (0, 1)


def test_silence_says_nothing_of_an_account_that_was_given_no_time(ais):
    ais["one"].steps = [hang]
    with pytest.raises(TransientError):
        asked(ONE, turn=turn_of(0.1))
    assert seen(ONE) == (0, 0)
    ais["one"].steps = [TransientError("connection refused")]
    with pytest.raises(TransientError):
        asked(ONE, turn=turn_of(0.5))
    assert seen(ONE) == (0, 1)  # it did not run out of time: it said so


# --- nobody answered -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "hopeful"),
    [
        ([PermanentError("a"), TransientError("b"), Postpone(1, "c")], 1),
        ([TransientError("a", retry_after=9), TransientError("b", retry_after=3), PermanentError("c")], 1),
        ([TransientError("a", retry_after=9), TransientError("b"), KeyError("c")], 1),
        ([PermanentError("a"), Postpone(9, "b"), Postpone(3, "c")], 2),
        ([Postpone(1, "a"), KeyError("b"), PermanentError("c")], 1),
        ([PermanentError("a"), PermanentError("b"), PermanentError("c")], 0),
    ],
)
def test_the_most_hopeful_reason_is_what_the_turn_says(ais, errors, hopeful):
    for name, error in zip(ais, errors, strict=True):
        ais[name].steps = [error]
    with pytest.raises(type(errors[hopeful])) as caught:
        asked(ONE, TWO, THREE)
    assert caught.value is errors[hopeful]


def test_all_of_them_resting_says_when_the_first_is_back(ais):
    limiter.hold(ONE.key, 100)
    limiter.hold(TWO.key, 40)
    with pytest.raises(Postpone) as caught:
        asked(ONE, TWO)
    assert 35 < caught.value.seconds <= 40


# --- cut off -------------------------------------------------------------------------------------


def test_cut_off_while_the_ai_thinks_nothing_is_counted_and_the_probe_is_free(ais):
    half_open(ONE)
    thinks = asyncio.Event()

    async def think(turn: Turn, on_text: OnText | None) -> str:
        thinks.set()
        return await hang(turn, on_text)

    ais["one"].steps = [think]

    async def cut() -> None:
        turn = asyncio.create_task(ask(TURN, (ONE, TWO)))
        await thinks.wait()
        assert breaker.admit([Call(ONE.breakers)])[0].seconds > 0  # it is the probe
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    asyncio.run(cut())
    assert ais["two"].turns == []  # who cancels us does not want to hear somebody else
    assert breaker.admit([Call(ONE.breakers)]) == [Admission()]


def test_cut_off_while_the_breaker_is_asked_the_probe_is_free(ais, monkeypatch):
    half_open(ONE)
    begun, go_on, given_back = threading.Event(), threading.Event(), threading.Event()
    admit, record = breaker.admit, breaker.record

    def slow(calls: list[Call]) -> list[Admission]:
        waits = admit(calls)
        begun.set()
        assert go_on.wait(10)
        return waits

    def told(*outcomes: Outcome) -> None:
        record(*outcomes)
        given_back.set()

    async def cut() -> None:
        turn = asyncio.create_task(ask(TURN, (ONE,)))
        assert await asyncio.to_thread(begun.wait, 10)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        go_on.set()
        assert await asyncio.to_thread(given_back.wait, 10)

    with monkeypatch.context() as patch:
        patch.setattr(breaker, "admit", slow)
        patch.setattr(breaker, "record", told)
        asyncio.run(cut())
    assert ais["one"].turns == []
    assert admit([Call(ONE.breakers)]) == [Admission()]


def test_an_answer_does_not_wait_for_redis_to_hear_of_it(ais, monkeypatch):
    go_on = threading.Event()
    heard = []

    def slow(outcome: Outcome) -> None:
        assert go_on.wait(10)
        heard.append(outcome.ok)

    async def answer() -> Reply:
        reply = await asyncio.wait_for(ask(TURN, (ONE,)), 5)
        assert not heard
        go_on.set()
        return reply

    monkeypatch.setattr(breaker, "record", slow)
    assert asyncio.run(answer()).answer.text == "from one"
    assert heard == [1]


# --- the draft -----------------------------------------------------------------------------------


def test_the_draft_holds_what_the_one_who_answers_has_said(ais):
    late: list[OnText] = []

    async def gives_up(turn: Turn, on_text: OnText | None) -> str:
        assert on_text
        on_text("Well, ")
        late.append(on_text)
        raise TransientError("lost")

    async def answers(turn: Turn, on_text: OnText | None) -> str:
        assert on_text
        on_text("At ")
        late[0]("… I don't know")  # a stream that still runs out behind our back
        on_text("nine.")
        return "At nine."

    async def both() -> str:
        draft = Draft()
        await ask(TURN, (ONE, TWO), draft)
        return draft.text

    ais["one"].steps, ais["two"].steps = [gives_up], [answers]
    assert asyncio.run(both()) == "At nine."
