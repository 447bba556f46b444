"""The web page as a channel: the page reads our database, so a message is delivered by being there."""

from collections.abc import Sequence

from apps.channels.base import Channel, Outgoing, Sent
from apps.channels.widget import live


class WidgetChannel(Channel):
    """Nothing to send and no limits; the pages that listen are woken after the commit."""

    name = "widget"
    label = "Web page"
    debounce_seconds = 0.0
    max_text_length = None
    repeatable = True

    async def send(self, outgoing: Outgoing) -> Sent:
        """The message is in the database already, which is where the page looks."""
        return Sent()

    def announce(self, conversation_ids: Sequence[str]) -> None:
        """Wake the pages that show these conversations."""
        live.wake(conversation_ids)
