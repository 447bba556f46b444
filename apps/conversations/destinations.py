"""Where calls go that may fail: the names of the breakers that a call goes through, and whose accounts they stand for.

A send, or a question to an AI, goes through the breaker of its provider as a whole and through that of its account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.ai import registry as providers
from apps.ai.base import Access
from apps.channels import registry as channels
from apps.conversations.models import AiAccount, ChannelAccount

ACCOUNTS = CHANNEL, AI = "channel:", "ai:"
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


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that a breaker or a hold stands for. `page`: the name of its page in the admin, for its key `pk`."""

    account: str
    pk: int
    page: str
    customer_id: int
    customer: str


def owners(names: Iterable[str]) -> dict[str, Owner]:
    """Whose accounts these breakers and holds stand for; providers' breakers and what is gone are left out.

    Two queries at most; no credentials are read.
    """
    by_id = {name: public_id for name in names if (public_id := _account_id(name))}
    wanted = {name: public_id for name, public_id in by_id.items() if name.startswith(AI)}
    found: dict[str, Owner] = {}
    if wanted:
        ais = AiAccount.objects.filter(public_id__in=wanted.values()).select_related("customer")
        by_key = {account.public_id: account for account in ais.defer("credentials")}
        for name, public_id in wanted.items():
            if ai := by_key.get(public_id):
                page = "conversations_aiaccount"
                found[name] = Owner(ai.name, ai.pk, page, ai.customer_id, ai.customer.name)
    wanted = {name: public_id for name, public_id in by_id.items() if name not in wanted}
    if wanted:
        rows = ChannelAccount.objects.filter(public_id__in=wanted.values()).defer("credentials")
        keyed = {row.public_id: row for row in rows.select_related("chatbot__customer")}
        for name, public_id in wanted.items():
            if row := keyed.get(public_id):
                customer = row.chatbot.customer
                label = f"{row.chatbot.name}: {row}"
                found[name] = Owner(label, row.pk, "conversations_channelaccount", customer.pk, customer.name)
    return found


def services_of(customer_id: int) -> set[str]:
    """The providers' breakers that calls of this customer's accounts go through. Two queries."""
    rows = ChannelAccount.objects.filter(chatbot__customer=customer_id).values_list("channel", "options")
    found = {of_channel(channel, "", options)[0] for channel, options in rows if channel in channels.names()}
    ais = AiAccount.objects.filter(customer=customer_id).values_list("provider", "base_url", "public_id")
    for provider, base_url, public_id in ais:
        found |= set(of_ai(provider, Access(account=str(public_id), base_url=base_url))[:-1])
    return found


def _account_id(name: str) -> UUID | None:
    """None for what is no account's, and for other spellings of an account's name: they are no breakers."""
    kind, _, text = name.partition(":")
    try:
        found = None if kind == "service" else UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
