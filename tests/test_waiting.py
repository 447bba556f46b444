"""The one way tests wait."""

import pytest

from tests.waiting import wait_until


def test_returns_the_first_true_answer():
    answers = iter([0, "", "here"])
    assert wait_until(lambda: next(answers), interval=0.001) == "here"


def test_says_what_it_waited_for():
    with pytest.raises(AssertionError, match=r"waited 0.01 s for the impossible; the last answer was None"):
        wait_until(lambda: None, deadline=0.01, what="the impossible")
