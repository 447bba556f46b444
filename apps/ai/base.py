"""What an AI provider is: given a turn of a conversation, it returns the answer.

A provider knows nothing of our database, and no database connection is held while it thinks. A new one is a
file in this folder (or anywhere else), one line in `settings.AI_PROVIDERS` and one subclass of
tests/ai/contract.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Role = Literal["user", "assistant"]
OnText = Callable[[str], None]
"""Gets each piece of the answer as it comes. Must not block."""


@dataclass(frozen=True, slots=True)
class ChatLine:
    """One line of the conversation so far: the person is `user`, the chatbot `assistant`."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of the knowledge base; a higher score fits the question better. Scores of two searches, or of
    two databases, can't be compared."""

    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Access:
    """An account with a provider: whom to ask, and with which key.

    account      our public id of the account; empty for a provider that needs none
    base_url     where it answers; empty: the provider's own address
    model        which model; empty: the provider's choice
    credentials  what proves who we are; kept out of the representation
    """

    account: str = ""
    base_url: str = ""
    model: str = ""
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """All that a provider gets for one answer.

    lines            the conversation, oldest first; the last line is what must be answered
    passages         what the knowledge base had on it, best first
    options          what the operator wrote for this provider (the chatbot's provider_options, the account's own)
    timeout_seconds  what is left of the chatbot's patience; the provider must not take longer
    access           the account to use, for providers that need one
    """

    lines: tuple[ChatLine, ...]
    passages: tuple[Passage, ...] = ()
    system_prompt: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    timeout_seconds: float = 20.0
    access: Access = Access()

    @property
    def question(self) -> str:
        """What the person wrote since the last answer: their last lines in a row, as one text."""
        asked: list[str] = []
        for line in reversed(self.lines):
            if line.role != "user":
                break
            asked.append(line.text)
        return "\n".join(reversed(asked))


@dataclass(frozen=True, slots=True)
class Answer:
    """The text for the person, the model that wrote it and the tokens it cost.

    estimated  whether the tokens were counted here, since the provider did not say
    """

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False


class Provider:
    """One source of answers. Subclasses set the attributes and write `complete`.

    name            the key in settings.AI_PROVIDERS and in Chatbot.provider
    uses_knowledge  whether passages are worth searching for before it is asked
    needs_account   whether `turn.access` must name an account; what its credentials hold: `credential_names`
    """

    name: ClassVar[str]
    uses_knowledge: ClassVar[bool] = True
    needs_account: ClassVar[bool] = False
    credential_names: ClassVar[tuple[str, ...]] = ()

    def service(self, access: Access) -> str:
        """What all accounts that use it share: when it is away, it is away for all. Empty: the provider itself."""
        return ""

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        """The answer to the last lines of the turn. No database here.

        `on_text`, where somebody watches, gets the pieces as they come; a provider that has its answer all at once
        need not call it. Raises TransientError (try again), Postpone (rate limit) or PermanentError (it will never
        work).
        """
        raise NotImplementedError
