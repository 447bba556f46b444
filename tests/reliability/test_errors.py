"""The error tree: what every error carries, and that it travels."""

import copy
import pickle

import pytest

from apps.reliability.encryption import DecryptionError
from apps.reliability.errors import (
    OutcomeUnknown,
    PermanentError,
    Postpone,
    SwitchboardError,
    TransientError,
)

ERRORS = [
    SwitchboardError("a", code="c"),
    TransientError("a", retry_after=3.5, code="c"),
    TransientError(),
    Postpone(30, "a"),
    PermanentError("a", code="c", advice="do this"),
    OutcomeUnknown("a", code="c"),
    DecryptionError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: SwitchboardError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(other) is type(error)
        assert (str(other), other.__dict__) == (str(error), error.__dict__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_always_says_something(error: SwitchboardError) -> None:
    assert str(error)
    assert isinstance(error.code, str)
    assert isinstance(error.message, str)
