"""What a person sees while the AI thinks: never late, never after the end, and never in the way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from apps.channels import registry as channels
from apps.channels.base import Channel, Listener
from apps.pipeline import watching
from apps.pipeline.watching import Draft, watched
from apps.reliability import limiter
from apps.reliability.errors import Postpone
from tests.waiting import wait_until

LISTENER = Listener("conversation-1", "person-1", {"token": "planted"}, "account-1")


class Stage(Channel):
    """Writes down what it shows; `hindrance` runs in the middle of each sign."""

    name = "widget"
    label = "Stage"

    def __init__(self) -> None:
        self.typed: list[Listener] = []
        self.shown: list[str] = []
        self.changed = asyncio.Event()
        self.hindrance: Callable[[], Awaitable[None]] | None = None

    async def typing(self, listener: Listener) -> None:
        self.typed.append(listener)
        self.changed.set()
        if self.hindrance:
            await self.hindrance()

    async def show(self, listener: Listener, text: str) -> None:
        self.shown.append(text)
        self.changed.set()
        if self.hindrance:
            await self.hindrance()

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait for a state, ten seconds at most."""
        async with asyncio.timeout(10):
            while not enough():
                self.changed.clear()
                await self.changed.wait()


class Pauses:
    """In the place of asyncio.sleep: a pause lasts until the test ends it."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._real, self._held = asyncio.sleep, list[asyncio.Event]()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await self._real(0)
            return
        self.asked.append(seconds)
        over = asyncio.Event()
        self._held.append(over)
        await over.wait()

    async def end(self) -> None:
        """The time is over, and whatever follows from it has happened."""
        for over in self._held:
            over.set()
        self._held.clear()
        await turns()


@pytest.fixture
def pauses(monkeypatch):
    fake = Pauses()
    monkeypatch.setattr(asyncio, "sleep", fake.sleep)
    return fake


@pytest.fixture
def stage(monkeypatch):
    fake = Stage()
    monkeypatch.setattr(channels, "_load", lambda name, path: fake)
    monkeypatch.setattr(Stage, "typing_seconds", 4.0)
    monkeypatch.setattr(Stage, "shows_drafts", True)
    return fake


def left_over() -> list[str]:
    """What is still running beside the test."""
    return [str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def turns(number: int = 20) -> None:
    """Let everything that is ready on the loop run."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_typing_is_shown_again_before_it_ends_and_never_after_the_end(stage, pauses):
    async def turn() -> None:
        async with watched("widget", LISTENER):
            await turns()
            assert stage.typed == [LISTENER]
            await pauses.end()
            await pauses.end()
            assert len(stage.typed) == 3
        await pauses.end()
        assert not left_over()

    asyncio.run(turn())
    assert len(stage.typed) == 3
    assert all(seconds < 4.0 for seconds in pauses.asked)


def test_a_sign_that_is_under_way_at_the_end_is_broken_off(stage):
    async def forever() -> None:
        await asyncio.Event().wait()

    async def turn() -> None:
        stage.hindrance = forever
        async with watched("widget", LISTENER) as draft:
            draft.begin()("Well")
            await stage.until(lambda: bool(stage.typed and stage.shown))
        await turns()
        assert not left_over()

    asyncio.run(turn())


def test_a_channel_that_swallows_the_end_ends_all_the_same(stage, pauses):
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def turn() -> None:
        stage.hindrance = stubborn
        async with watched("widget", LISTENER) as draft:
            draft.begin()("Well")
            await stage.until(lambda: bool(stage.typed and stage.shown))
        await turns()
        await pauses.end()
        assert not left_over()

    asyncio.run(turn())
    assert (len(stage.typed), stage.shown) == (1, ["Well"])


@pytest.mark.parametrize("what", ["typing", "show"])
def test_a_channel_that_raises_delays_and_breaks_nothing(stage, monkeypatch, what):
    async def broken(*args: Any) -> None:
        raise ZeroDivisionError

    async def turn() -> str:
        async with watched("widget", LISTENER) as draft:
            draft.begin()("Well")
            await turns()
            return "answered"

    monkeypatch.setattr(stage, what, broken)
    assert asyncio.run(asyncio.wait_for(turn(), 10)) == "answered"


