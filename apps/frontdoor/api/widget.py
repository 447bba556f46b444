"""The browser's side. Anyone may start a conversation with an active chatbot that has a widget account; the
token that comes back opens that one conversation.

Each operation refuses pages whose origin the chatbot doesn't allow (origins.py), and those who knock too often get
429 (rates.py)."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from apps.conversations.services import start_conversation
from apps.frontdoor import inbox, origins, rates, reading
from apps.frontdoor.auth import ConversationToken, visitor_of
from apps.frontdoor.lookups import Visitor
from apps.frontdoor.problems import Problem
from apps.frontdoor.schemas import (
    Accepted,
    WidgetChatbotOut,
    WidgetConversationOut,
    WidgetMessageIn,
    WidgetMessagesOut,
    WidgetStart,
    answers,
)

router = Router()
token = ConversationToken()

After = Annotated[uuid.UUID | None, Query(description="Only what came after this message.")]


@router.get(
    "/chatbots/{uuid:chatbot}",
    auth=None,
    response=answers(403, 404, 503, ok=WidgetChatbotOut),
    operation_id="get_widget_chatbot",
    summary="What a visitor sees before anything was said",
)
def chatbot(request: HttpRequest, chatbot: uuid.UUID) -> WidgetChatbotOut:
    """Name and greeting of the chatbot, and the address of the live stream.

    **403**: the page's origin is not one of the chatbot's allowed origins.
    """
    page = _chat_page(request, chatbot)
    return WidgetChatbotOut(name=page.name, greeting=page.greeting, events=reading.events_url())


@router.post(
    "/conversations",
    auth=None,
    response=answers(400, 403, 404, 411, 413, 415, 422, 429, 503, created=WidgetConversationOut),
    operation_id="start_widget_conversation",
    summary="Start a conversation",
)
def start(request: HttpRequest, payload: WidgetStart) -> Status[WidgetConversationOut]:
    """Keep the token: it is shown this once, and it is the only way back into the conversation.

    **429**: this address has started many; try again after `Retry-After` seconds.
    """
    page = _chat_page(request, payload.chatbot)
    rates.check_start(request)
    conversation, secret = start_conversation(account_id=page.account)
    return Status(201, WidgetConversationOut(conversation=conversation.public_id, token=secret))


@router.post(
    "/messages",
    auth=token,
    response=answers(400, 401, 403, 409, 411, 413, 415, 422, 429, 503, accepted=Accepted),
    operation_id="post_widget_message",
    summary="Post a message",
)
def post(request: HttpRequest, payload: WidgetMessageIn) -> Status[Accepted]:
    """`id` is the page's own id of the message: posting it again gives the same answer and stores nothing twice.

    **409**: the conversation was closed; start a new one. **429**: too many in a short time; send the same again
    after `Retry-After` seconds.
    """
    visitor = _visitor(request)
    if not visitor.is_open:
        raise Problem(409, "This conversation was closed. Start a new one.")
    rates.check_message(visitor)
    arrival = inbox.Arrival(
        account=visitor.account,
        event_id=f"widget:{visitor.conversation}:{payload.id}",
        sender=visitor.sender,
        text=payload.text,
    )
    (receipt,) = inbox.accept([arrival])
    return Status(202, Accepted(id=receipt.public_id))


@router.get(
    "/messages",
    auth=token,
    response=answers(401, 403, 422, 503, ok=WidgetMessagesOut),
    operation_id="get_widget_messages",
    summary="What was said after a message",
)
def messages(request: HttpRequest, after: After = None) -> WidgetMessagesOut:
    """The conversation in its order, at most 100 messages at a time. What has not been delivered yet, and what
    comes behind it, is left out until it is settled. For a live view use `/api/v1/widget/events`, which sends
    the same messages as server-sent events."""
    visitor = _visitor(request)
    page = reading.after(visitor.conversation, reading.position_of(visitor.conversation, after))
    return WidgetMessagesOut(messages=page.lines, more=page.more)


def _chat_page(request: HttpRequest, chatbot: uuid.UUID) -> reading.ChatPage:
    page = reading.chat_page(chatbot)
    if page is None:
        raise Problem(404, "chatbot: there is no chat with this id.")
    _check_origin(request, page.allowed_origins)
    return page


def _visitor(request: HttpRequest) -> Visitor:
    visitor = visitor_of(request)
    _check_origin(request, visitor.account.allowed_origins)
    return visitor


def _check_origin(request: HttpRequest, allowed: Sequence[str]) -> None:
    origins.check(request.headers.get("Origin", ""), request.headers.get("Host", ""), allowed)
