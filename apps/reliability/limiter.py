"""Shared limits: how often a key may be used, for all processes together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `rate` a second in the long run, `burst` at once. The key names what is limited; no secrets in it."""

    key: str
    rate: float
    burst: int = 1
