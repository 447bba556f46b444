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
from apps.conversations.services.statuses import (
    Failure,
    Reported,
    advance,
    apply_reports,
    find_reported,
    mark_failed,
    mark_sent,
)

__all__ = [
    "Added",
    "Failure",
    "NewMessage",
    "OpenConversation",
    "Reported",
    "Sender",
    "add_messages",
    "advance",
    "apply_reports",
    "close_contacts",
    "contacts_by_id",
    "find_reported",
    "mark_failed",
    "mark_sent",
    "move_contact",
    "open_conversations",
    "reopen_contacts",
    "start_conversation",
]
