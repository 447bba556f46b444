"""What the doors show of conversations. Each question says whose eyes it is for; what belongs to others is not
found."""

import uuid
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.db.models import QuerySet

from apps.conversations.models import ChannelAccount, Conversation, Message
from apps.frontdoor.models import InboundEvent
from apps.frontdoor.schemas import ConversationOut, LineOut, MessageOut, ReplyOut

WIDGET = "widget"
API_PATH = "/api/v1/widget"
EVENTS_PATH = f"{API_PATH}/events"
PAGE = 100
SHOWN = ("public_id", "position", "direction", "text", "status", "is_fallback", "created_at")


@dataclass(frozen=True, slots=True)
class ChatPage:
    """What a visitor sees before anything was said, and on which pages they may see it (empty: on any).
    `account`: the widget account's primary key."""

    account: int
    name: str
    greeting: str
    allowed_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in their order. `position`: read on from here. `more`: at once, there is more."""

    lines: list[LineOut]
    position: int
    more: bool


def message(public_id: uuid.UUID, *, customer: int) -> MessageOut | None:
    """The message with this id and its reply, if it is this customer's; from the inbox until it was handled."""
    found = (
        Message.objects.select_related("conversation")
        .filter(public_id=public_id, conversation__account__chatbot__customer=customer)
        .first()
    )
    if found is None:
        return _still_in_the_inbox(public_id, customer)
    return MessageOut(
        id=found.public_id,
        conversation=found.conversation.public_id,
        direction=_direction(found),
        text=found.text,
        status=found.status,
        created_at=found.created_at,
        reply=_reply_to(found),
    )


def conversation(
    public_id: uuid.UUID, *, customer: int, limit: int, before: int | None
) -> ConversationOut | None:
    """The conversation with this id, if it is this customer's, and its last `limit` messages before `before`."""
    found = Conversation.objects.filter(public_id=public_id, account__chatbot__customer=customer).first()
    if found is None:
        return None
    messages: QuerySet[Message] = found.messages.order_by("-position")
    if before is not None:
        messages = messages.filter(position__lt=before)
    latest = list(messages[: limit + 1])
    lines = [_line(row) for row in reversed(latest[:limit])]
    return ConversationOut(
        id=found.public_id,
        state="open" if found.state == Conversation.State.OPEN else "closed",
        last_message_at=found.last_message_at,
        messages=lines,
        next=lines[0].position if len(latest) > limit else None,
    )


def chat_page(chatbot: uuid.UUID) -> ChatPage | None:
    """The chat page of this chatbot; None if there is none, or it or its customer is switched off."""
    account = (
        ChannelAccount.objects.select_related("chatbot")
        .defer("credentials")
        .filter(
            chatbot__public_id=chatbot,
            channel=WIDGET,
            is_active=True,
            chatbot__is_active=True,
            chatbot__customer__is_active=True,
        )
        .order_by("pk")
        .first()
    )
    if account is None:
        return None
    chatbot_row = account.chatbot
    return ChatPage(
        account=account.pk,
        name=chatbot_row.name,
        greeting=chatbot_row.greeting,
        allowed_origins=tuple(chatbot_row.allowed_origins),
    )


def events_url() -> str:
    """Where browsers find the live stream: at EVENTS_URL, else under the address that they asked (a path only)."""
    base: str = settings.EVENTS_URL
    return base.rstrip("/") + EVENTS_PATH


def position_of(conversation: int, message: uuid.UUID | None) -> int:
    """Where this message stands in the conversation; 0, the beginning, for one that isn't there."""
    if message is None:
        return 0
    places = Message.objects.filter(public_id=message, conversation=conversation)
    return places.values_list("position", flat=True).first() or 0


def after(conversation: int, position: int) -> Page:
    """What a visitor may see behind `position`, in order, at most PAGE lines.

    It ends before a message to them that is still on its way: whatever comes behind must wait for it, or the
    visitor would read the answers in another order than the conversation has. One that failed is passed over;
    should it arrive after all, it takes a new place at the end.
    """
    rows = list(Message.objects.filter(conversation=conversation).after(position).only(*SHOWN)[:PAGE])
    lines: list[LineOut] = []
    for row in rows:
        if row.status == Message.Status.PENDING:
            return Page(lines, position, more=False)
        if not (row.direction == Message.Direction.OUT and row.status == Message.Status.FAILED):
            lines.append(_line(row))
        position = row.position
    return Page(lines, position, more=len(rows) == PAGE)


def _still_in_the_inbox(public_id: uuid.UUID, customer: int) -> MessageOut | None:
    event = InboundEvent.objects.filter(public_id=public_id, account__chatbot__customer=customer).first()
    if event is None:
        return None
    return MessageOut(
        id=event.public_id,
        conversation=None,
        direction="in",
        text=event.payload.get("text", ""),
        status="accepted",
        created_at=event.received_at,
        reply=None,
    )


def _reply_to(found: Message) -> ReplyOut | None:
    """The first message to the person that answers this one or a later one: messages in a row share an answer."""
    if found.direction != Message.Direction.IN:
        return None
    reply = (
        Message.objects.filter(
            conversation=found.conversation_id,
            direction=Message.Direction.OUT,
            in_reply_to__position__gte=found.position,
        )
        .after(found.position)
        .first()
    )
    if reply is None:
        return None
    parts = _parts_of(reply)
    return ReplyOut(
        id=parts[0].public_id,
        text="\n\n".join(part.text for part in parts),
        status=_together([part.status for part in parts]),
        parts=len(parts),
        is_fallback=reply.is_fallback,
        created_at=parts[0].created_at,
    )


def _parts_of(reply: Message) -> list[Message]:
    """The messages of one answer, in its order; one that failed and arrived after all stands behind the others."""
    if reply.details.get("parts", 1) == 1:
        return [reply]
    siblings = Message.objects.filter(
        conversation=reply.conversation_id, direction=Message.Direction.OUT, in_reply_to=reply.in_reply_to_id
    )
    by_part: dict[int, Message] = {}
    for row in siblings.after(reply.position - 1):
        if row.details.get("parts") == reply.details["parts"]:
            by_part.setdefault(row.details["part"], row)
    return [by_part[part] for part in sorted(by_part)]


def _together(statuses: list[str]) -> str:
    """How far an answer of several messages has got: failed where one has, else as far as the last of them."""
    if Message.Status.FAILED in statuses:
        return Message.Status.FAILED
    return min(statuses, key=[str(one) for one in Message.RANKING].index)


def _line(row: Message) -> LineOut:
    return LineOut(
        id=row.public_id,
        position=row.position,
        direction=_direction(row),
        text=row.text,
        status=row.status,
        is_fallback=row.is_fallback,
        created_at=row.created_at,
    )


def _direction(row: Message) -> Literal["in", "out"]:
    return "in" if row.direction == Message.Direction.IN else "out"
