"""Waiting for a state instead of for a time: tests say what must become true, and by when at the latest."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T], deadline: float = 10.0, what: str = "", *, interval: float = 0.02
) -> T:
    """Return the first true value of `predicate`, asked every `interval` seconds.

    Raises AssertionError after `deadline` seconds, naming `what` was waited for and the last answer.
    """
    until = time.monotonic() + deadline
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= until:
            raise AssertionError(
                f"waited {deadline:g} s for {what or repr(predicate)}; the last answer was {answer!r}"
            )
        Event().wait(interval)
