"""What was said, put into the database as the pipeline and the channels do."""

from typing import Any

from django.db import transaction

from apps.conversations.models import Conversation, Message
from apps.conversations.services import Failure, NewMessage, mark_failed, mark_sent
from tests.factories.conversations import added


def says(conversation: Conversation, text: str, **more: Any) -> Message:
    """The person writes."""
    return _add(conversation, Message.Direction.IN, text, **more)


def answers(
    conversation: Conversation, text: str, *, to: Message | None = None, status: str = "sent"
) -> Message:
    """The bot answers; `status` is how far it got: pending, sent or failed."""
    message = _add(conversation, Message.Direction.OUT, text, in_reply_to_id=to.pk if to else None)
    settle(message, status)
    return message


def settle(message: Message, status: str) -> None:
    if status == "sent":
        mark_sent({message.pk: ""})
    elif status == "failed":
        mark_failed([Failure(message.pk, "gone", "It is gone.")])


def _add(conversation: Conversation, direction: str, text: str, **more: Any) -> Message:
    with transaction.atomic():
        (message,) = added(
            [NewMessage(conversation_id=conversation.pk, direction=direction, text=text, **more)]
        )
    return message
