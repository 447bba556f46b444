"""Conversations, as programs read them."""

import uuid
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router

from apps.accounts import scopes
from apps.frontdoor import reading
from apps.frontdoor.auth import api_key, key_of
from apps.frontdoor.problems import Problem
from apps.frontdoor.schemas import ConversationOut, answers

router = Router()

Limit = Annotated[int, Query(ge=1, le=100, description="The most messages to return.")]
Before = Annotated[
    int | None,
    Query(ge=0, le=2_147_483_647, description="Only what was said before this position (see `next`)."),
]


@router.get(
    "/conversations/{uuid:conversation_id}",
    auth=api_key(scopes.MESSAGES_READ),
    response=answers(401, 403, 404, 422, 503, ok=ConversationOut),
    operation_id="get_conversation",
    summary="A conversation and its latest messages",
)
def get_conversation(
    request: HttpRequest, conversation_id: uuid.UUID, limit: Limit = 50, before: Before = None
) -> ConversationOut:
    """The latest messages first, page by page: pass `next` as `before` until it is empty. Within a page the
    oldest comes first."""
    found = reading.conversation(
        conversation_id, customer=key_of(request).customer_id, limit=limit, before=before
    )
    if found is None:
        raise Problem(404, "There is no conversation with this id.")
    return found
