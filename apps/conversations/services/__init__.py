"""Everything that writes conversations. The bulk services are on the path of every message, so each says how
many statements it costs, and tests/conversations count them."""

from apps.conversations.services.messages import NewMessage, add_messages, mark_answered
from apps.conversations.services.opening import Sender, open_conversations, start_conversation
from apps.conversations.services.statuses import Failure, advance, mark_failed, mark_sent

__all__ = [
    "Failure",
    "NewMessage",
    "Sender",
    "add_messages",
    "advance",
    "mark_answered",
    "mark_failed",
    "mark_sent",
    "open_conversations",
    "start_conversation",
]
