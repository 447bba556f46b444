"""What a channel is: the adapter between Switchboard and one way of reaching people.

A channel knows the words of its provider and nothing of our database: it turns what strangers send into events of
`apps/channels/events.py` and an `Outgoing` into one call to the provider. A new channel is a folder beside
`widget/`, one line in `settings.CHANNELS` and one subclass of tests/channels/contract.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from apps.channels.events import ProviderEvent
from apps.reliability.errors import SwitchboardError
from apps.reliability.limiter import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """One message a person wrote, in our words. Plain data: it travels as the payload of a job.

    account      the ChannelAccount it arrived at (primary key)
    message_id   the UUID this message will carry in our API, given at the door
    sender       the channel's id of the person, at most 255 characters
    received_at  when the door took it in, ISO 8601 with zone
    opens        they only opened the conversation: the greeting answers, not the AI
    """

    account: int
    message_id: str
    sender: str
    text: str
    sender_name: str = ""
    received_at: str
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChange:
    """Something about a contact changed at their end. Plain data: the payload of a job.

    change  `closed` (can't be written to; `detail`: a short code), `reopened`, or `moved` (`detail`: the new id)
    """

    account: int
    sender: str
    change: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """What a provider says became of a message of ours. Plain data: the payload of a job. The fields are those of
    `StatusReported`; `account` is the ChannelAccount's primary key."""

    account: int
    status: str
    provider_message_id: str = ""
    message_id: str = ""
    code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to deliver. The ids are public ones (UUIDs as text); `recipient` is the channel's own id,
    `options` the account's settings for the channel.

    The credentials stay out of the representation, so that no traceback or log line shows them.
    """

    message_id: str
    conversation_id: str
    recipient: str
    text: str
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)
    account: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took the message; its id for it, where it gives one.

    `moved_to`: the channel's new id of the recipient, where the provider said that it has changed.
    """

    provider_message_id: str = ""
    moved_to: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where somebody waits for an answer: what `typing` and `show` need. Ids as in `Outgoing`."""

    conversation_id: str
    recipient: str
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)
    account: str = ""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A call to our door by a provider: header names in lower case, the body as it came."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Unverified(SwitchboardError):
    """The call does not prove that it comes from the provider. The message says what was wrong with it."""


class Malformed(SwitchboardError):
    """The call is the provider's, but no events can be read from it. The message says why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One value of an account's credentials. `made`: Switchboard makes it itself (a random secret)."""

    name: str
    label: str
    help: str = ""
    required: bool = True
    secret: bool = True
    made: bool = False


class Channel:
    """One way of reaching people. Subclasses set the attributes and write `send`; the rest where they need it.

    name              the key in settings.CHANNELS, in ChannelAccount.channel and in queue names
    label             what people read
    debounce_seconds  how long a turn waits for a next message before it is answered
    max_text_length   the longest text one message may carry, in UTF-16 units; None where there is no limit.
                      Longer answers are split into several messages
    repeatable        whether sending the same message twice does no harm (the person sees it once)
    has_webhook       whether the provider calls POST /webhooks/<name>/<account>: `verify` and `parse`
    has_breaker       whether sends stop for a while when the provider, or one account of it, keeps failing
    typing_seconds    how long one sign of typing lasts; None where the channel has none
    shows_drafts      whether `show` can show an answer while it is being written
    credentials       what an account needs, for provision, admin and checks
    closing_codes     codes of PermanentError after which the person can't be reached until they write again
    """

    name: ClassVar[str]
    label: ClassVar[str]
    debounce_seconds: ClassVar[float] = 1.0
    max_text_length: ClassVar[int | None] = None
    repeatable: ClassVar[bool] = False
    has_webhook: ClassVar[bool] = False
    has_breaker: ClassVar[bool] = False
    typing_seconds: ClassVar[float | None] = None
    shows_drafts: ClassVar[bool] = False
    credentials: ClassVar[tuple[Credential, ...]] = ()
    closing_codes: ClassVar[frozenset[str]] = frozenset()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Hand one message to the provider. No database here.

        Raises TransientError (try later), Postpone (limit), PermanentError (never) or OutcomeUnknown (it may
        have arrived).
        """
        raise NotImplementedError

    def limits(self, outgoing: Outgoing) -> tuple[Limit, ...]:
        """The limits that this send counts against; all workers share them. The account's own has `hold_key`."""
        return ()

    def hold_key(self, account: str) -> str:
        """What no worker touches for as long as the provider asks (a Postpone from `send` or `typing`): the account,
        by its public id."""
        return f"{self.name}:{account}"

    def service(self, options: Mapping[str, Any]) -> str:
        """What all accounts that use it share: when it is away, it is away for all. `options` are the account's, for
        channels whose accounts may have a server of their own."""
        return self.name

    def verify(self, request: WebhookRequest, credentials: Mapping[str, Any]) -> None:
        """Return if the call is proven to come from the provider. Raises Unverified."""
        raise Unverified(f"the channel {self.name} takes no webhooks")

    def parse(self, body: bytes) -> list[ProviderEvent]:
        """What a verified call says, in its order; what we don't know comes as `Unknown`. Raises Malformed."""
        raise NotImplementedError

    async def typing(self, listener: Listener) -> None:
        """Show the person for `typing_seconds` that an answer is coming. May raise; nobody minds."""

    async def show(self, listener: Listener, text: str) -> None:
        """Show the answer as far as it has been written: `text` from its beginning. May raise; nobody minds."""

    def announce(self, conversation_ids: Sequence[str]) -> None:
        """Something in these conversations (public ids) changed; called after the commit. Must never raise.

        Most channels have nobody to tell; the widget wakes the pages that listen.
        """

    def option_problems(self, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with an account's options, in words that say what to do."""
        return []

    def problems(self, credentials: Mapping[str, Any]) -> list[str]:
        """What is wrong with an account's credentials, in words that say what to do; without asking anybody."""
        return [
            f"{one.name} is missing: {one.help or one.label}"
            for one in self.credentials
            if one.required and not credentials.get(one.name)
        ]
