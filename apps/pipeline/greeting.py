"""Who only opens a conversation (Telegram's Start button) is greeted; no AI is asked."""

from __future__ import annotations

from apps.channels.base import IncomingMessage
from apps.conversations.models import Message
from apps.conversations.services import Added, NewMessage, OpenConversation, add_messages
from apps.jobs.claimed import ClaimedJob
from apps.jobs.enqueueing import enqueue_many
from apps.pipeline.routing import Route, delivery_jobs


def greets(message: IncomingMessage, conversation: OpenConversation) -> bool:
    """Whether this message is answered with the chatbot's greeting; without one it is a question like any other."""
    return message.opens and bool(conversation.greeting.strip())


def greet(opened: list[tuple[ClaimedJob, OpenConversation, Added]]) -> None:
    """Answer these with the greeting, in the transaction that stores what they sent."""
    greetings = add_messages(
        [
            NewMessage(
                conversation_id=conversation.pk,
                direction=Message.Direction.OUT,
                text=conversation.greeting,
                in_reply_to_id=message.pk,
                answers_up_to=message.position,
            )
            for _, conversation, message in opened
        ]
    )
    enqueue_many(
        delivery_jobs(
            [
                Route(greeting.pk, conversation.pk, conversation.channel, job)
                for (job, conversation, _), greeting in zip(opened, greetings, strict=True)
            ]
        )
    )
