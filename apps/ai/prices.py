"""What an answer cost: settings.AI_PRICES, {model: (US dollars per million tokens in, out)}.

The table is the operator's (AI_PRICES in the environment): prices change, and none is known better than your contract.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

MILLION = Decimal(1_000_000)


def cost(model: str, tokens_in: int, tokens_out: int) -> Decimal | None:
    """US dollars; None for a model without a price.

    A price holds for every model whose name begins with it, the longest one first: "gpt-x" for "gpt-x-2026-01-01".
    """
    prices: Any = settings.AI_PRICES
    known = [name for name in prices if model.startswith(name)]
    if not known:
        return None
    price_in, price_out = read_price(prices[max(known, key=len)])
    return (price_in * tokens_in + price_out * tokens_out) / MILLION


def read_price(value: Any) -> tuple[Decimal, Decimal]:
    """(in, out) from [in, out]. Raises ValueError, saying what a price must be."""
    try:
        if isinstance(value, str):
            raise TypeError("a text has characters")
        price_in, price_out = (Decimal(str(number)) for number in value)
    except (TypeError, ValueError, InvalidOperation):
        raise ValueError("two numbers: US dollars per million tokens in and out, such as [2.5, 10]") from None
    if not (price_in.is_finite() and price_out.is_finite() and price_in >= 0 and price_out >= 0):
        raise ValueError("two numbers that are 0 or more, such as [2.5, 10]")
    return price_in, price_out
