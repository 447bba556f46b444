"""The breakers and holds of now in words, for the page of the admin."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from apps.conversations import destinations
from apps.conversations.destinations import Owner
from apps.jobs.admin import words
from apps.reliability import breaker, limiter
from apps.reliability.breaker import Standing, State
from apps.reliability.policies import KINDS, kind_of

STATES = {State.CLOSED: "failing", State.OPEN: "open", State.HALF_OPEN: "half open"}


@dataclass(frozen=True, slots=True)
class Line:
    """A breaker or a hold. `who`: the account's name, or the provider's; `url`: the account's page."""

    name: str
    who: str
    whose: str
    url: str = ""
    kind: str = ""
    state: str = ""
    tone: str = ""
    failures: str = words.NOTHING
    next_call: str = ""


def lines() -> tuple[list[Line], list[Line]]:
    """The breakers that are not closed or failing, and the holds. Two queries at most, three round trips to Redis."""
    standings, holds = breaker.states(), limiter.holds()
    owners = destinations.owners([*(one.key for one in standings), *(key for key, _ in holds)])
    order = [State.OPEN, State.HALF_OPEN, State.CLOSED]
    standings.sort(key=lambda one: (order.index(one.state), one.key))
    held = [Line(key, *_who(key, owners.get(key)), next_call=f"in {words.span(rest)}") for key, rest in holds]
    return [line_of(one, owners.get(one.key)) for one in standings], held


def line_of(one: Standing, owner: Owner | None) -> Line:
    """One breaker in words."""
    kind = kind_of(one.key)
    is_closed = one.state is State.CLOSED
    return Line(
        one.key,
        *_who(one.key, owner),
        kind=KINDS[kind].partition(" (")[0],
        state=STATES[one.state] if one.age is None else f"{STATES[one.state]} for {words.span(one.age)}",
        tone="" if is_closed else "bad",
        failures=_failures(one) if is_closed else _openings(one.openings),
        next_call=_next(one),
    )


def _failures(one: Standing) -> str:
    again = f", {one.retries:,} retried" if one.retries else ""
    return f"{one.failed:,} of {one.ok + one.failed:,} calls{again}"


def _openings(times: int) -> str:
    return "opened once" if times == 1 else f"opened {times:,} times in a row"


def _next(one: Standing) -> str:
    if one.state is State.CLOSED:
        return "now"
    if one.state is State.OPEN:
        return f"a probe in {words.span(one.seconds)}"
    return "a probe is under way" if one.seconds else "the next call is the probe"


def _who(name: str, owner: Owner | None) -> tuple[str, str, str]:
    if name.startswith("service:"):
        return name.split(":", 2)[2], "all accounts", ""
    if owner is None:
        return name, "an account that is gone", ""
    return owner.account, owner.customer, reverse(f"admin:{owner.page}_change", args=[owner.pk])
