"""What providers tell us, in our words. Each event carries the provider's own id of it, unique per account, and
the raw shape it came in, which the inbox keeps beside it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """`event_id`: the provider's id, at most 255 characters; a repeat changes nothing.

    `sender`: the channel's id of the person or group, at most 255 characters; empty where nobody is named.
    """

    event_id: str
    sender: str = ""
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived(ProviderEvent):
    """Somebody wrote. `text` is what the AI reads (a caption, or a word for what can't be read, included).

    `opens`: they only opened the conversation (Telegram's Start button); the chatbot's greeting answers.
    """

    text: str
    sender_name: str = ""
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactClosed(ProviderEvent):
    """The person (or the group) can't be written to any more. `reason`: a short code, such as `bot_blocked`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactReopened(ProviderEvent):
    """The person let us in again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactMoved(ProviderEvent):
    """The same person or group has a new id: from now on `to`."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReported(ProviderEvent):
    """What became of a message of ours: `status` is `sent`, `delivered`, `read` or `failed`.

    `provider_message_id`: what `Sent` named. `message_id`: ours (`Outgoing.message_id`), where the provider echoes it;
    it alone finds a message whose send was cut off before the provider told its id. `code`, `error`: why it failed.
    """

    status: str
    provider_message_id: str = ""
    message_id: str = ""
    code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(ProviderEvent):
    """Nothing follows from it. Kept, answered 200. `kind`: the provider's word for it."""

    kind: str = ""
