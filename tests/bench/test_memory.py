"""The slope that bench.memory prints."""

import os
import random

import pytest

from bench.memory import quantile_of_t, sizes_of, slope

MOMENTS = [5.0 * number for number in range(120)]


def test_a_straight_line_is_found_exactly():
    found = slope(MOMENTS, [100e6 + 1000 * moment for moment in MOMENTS])
    assert found.per_hour == pytest.approx(3.6e6)
    assert found.low == pytest.approx(3.6e6)
    assert found.high == pytest.approx(3.6e6)


def test_what_does_not_change_has_no_slope():
    assert slope(MOMENTS, [100e6] * 120).per_hour == 0


def test_the_interval_holds_the_true_slope_also_when_neighbours_are_alike():
    """95 of 100 is what it says; what wanders as memory does is the hard case."""
    any_number, held = random.Random(7), 0  # noqa: S311 - a fixed seed is wanted
    for _ in range(300):
        wander, sizes = 0.0, []
        for moment in MOMENTS:
            wander = 0.8 * wander + any_number.gauss(0, 1e5)
            sizes.append(100e6 + 100 * moment + wander)
        found = slope(MOMENTS, sizes)
        held += found.low <= 360_000 <= found.high
    assert held / 300 > 0.9


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="longer window"):
        slope(MOMENTS[:5], [1.0] * 5)


@pytest.mark.parametrize(("freedom", "known"), [(3, 3.182), (10, 2.228), (30, 2.042)])
def test_quantiles_are_those_of_the_tables(freedom, known):
    assert quantile_of_t(freedom) == pytest.approx(known, rel=0.01)


def test_sizes_of_a_process_are_in_bytes():
    try:
        pss, anonymous = sizes_of(os.getpid())
    except (OSError, KeyError):
        pytest.skip("needs /proc/<pid>/smaps_rollup with Pss_Anon: Linux 5.9 or newer")
    assert 1e6 < anonymous <= pss < 1e10
