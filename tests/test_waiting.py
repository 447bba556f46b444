"""The one way tests wait."""

import pytest

from tests import waiting
from tests.waiting import Moment, wait_until


@pytest.fixture(autouse=True)
def pressure(tmp_path, monkeypatch):
    """Writes the kernel's figure: seconds in which somebody had to wait for a processor."""
    monkeypatch.setattr(waiting, "PRESSURE", tmp_path / "cpu")

    def say(seconds):
        line = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={int(seconds * 1e6)}"
        (tmp_path / "cpu").write_text(f"{line}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n")

    return say


def test_returns_the_first_true_answer():
    answers = iter([0, "", "here"])
    assert wait_until(lambda: next(answers), interval=0.001) == "here"


def test_says_what_it_waited_for():
    with pytest.raises(AssertionError, match=r"waited 0.01 s for the impossible; the last answer was None"):
        wait_until(lambda: None, deadline=0.01, what="the impossible")


def test_deadlines_may_begin_at_an_earlier_moment():
    begun = Moment()
    wait_until(lambda: begun.is_over(0.02))
    asked = []
    with pytest.raises(AssertionError):
        wait_until(lambda: asked.append(1), deadline=0.02, since=begun)
    assert len(asked) == 1


def test_time_in_which_the_machine_is_overloaded_does_not_count(pressure):
    pressure(1000)
    then = Moment()
    wait_until(lambda: then.is_over(0.02))
    pressure(1000.05)
    assert not then.is_over(0.02)
    wait_until(lambda: then.is_over(0.02))


def test_however_overloaded_it_is_it_does_not_wait_for_ever(pressure):
    pressure(1000)
    then = Moment()
    pressure(2000)
    assert not then.is_over(0.1)
    wait_until(lambda: then.is_over(0.1))
