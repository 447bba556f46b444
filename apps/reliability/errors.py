"""The one tree of failures: later, never, unknown.

    SwitchboardError
    ├── TransientError   network, 5xx, timeout before sending   retried, but not before `retry_after`
    ├── Postpone         rate limit, open breaker               comes back later, no attempt spent
    ├── PermanentError   blocked, not found, bad input          failed at once, `advice` says what to do
    └── OutcomeUnknown   cut off after it may have arrived      the account decides: send again, ask a person

Every client of something outside maps its provider's words to this tree in a table kept as data, as
`http.py` does. An exception that is not in the tree is a bug of ours: retried like a transient one, then
failed with its traceback. These errors survive pickling, because they may travel between processes.
"""

from typing import Any


class SwitchboardError(Exception):
    """A failure that the ledger knows how to end.

    `message` is for people (no secrets in it), `code` is a short stable word for filters and tables.
    """

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message or self.code or type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone, which Postpone(seconds) and others don't take.
        return _rebuild, (type(self), self.args, self.__dict__)


class TransientError(SwitchboardError):
    """It may work later. `retry_after`: seconds the other side asked us to wait, None if it said nothing."""

    def __init__(self, message: str = "", *, retry_after: float | None = None, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Postpone(SwitchboardError):
    """Not now: come back in `seconds`. Costs no attempt."""

    def __init__(self, seconds: float, message: str = "", *, code: str = "") -> None:
        super().__init__(message, code=code)
        self.seconds = seconds


class PermanentError(SwitchboardError):
    """It will never work like this. `advice`: what a person can do about it."""

    def __init__(self, message: str, *, code: str = "", advice: str = "") -> None:
        super().__init__(message, code=code)
        self.advice = advice


class OutcomeUnknown(SwitchboardError):
    """The call was cut off after it may have arrived: nobody here knows whether it was done."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message, code=code)


def _rebuild(kind: type[SwitchboardError], args: tuple[Any, ...], state: dict[str, Any]) -> SwitchboardError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
