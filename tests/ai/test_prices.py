"""What answers cost, by the operator's table."""

from decimal import Decimal

import pytest
from django.core.checks import run_checks

from apps.ai.prices import cost, read_price
from apps.operations.checks import TAG


def test_the_longest_beginning_counts(settings):
    settings.AI_PRICES = {"gpt-x": [2.5, 10], "gpt-x-mini": [0.15, 0.6], "mine": [0, 0]}
    assert cost("gpt-x-2026-01-01", 1_000_000, 100_000) == Decimal("3.5")
    assert cost("gpt-x-mini", 1_000, 1_000) == Decimal("0.00075")
    assert cost("mine:8b", 500, 500) == 0
    assert cost("unknown", 1, 1) is None


def test_without_a_table_nothing_has_a_price(settings):
    settings.AI_PRICES = {}
    assert cost("gpt-x", 1, 1) is None


WRONG = [[1], [1, 2, 3], ["a", 1], [-1, 1], [1, float("inf")], None, 7, {"in": 1}, [None, 1]]


@pytest.mark.parametrize("value", WRONG)
def test_a_price_is_two_numbers(value):
    with pytest.raises(ValueError, match="two numbers"):
        read_price(value)


@pytest.mark.parametrize("prices", ['{"broken', [1], {"m": [1]}, {"m": "12"}])
def test_a_malformed_table_stops_the_boot(settings, prices):
    settings.AI_PRICES = prices
    found = run_checks(tags=[TAG])
    assert [message.id for message in found if "AI_PRICES" in message.msg] == ["switchboard.E051"]
    assert "as JSON" in found[-1].hint


def test_a_proper_table_is_fine(settings):
    settings.AI_PRICES = {"m": ["2.50", 10]}
    assert [message for message in run_checks(tags=[TAG]) if "AI_PRICES" in message.msg] == []
