"""Everything that writes conversations. The bulk services are on the path of every message, so each says how
many statements it costs, and tests/conversations count them."""

from apps.conversations.services.messages import Added, NewMessage, add_messages
from apps.conversations.services.opening import (
    OpenConversation,
    Sender,
    close_contacts,
    contacts_by_id,
    move_contact,
    open_conversations,
    reopen_contacts,
    start_conversation,
)
from apps.conversations.services.statuses import Failure, advance, mark_failed, mark_sent

__all__ = [
    "Added",
    "Failure",
    "NewMessage",
    "OpenConversation",
    "Sender",
    "add_messages",
    "advance",
    "close_contacts",
    "contacts_by_id",
    "mark_failed",
    "mark_sent",
    "move_contact",
    "open_conversations",
    "reopen_contacts",
    "start_conversation",
]
