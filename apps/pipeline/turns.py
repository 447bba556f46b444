"""What one AI turn is made of: read for many conversations at once, plain data for the call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from apps.ai import registry as providers
from apps.ai.base import ChatLine, Passage, Turn
from apps.conversations.models import Conversation, Message
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
    """What the call and the write of one turn need."""

    conversation: int
    channel: str
    provider: str
    turn: Turn
    in_reply_to: int
    answered_up_to: int | None
    """The position up to which this turn answers; None where each message is answered by itself."""


def read_turns(payloads: Sequence[TurnPayload]) -> dict[TurnPayload, TurnItem | None]:
    """Return the item of each turn; None where nothing is left to answer.

    Three queries however many turns, two more where a knowledge base is asked.
    """
    ids = {payload.conversation for payload in payloads}
    conversations = {one.pk: one for one in Conversation.objects.with_chatbot().filter(pk__in=ids)}
    messages = _messages(payloads)
    items: dict[TurnPayload, TurnItem | None] = {}
    for payload in payloads:
        conversation = conversations.get(payload.conversation)
        items[payload] = _item(payload, conversation, messages[payload]) if conversation else None
    _add_knowledge(conversations, [item for item in items.values() if item])
    return items


def _messages(payloads: Sequence[TurnPayload]) -> dict[TurnPayload, list[Message]]:
    each = [payload for payload in payloads if payload.position is not None]
    merged = [payload for payload in payloads if payload.position is None]
    by_conversation: dict[int, list[Message]] = defaultdict(list)
    seen: set[int] = set()
    for message in _context(each, merged):
        if message.pk not in seen:
            seen.add(message.pk)
            by_conversation[message.conversation_id].append(message)
    return {
        payload: [
            message
            for message in by_conversation[payload.conversation]
            if payload.position is None or payload.position - CONTEXT < message.position <= payload.position
        ]
        for payload in payloads
    }


def _context(each: list[TurnPayload], merged: list[TurnPayload]) -> Iterable[Message]:
    if merged:
        yield from Message.objects.context_for([payload.conversation for payload in merged], last=CONTEXT)
    if each:
        wanted = Q()
        for payload in each:
            last = payload.position or 0
            wanted |= Q(conversation_id=payload.conversation, position__gt=last - CONTEXT, position__lte=last)
        yield from Message.objects.filter(wanted).order_by("conversation_id", "position")


def _item(payload: TurnPayload, conversation: Conversation, messages: list[Message]) -> TurnItem | None:
    asked = [message for message in messages if message.direction == Message.Direction.IN]
    if payload.message is not None:
        asked = [message for message in asked if message.pk == payload.message]
    else:
        asked = [message for message in asked if message.position > conversation.answered_position]
    if not asked:
        return None
    chatbot = conversation.account.chatbot
    return TurnItem(
        conversation=conversation.pk,
        channel=conversation.account.channel,
        provider=chatbot.provider,
        turn=Turn(
            lines=tuple(
                ChatLine("user" if message.direction == Message.Direction.IN else "assistant", message.text)
                for message in messages
                if message.status != Message.Status.FAILED
            ),
            system_prompt=chatbot.system_prompt,
            options=chatbot.provider_options,
            timeout_seconds=float(chatbot.max_wait),
        ),
        in_reply_to=asked[-1].pk,
        answered_up_to=None if payload.message is not None else asked[-1].position,
    )


def _add_knowledge(conversations: dict[int, Conversation], items: list[TurnItem]) -> None:
    asking = [item for item in items if _uses_knowledge(item.provider)]
    if not asking:
        return
    chatbots = {item.conversation: conversations[item.conversation].account.chatbot_id for item in asking}
    filled = has_items(set(chatbots.values()))
    asking = [item for item in asking if chatbots[item.conversation] in filled]
    found = (
        search_many([(chatbots[item.conversation], item.turn.question) for item in asking]) if asking else []
    )
    for item, passages in zip(asking, found, strict=True):
        item.turn = _with_passages(item.turn, passages)


def _uses_knowledge(provider: str) -> bool:
    try:
        return providers.get(provider).uses_knowledge
    except LookupError:
        return False  # the call will say what is wrong with it


def _with_passages(turn: Turn, passages: list[Passage]) -> Turn:
    return Turn(turn.lines, tuple(passages), turn.system_prompt, turn.options, turn.timeout_seconds)


def details(result: dict[str, Any], provider: str) -> dict[str, Any]:
    """What is kept beside a reply: who wrote it and what it cost."""
    kept = ("model", "tokens_in", "tokens_out", "seconds")
    return {"provider": provider, **{name: result[name] for name in kept if name in result}}
