"""Where calls go that may fail: the names of the breakers that a call goes through, and whose accounts they stand for.

A send, or a question to an AI, goes through the breaker of its provider as a whole and through that of its account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.ai import registry as providers
from apps.ai.base import Access
from apps.channels import registry as channels

CHANNEL, AI = "channel:", "ai:"
CHANNEL_SERVICE, AI_SERVICE = "service:chat:", "service:ai:"


def of_channel(channel: str, account: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """The breakers of a send: the channel's service, and the account (its public id)."""
    return CHANNEL_SERVICE + channels.get(channel).service(options), CHANNEL + account


def of_ai(provider: str, access: Access) -> tuple[str, ...]:
    """The breakers of a question to an AI: the host that answers, and the account."""
    try:
        service = providers.get(provider).service(access) or provider
    except LookupError:  # the call will say what is wrong with it
        return (ai_account(access.account),)
    return AI_SERVICE + service, ai_account(access.account)


def ai_account(account: str) -> str:
    """The breaker of an account with an AI provider (its public id), and what a provider's 429 holds."""
    return AI + account
