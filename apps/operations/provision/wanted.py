"""What a set-up asks for. `values` holds fields of the model by their names, only those that were given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class ProvisionError(Exception):
    """The set-up can't be done as it is written; nothing was changed.

    `where` names the place as a path through the tables; `key` is the word to look for in the file.
    """

    def __init__(self, where: str, message: str, *, key: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.key = key


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One thing by its name. `where` is where it was asked for, for messages."""

    name: str
    where: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlanWanted(Wanted):
    pass


@dataclass(frozen=True, kw_only=True)
class ApiKeyWanted(Wanted):
    scopes: tuple[str, ...]
    expires_in_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class AiAccountWanted(Wanted):
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class ChannelAccountWanted(Wanted):
    """`name` is None where none was given: then the chatbot's only account of this channel is meant."""

    name: str | None  # type: ignore[assignment]
    channel: str
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class AiStepWanted:
    """One step of a chatbot's order: the AI account by its name, and the model where it isn't the account's."""

    account: str
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class ChatbotWanted(Wanted):
    """`ai` is the whole order of AI accounts, None leaves it as it is; `ai_also` is put behind it where missing.
    `knowledge` are (title, text) pairs."""

    ai: tuple[AiStepWanted, ...] | None = None
    ai_also: str = ""
    knowledge: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    accounts: tuple[ChannelAccountWanted, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CustomerWanted(Wanted):
    """`plan` by its name; empty leaves it as it is."""

    plan: str = ""
    ai_accounts: tuple[AiAccountWanted, ...] = ()
    chatbots: tuple[ChatbotWanted, ...] = ()
    api_keys: tuple[ApiKeyWanted, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All of it."""

    plans: tuple[PlanWanted, ...] = ()
    customers: tuple[CustomerWanted, ...] = ()
