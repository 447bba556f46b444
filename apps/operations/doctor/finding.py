"""What a check found, and what a check is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is. Only `fail` makes the exit status 1."""

    OK = "ok"
    NOTE = "note"  # good to know; nothing is wrong
    WARN = "warn"  # works, but not as it should, or not for long
    FAIL = "fail"  # something doesn't work
    SKIP = "skip"  # not looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """`name`: what was looked at; `found`: what is so; `advice`: what to do; `command`: the one that does it."""

    name: str
    level: Level
    found: str
    advice: str = ""
    command: str = ""

    def as_json(self, family: str) -> dict[str, Any]:
        return {"check": family, **asdict(self)}


@dataclass
class Settings:
    """What the person asked for, and what the checks tell each other.

    base_url   where this installation's web server is asked; empty: PUBLIC_URL, else the Procfile's address
    clocks     (who, seconds that we are ahead of them), noted by whoever asked a server anyway
    """

    base_url: str = ""
    clocks: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Check:
    """A family of findings. `needs` are families that must not have failed; it runs after them.

    `last`: runs when all others have ended, since it reads what they noted.
    """

    name: str
    run: Callable[[Settings], Iterator[Finding]]
    needs: tuple[str, ...] = ()
    last: bool = False


def ok(name: str, found: str) -> Finding:
    return Finding(name, Level.OK, found)


def note(name: str, found: str, advice: str = "", command: str = "") -> Finding:
    return Finding(name, Level.NOTE, found, advice, command)


def warn(name: str, found: str, advice: str, command: str = "") -> Finding:
    return Finding(name, Level.WARN, found, advice, command)


def fail(name: str, found: str, advice: str, command: str = "") -> Finding:
    return Finding(name, Level.FAIL, found, advice, command)


def skip(name: str, found: str) -> Finding:
    return Finding(name, Level.SKIP, found)