def test_a_channel_that_hangs_delays_nothing_and_is_not_asked_again(stage, monkeypatch):
    monkeypatch.setattr(watching, "LONGEST_CALL", 0.01)

    async def forever() -> None:
        await asyncio.Event().wait()

    async def turn() -> None:
        stage.hindrance = forever
        async with watched("widget", LISTENER):
            await stage.until(lambda: bool(stage.typed))
            async with asyncio.timeout(10):
                while any("_type" in one for one in left_over()):
                    await asyncio.sleep(0)
        assert len(stage.typed) == 1

    asyncio.run(turn())


def test_an_answer_at_once_shows_no_sign(stage):
    async def turn() -> None:
        async with watched("widget", LISTENER):
            pass
        await turns()

    asyncio.run(turn())
    assert (stage.typed, stage.shown) == ([], [])


def test_what_the_turn_raises_comes_through_and_the_signs_end(stage):
    async def broken() -> None:
        async with watched("widget", LISTENER):
            await stage.until(lambda: bool(stage.typed))
            raise KeyError

    async def turn() -> None:
        with pytest.raises(KeyError):
            await broken()
        await turns()
        assert not left_over()

    asyncio.run(turn())


@pytest.mark.parametrize("name", ["widget", "gone"])
def test_channels_that_show_nothing_and_channels_that_are_none(stage, monkeypatch, name):
    monkeypatch.setattr(Stage, "typing_seconds", None)
    monkeypatch.setattr(Stage, "shows_drafts", False)

    async def turn() -> Draft | None:
        async with watched(name, LISTENER) as draft:
            assert not left_over()
            return draft

    assert asyncio.run(turn()) is None


# --- the draft -----------------------------------------------------------------------------------


@pytest.fixture
def only_drafts(stage, monkeypatch):
    monkeypatch.setattr(Stage, "typing_seconds", None)


@pytest.mark.usefixtures("only_drafts")
def test_the_draft_is_shown_as_far_as_it_has_come_and_not_at_every_word(stage, pauses):
    async def turn() -> None:
        async with watched("widget", LISTENER) as draft:
            add = draft.begin()
            add("We ")
            await turns()
            for word in ("open ", "at ", "nine"):
                add(word)
                await turns()
            assert stage.shown == ["We "]
            await pauses.end()
            assert stage.shown == ["We ", "We open at nine"]
            await pauses.end()  # nothing new has come

    asyncio.run(turn())
    assert stage.shown == ["We ", "We open at nine"]
    assert pauses.asked == [watching.SHOW_EVERY] * 2 == [0.08] * 2


@pytest.mark.usefixtures("only_drafts")
def test_who_answers_next_begins_at_the_beginning(stage, pauses):
    async def turn() -> None:
        async with watched("widget", LISTENER) as draft:
            draft.begin()("I think that ")
            await turns()
            draft.begin()("")
            await pauses.end()
            assert len(stage.shown) == 1  # an empty draft is not shown
            draft.begin()("We open")
            await pauses.end()

    asyncio.run(turn())
    assert stage.shown == ["I think that ", "We open"]


def test_nobody_types_while_the_provider_wants_us_to_wait(stage, monkeypatch):
    monkeypatch.setattr(Stage, "has_breaker", True)
    monkeypatch.setattr(Stage, "typing_seconds", 4.0)
    key = stage.hold_key(LISTENER.account)

    async def refused() -> None:
        raise Postpone(30.0, "429")

    async def turn() -> None:
        async with watched("widget", LISTENER):
            await stage.until(lambda: bool(stage.typed))
        await turns()

    stage.hindrance = refused
    asyncio.run(turn())
    wait_until(lambda: limiter.held([key])[0] > 20, what="the hold")

    asked: list[list[str]] = []
    held = limiter.held
    monkeypatch.setattr(limiter, "held", lambda keys: (held(keys), asked.append(keys))[0])

    async def another() -> None:
        async with watched("widget", LISTENER), asyncio.timeout(10):
            while not asked:
                await asyncio.sleep(0.001)
            await turns(100)

    asyncio.run(another())
    assert asked == [[key]]
    assert len(stage.typed) == 1
