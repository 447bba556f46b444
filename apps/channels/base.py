"""What a channel is: the adapter between Switchboard and one way of reaching people.

A channel knows the words of its provider and nothing of our database: it turns what strangers send into an
`IncomingMessage` and an `Outgoing` into one call to the provider. A new channel is a folder beside `widget/`,
one line in `settings.CHANNELS` and one subclass of tests/channels/contract.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """One message a person wrote, in our words. Plain data: it travels as the payload of a job.

    account      the ChannelAccount it arrived at (primary key)
    message_id   the UUID this message will carry in our API, given at the door
    sender       the channel's id of the person, at most 255 characters
    received_at  when the door took it in, ISO 8601 with zone
    """

    account: int
    message_id: str
    sender: str
    text: str
    sender_name: str = ""
    received_at: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to deliver. The ids are public ones (UUIDs as text); `recipient` is the channel's own id.

    The credentials stay out of the representation, so that no traceback or log line shows them.
    """

    message_id: str
    conversation_id: str
    recipient: str
    text: str
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)
    account: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took the message; its id for it, where it gives one."""

    provider_message_id: str = ""


class Channel:
    """One way of reaching people. Subclasses set the attributes and write `send`.

    name              the key in settings.CHANNELS, in ChannelAccount.channel and in queue names
    label             what people read
    debounce_seconds  how long a turn waits for a next message before it is answered
    max_text_length   the longest text one message may carry, in characters; None where there is no limit
    repeatable        whether sending the same message twice does no harm (the person sees it once)
    """

    name: ClassVar[str]
    label: ClassVar[str]
    debounce_seconds: ClassVar[float] = 1.0
    max_text_length: ClassVar[int | None] = None
    repeatable: ClassVar[bool] = False

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand one message to the provider. No database here.

        Raises TransientError (try later), Postpone (limit), PermanentError (never) or OutcomeUnknown (it may
        have arrived).
        """
        raise NotImplementedError

    def announce(self, conversation_ids: Sequence[str]) -> None:
        """Something in these conversations (public ids) changed; called after the commit. Must never raise.

        Most channels have nobody to tell; the widget wakes the pages that listen.
        """
