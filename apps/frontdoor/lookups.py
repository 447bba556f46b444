"""Who is speaking, and to whom: questions asked at every request, so answered from memory for two seconds.

What is remembered is small and frozen. Nothing is remembered about what was not found: a new account works at
once, a switched-off one is refused two seconds later at most.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

from apps.conversations.models import ChannelAccount, Conversation
from apps.conversations.models.conversations import token_hash
from apps.reliability.short_memory import ShortMemory


@dataclass(frozen=True, slots=True)
class Account:
    """What the door needs to know of a ChannelAccount. `is_open`: it, its chatbot and its customer are active.
    `allowed_origins`: where its chatbot's widget may be embedded; empty: anywhere."""

    pk: int
    customer: int
    priority: int
    is_open: bool
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receiver:
    """An account that a provider calls, with what proves that it is the provider."""

    account: Account
    channel: str
    credentials: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who holds a conversation token. `sender`: the contact's id at the account."""

    conversation: int
    conversation_id: str
    account: Account
    sender: str
    is_open: bool


_accounts: ShortMemory[uuid.UUID, Account] = ShortMemory()
_visitors: ShortMemory[str, Visitor] = ShortMemory()
_receivers: ShortMemory[uuid.UUID, Receiver] = ShortMemory()


def account_by_public_id(public_id: uuid.UUID) -> Account | None:
    """The account with this public id, active or not; None if there is none."""
    return _accounts.get(public_id, _find_account)


def known_account(public_id: uuid.UUID) -> Account | None:
    """The account if it is in memory; asks nobody."""
    return _accounts.known(public_id)


def receiver_by_public_id(public_id: uuid.UUID) -> Receiver | None:
    """The account with this public id, active or not, with its credentials; None if there is none."""
    return _receivers.get(public_id, _find_receiver)


def visitor_by_token(token: str) -> Visitor | None:
    """Whose conversation this token opens; None for a token that opens nothing."""
    return _visitors.get(token_hash(token), _find_visitor)


def forget() -> None:
    """Ask the database again at the next question (tests)."""
    _accounts.forget()
    _visitors.forget()
    _receivers.forget()


def facts_of(account: ChannelAccount) -> Account:
    """The facts of a loaded account; select_related `chatbot__customer__plan` beforehand."""
    chatbot = account.chatbot
    return Account(
        pk=account.pk,
        customer=chatbot.customer_id,
        priority=chatbot.customer.priority,
        is_open=account.is_active and chatbot.is_active and chatbot.customer.is_active,
        allowed_origins=tuple(chatbot.allowed_origins),
    )


def _find_account(public_id: uuid.UUID) -> Account | None:
    account = (
        ChannelAccount.objects.select_related("chatbot__customer__plan")
        .defer("credentials")
        .filter(public_id=public_id)
        .first()
    )
    return facts_of(account) if account else None


def _find_receiver(public_id: uuid.UUID) -> Receiver | None:
    accounts = ChannelAccount.objects.select_related("chatbot__customer__plan")
    account = accounts.filter(public_id=public_id).first()
    return Receiver(facts_of(account), account.channel, account.credentials) if account else None


def _find_visitor(access_token_hash: str) -> Visitor | None:
    conversation = (
        Conversation.objects.select_related("contact", "account__chatbot__customer__plan")
        .defer("account__credentials")
        .filter(access_token_hash=access_token_hash)
        .first()
    )
    if conversation is None:
        return None
    return Visitor(
        conversation=conversation.pk,
        conversation_id=str(conversation.public_id),
        account=facts_of(conversation.account),
        sender=conversation.contact.external_id,
        is_open=conversation.state == Conversation.State.OPEN,
    )
