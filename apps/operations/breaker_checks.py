"""The thresholds of circuit breakers, checked at the boot."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error

from apps.reliability import policies


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"switchboard.E{number:03}")


def check_breakers(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """BREAKER_CHAT, BREAKER_AI, BREAKER_RPC and BREAKER_IPFS are failures/seconds."""
    names = {"chat": "BREAKER_CHAT", "ai": "BREAKER_AI", "rpc": "BREAKER_RPC", "ipfs": "BREAKER_IPFS"}
    found: list[CheckMessage] = []
    for kind, text in settings.BREAKERS.items():
        name = names[kind]
        hint = f"{name}=5/30 opens a circuit breaker at five failures within 30 seconds, for 30 seconds at first."
        try:
            policies.parse(text)
        except ValueError as error:
            found.append(_error(32, f"{name}: {error}.", hint))
    return found
