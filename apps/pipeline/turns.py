"""What one AI turn is made of: read for many conversations at once, plain data for the call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, NamedTuple

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

    Two queries however many turns, two more where a knowledge base is asked.
    """
    ids = {payload.conversation for payload in payloads}
    conversations = {one.pk: one for one in Conversation.objects.with_chatbot().filter(pk__in=ids)}
    messages = _messages(payloads, conversations)
    items: dict[TurnPayload, TurnItem | None] = {}
    for payload in payloads:
        conversation = conversations.get(payload.conversation)
        items[payload] = _item(payload, conversation, messages[payload]) if conversation else None
    _add_knowledge(conversations, [item for item in items.values() if item])
    return items


class Line(NamedTuple):
    """A message as a turn needs it. Not a model: hundreds of them are read at once."""

    pk: int
    conversation: int
    position: int
    direction: str
    status: str
    text: str


def _messages(
    payloads: Sequence[TurnPayload], conversations: dict[int, Conversation]
) -> dict[TurnPayload, list[Line]]:
    by_conversation: dict[int, list[Line]] = defaultdict(list)
    for line in _context(payloads, conversations):
        by_conversation[line.conversation].append(line)
    found = {}
    for payload in payloads:
        lines = by_conversation[payload.conversation]
        if payload.position is not None:
            # What came before it, with the answers that were given meanwhile; then what is asked.
            asked = [line for line in lines if line.position == payload.position]
            before = [
                line
                for line in lines
                if line.position < payload.position or line.direction == Message.Direction.OUT
            ]
            lines = [*before[1 - CONTEXT :], *asked]
        found[payload] = lines[-CONTEXT:]
    return found


def _context(payloads: Sequence[TurnPayload], conversations: dict[int, Conversation]) -> Iterable[Line]:
    """The last messages of each conversation, from far enough back; one query.

    A turn that answers one message by itself may lie some messages back; one that lies far back is read apart.
    """
    near, far = set(), []
    for payload in payloads:
        conversation = conversations.get(payload.conversation)
        if conversation and payload.position and conversation.message_count - payload.position > CONTEXT:
            far.append(payload)
        elif conversation:
            near.add(payload.conversation)
    back = CONTEXT if all(payload.position is None for payload in payloads) else 2 * CONTEXT
    columns = ("pk", "conversation_id", "position", "direction", "status", "text")
    if near:
        yield from starmap(Line, Message.objects.context_for(near, last=back).values_list(*columns))
    for payload in far:
        last = payload.position or 0
        rows = Message.objects.filter(
            conversation=payload.conversation, position__gt=last - CONTEXT, position__lte=last
        ).order_by("position")
        yield from starmap(Line, rows.values_list(*columns))


def _item(payload: TurnPayload, conversation: Conversation, messages: list[Line]) -> TurnItem | None:
    asked = [message for message in messages if message.direction == Message.Direction.IN]
    if payload.message is not None:
        asked = [message for message in asked if message.pk == payload.message]
    else:
        asked = [message for message in asked if message.position > conversation.answered_position]
    if not asked:
        return None
    chatbot = conversation.account.chatbot
    # What is asked stands last, also where the answer to something earlier, or a fallback, came after it.
    open_ones = {message.pk for message in asked}
    messages = sorted(messages, key=lambda message: message.pk in open_ones)
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
