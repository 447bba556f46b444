"""The browser's side. Anyone may start a conversation with an active chatbot that has a widget account; the
token that comes back opens that one conversation."""

import uuid
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router
from ninja.responses import Status

from apps.conversations.services import start_conversation
from apps.frontdoor import inbox, reading
from apps.frontdoor.auth import ConversationToken, visitor_of
from apps.frontdoor.problems import Problem
from apps.frontdoor.schemas import (
    Accepted,
    WidgetConversationOut,
    WidgetMessageIn,
    WidgetMessagesOut,
    WidgetStart,
    answers,
)

router = Router()
token = ConversationToken()

After = Annotated[uuid.UUID | None, Query(description="Only what came after this message.")]


@router.post(
    "/conversations",
    auth=None,
    response=answers(400, 404, 411, 413, 415, 422, 503, created=WidgetConversationOut),
    operation_id="start_widget_conversation",
    summary="Start a conversation",
)
def start(request: HttpRequest, payload: WidgetStart) -> Status[WidgetConversationOut]:
    """Keep the token: it is shown this once, and it is the only way back into the conversation."""
    page = reading.chat_page(payload.chatbot)
    if page is None:
        raise Problem(404, "chatbot: there is no chat with this id.")
    conversation, secret = start_conversation(account_id=page.account)
    return Status(201, WidgetConversationOut(conversation=conversation.public_id, token=secret))


@router.post(
    "/messages",
    auth=token,
    response=answers(400, 401, 403, 409, 411, 413, 415, 422, 503, accepted=Accepted),
    operation_id="post_widget_message",
    summary="Post a message",
)
def post(request: HttpRequest, payload: WidgetMessageIn) -> Status[Accepted]:
    """`id` is the page's own id of the message: posting it again gives the same answer and stores nothing twice.

    **409**: the conversation was closed; start a new one.
    """
    visitor = visitor_of(request)
    if not visitor.is_open:
        raise Problem(409, "This conversation was closed. Start a new one.")
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
    visitor = visitor_of(request)
    page = reading.after(visitor.conversation, reading.position_of(visitor.conversation, after))
    return WidgetMessagesOut(messages=page.lines, more=page.more)
