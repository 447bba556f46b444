"""What the way of every message needs to know of a channel account and of a chatbot: read rarely, remembered for two
seconds in each process, secrets included (they stay in memory, and out of every representation)."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import structlog

from apps.ai.base import Access
from apps.conversations import destinations
from apps.conversations.models import AiAccount, ChannelAccount, Chatbot, ChatbotAi
from apps.reliability.encryption import DecryptionError
from apps.reliability.short_memory import ShortMemory

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A channel account."""

    public_id: str
    channel: str
    chatbot: int
    is_active: bool
    options: dict[str, Any]
    credentials: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """One AI that a chatbot may ask: the provider's name in the registry, and the account to use."""

    provider: str
    options: dict[str, Any]
    access: Access = field(default_factory=Access)
    name: str = ""
    timeout_seconds: float = 300.0

    @property
    def key(self) -> str:
        """What a provider's wish to be left alone holds; empty where there is no account."""
        return destinations.ai_account(self.access.account) if self.access.account else ""

    @property
    def breakers(self) -> tuple[str, ...]:
        """The breakers that a call goes through; none where there is no account."""
        return destinations.of_ai(self.provider, self.access) if self.access.account else ()


@dataclass(frozen=True, slots=True)
class ChatbotFacts:
    """A chatbot, and whom it asks in which order. `max_wait` in seconds."""

    pk: int
    system_prompt: str
    max_wait: float
    choices: tuple[Choice, ...]


_accounts: ShortMemory[int, AccountFacts] = ShortMemory()
_chatbots: ShortMemory[int, ChatbotFacts] = ShortMemory()


def accounts(pks: set[int]) -> dict[int, AccountFacts]:
    """The facts of these channel accounts, by primary key."""
    return _accounts.get_many(pks, _read_accounts)


def chatbots(pks: set[int]) -> dict[int, ChatbotFacts]:
    """The facts of these chatbots, by primary key."""
    return _chatbots.get_many(pks, _read_chatbots)


def _read_accounts(pks: set[int]) -> dict[int, AccountFacts]:
    return {
        account.pk: AccountFacts(
            public_id=str(account.public_id),
            channel=account.channel,
            chatbot=account.chatbot_id,
            is_active=account.is_active,
            options=account.options,
            credentials=account.credentials,
        )
        for account in ChannelAccount.objects.filter(pk__in=pks)
    }


def _read_chatbots(pks: set[int]) -> dict[int, ChatbotFacts]:
    order: dict[int, list[Choice]] = defaultdict(list)
    steps = ChatbotAi.objects.filter(chatbot__in=pks, account__is_active=True).select_related("account")
    # Each account's credentials for themselves: what no key opens must not hide the next account.
    for step in steps.order_by("chatbot_id", "position").defer("account__credentials"):
        order[step.chatbot_id].append(_choice(step))
    return {
        chatbot.pk: ChatbotFacts(
            pk=chatbot.pk,
            system_prompt=chatbot.system_prompt,
            max_wait=float(chatbot.max_wait),
            choices=tuple(order[chatbot.pk]) or (Choice(chatbot.provider, chatbot.provider_options),),
        )
        for chatbot in Chatbot.objects.filter(pk__in=pks)
    }


def _choice(step: ChatbotAi) -> Choice:
    account = step.account
    return Choice(
        provider=account.provider,
        options=account.options,
        access=Access(
            account=str(account.public_id),
            base_url=account.base_url,
            model=step.model or account.model,
            credentials=_credentials(account),
        ),
        name=account.name,
        timeout_seconds=float(account.timeout_seconds),
    )


def _credentials(account: AiAccount) -> dict[str, Any]:
    """Nothing where they can't be decrypted: the provider says then that the key is missing, and the next is asked."""
    try:
        credentials: dict[str, Any] = account.credentials
    except DecryptionError as error:
        log.error("ai_credentials_unreadable", account=account.name, error=str(error))
        return {}
    return credentials
