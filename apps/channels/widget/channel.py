"""The web page as a channel: the page reads our database, so a message is delivered by being there."""

from collections.abc import Sequence
from uuid import UUID

from apps.channels.base import Channel, Listener, Outgoing, Sent
from apps.channels.widget import drafts, live

GRACE_SECONDS = 2.0
"""A sign of typing outlasts the moment when the next is due, so that it does not flicker."""


class WidgetChannel(Channel):
    """Nothing to send and no limits; the pages that listen are woken after the commit, and see an answer grow."""

    name = "widget"
    label = "Web page"
    debounce_seconds = 0.0
    max_text_length = None
    repeatable = True
    typing_seconds = 3.0  # short: a page that opens meanwhile sees it with the next sign
    shows_drafts = True

    async def send(self, outgoing: Outgoing) -> Sent:
        """The message is in the database already, which is where the page looks."""
        return Sent()

    async def typing(self, listener: Listener) -> None:
        """Tell the pages; returns at once."""
        drafts.outbox().typing(_conversation(listener), self.typing_seconds + GRACE_SECONDS)

    async def show(self, listener: Listener, text: str) -> None:
        """Tell the pages what is new of the text; returns at once."""
        drafts.outbox().show(_conversation(listener), text)

    def announce(self, conversation_ids: Sequence[str]) -> None:
        """Wake the pages that show these conversations."""
        live.wake(conversation_ids)


def _conversation(listener: Listener) -> str:
    """The id as pages are known by: a UUID read from SQLite by hand has no dashes."""
    return str(UUID(listener.conversation_id))
