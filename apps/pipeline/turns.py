"""What one AI turn is made of: read for many conversations at once, plain data for the call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from apps.ai import registry as providers
from apps.ai.base import ChatLine, Passage, Turn
from apps.channels.base import Listener
from apps.conversations import facts
from apps.conversations.facts import AccountFacts, ChatbotFacts, Choice
from apps.conversations.models import Message
from apps.conversations.statements import as_uuid, records, rows, statements
from apps.knowledge.search import has_items, search_many

CONTEXT = 10
"""How many messages of the conversation the AI gets to read."""


@dataclass(frozen=True, slots=True)
class TurnPayload:
    """A turn of a conversation; `message` and `position` where the chatbot answers each message by itself."""

    conversation: int
    message: int | None = None
    position: int | None = None


@dataclass(slots=True)
class TurnItem:
    """What the call and the write of one turn need. `choices`: whom to ask, in this order."""

    conversation: int
    channel: str
    listener: Listener
    choices: tuple[Choice, ...]
    turn: Turn
    in_reply_to: int
    answered_up_to: int | None
    """The position up to which this turn answers; None where each message is answered by itself."""
    ends_at: float = math.inf
    """When the answer must be there (monotonic)."""
    is_retry: bool = False
    """Whether the AI was asked before, and failed."""


class Line(NamedTuple):
    """A message of a conversation as a turn needs it, and what it needs of the conversation."""

    conversation: int
    public_id: Any
    account: int
    answered_position: int
    recipient: str
    pk: int
    position: int
    direction: str
    status: str
    text: str


def read_turns(payloads: Sequence[TurnPayload]) -> dict[TurnPayload, TurnItem | None]:
    """Return the item of each turn; None where nothing is left to answer.

    One query however many turns, two more where a knowledge base is asked; accounts and chatbots mostly come from
    memory.
    """
    lines = _lines(payloads)
    accounts = facts.accounts({some[0].account for some in lines.values() if some})
    chatbots = facts.chatbots({account.chatbot for account in accounts.values()})
    items: dict[TurnPayload, TurnItem | None] = {}
    bases: list[tuple[int, TurnItem]] = []
    for payload, some in lines.items():
        account = accounts.get(some[0].account) if some else None
        chatbot = chatbots.get(account.chatbot) if account else None
        items[payload] = item = _item(payload, some, account, chatbot) if account and chatbot else None
        if item and account and any(_uses_knowledge(choice.provider) for choice in item.choices):
            bases.append((account.chatbot, item))
    _add_knowledge(bases)
    return items


def _lines(payloads: Sequence[TurnPayload]) -> dict[TurnPayload, list[Line]]:
    """The last messages of each turn's conversation, oldest first; what is asked, last.

    Where a message is answered by itself: what came before it, with the answers that were given meanwhile.
    """
    found: dict[tuple[int, int | None], list[Line]] = {
        (payload.conversation, payload.position): [] for payload in payloads
    }
    turns = records([{"conversation": pk, "position": position} for pk, position in found])
    for position, *row in rows(statements().context, turns=turns, last=CONTEXT):
        found[row[0], position].append(Line(*row))
    return {
        payload: _ordered(found[payload.conversation, payload.position], payload.position)
        for payload in payloads
    }


def _ordered(lines: list[Line], position: int | None) -> list[Line]:
    lines.sort(key=lambda line: line.position)
    if position is None:
        return lines
    asked = [line for line in lines if line.position == position]
    before = [line for line in lines if line.position < position or line.direction == Message.Direction.OUT]
    return [*before[1 - CONTEXT :], *asked]


def _item(
    payload: TurnPayload, lines: list[Line], account: AccountFacts, chatbot: ChatbotFacts
) -> TurnItem | None:
    asked = [line for line in lines if line.direction == Message.Direction.IN]
    if payload.message is not None:
        asked = [line for line in asked if line.pk == payload.message]
    else:
        asked = [line for line in asked if line.position > line.answered_position]
    if not asked:
        return None
    last = asked[-1]
    # What is asked stands last, also where the answer to something earlier, or a fallback, came after it.
    open_ones = {line.pk for line in asked}
    lines = sorted(lines, key=lambda line: line.pk in open_ones)
    return TurnItem(
        conversation=last.conversation,
        channel=account.channel,
        listener=Listener(
            str(as_uuid(last.public_id)), last.recipient, account.credentials, account.public_id
        ),
        choices=chatbot.choices,
        turn=Turn(
            lines=tuple(
                ChatLine("user" if line.direction == Message.Direction.IN else "assistant", line.text)
                for line in lines
                if line.status != Message.Status.FAILED
            ),
            system_prompt=chatbot.system_prompt,
            timeout_seconds=chatbot.max_wait,
        ),
        in_reply_to=last.pk,
        answered_up_to=None if payload.message is not None else last.position,
    )


def _add_knowledge(asking: list[tuple[int, TurnItem]]) -> None:
    if not asking:
        return
    filled = has_items({chatbot for chatbot, _ in asking})
    asking = [(chatbot, item) for chatbot, item in asking if chatbot in filled]
    found = search_many([(chatbot, item.turn.question) for chatbot, item in asking]) if asking else []
    for (_, item), passages in zip(asking, found, strict=True):
        item.turn = _with_passages(item.turn, passages)


def _uses_knowledge(provider: str) -> bool:
    try:
        return providers.get(provider).uses_knowledge
    except LookupError:
        return False  # the call will say what is wrong with it


def _with_passages(turn: Turn, passages: list[Passage]) -> Turn:
    return replace(turn, passages=tuple(passages))
