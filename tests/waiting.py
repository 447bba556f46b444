"""Waiting for a state instead of for a time: tests say what must become true, and by when at the latest."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeVar

T = TypeVar("T")
PRESSURE = Path("/proc/pressure/cpu")
PATIENCE = 4.0
"""How many times its deadline a wait may go on at most, while the machine is overloaded."""


def overloaded() -> float:
    """Seconds since the machine started in which somebody had to wait for a processor (Linux; 0.0 elsewhere)."""
    try:
        line = PRESSURE.read_text().partition("\n")[0]  # some avg10=0.00 avg60=0.00 avg300=0.00 total=<µs>
    except OSError:
        return 0.0
    return int(line.rpartition("=")[2]) / 1e6


@dataclass(frozen=True)
class Moment:
    """The moment of its construction, for several deadlines that begin together."""

    at: float = field(default_factory=time.monotonic)
    overloaded: float = field(default_factory=overloaded)

    def is_over(self, deadline: float) -> bool:
        """Whether so many seconds have passed since then in which the machine was not overloaded."""
        passed = time.monotonic() - self.at
        if passed < deadline:
            return False
        return passed >= deadline + min(overloaded() - self.overloaded, deadline * PATIENCE)


def wait_until(
    predicate: Callable[[], T],
    deadline: float = 10.0,
    what: str = "",
    *,
    interval: float = 0.02,
    since: Moment | None = None,
) -> T:
    """Return the first true value of `predicate`, asked every `interval` seconds.

    Raises AssertionError after `deadline` seconds, naming `what` was waited for and the last answer. They begin now
    or at `since`. Seconds in which the processors had more to do than they could don't count, up to a limit: what is
    promised to users within 5 s isn't promised on an overloaded machine, and the tests run side by side.
    """
    since = since or Moment()
    while True:
        answer = predicate()
        if answer:
            return answer
        if since.is_over(deadline):
            raise AssertionError(
                f"waited {deadline:g} s for {what or repr(predicate)}; the last answer was {answer!r}"
            )
        Event().wait(interval)
