"""What can be wrong with the settings of AI: the price table."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.ai.prices import read_price
from apps.operations.checks import TAG

EXAMPLE = 'AI_PRICES={"my-model": [2.5, 10]}: US dollars per million tokens in and out, as JSON on one line.'


def check_ai_prices(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """AI_PRICES is a JSON object of pairs of numbers."""
    prices = settings.AI_PRICES
    if not isinstance(prices, dict):
        return [Error("AI_PRICES is no JSON object.", hint=EXAMPLE, id=f"{TAG}.E051")]
    found: list[CheckMessage] = []
    for model, price in prices.items():
        try:
            read_price(price)
        except ValueError as error:
            found.append(Error(f"AI_PRICES: {model}: {error}.", hint=EXAMPLE, id=f"{TAG}.E051"))
    return found


def register_all() -> None:
    """Let `manage.py` run them (called when the room is ready)."""
    register(check_ai_prices, TAG)
