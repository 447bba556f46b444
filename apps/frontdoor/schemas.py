"""What our API takes and gives. What comes in is strict: no type is guessed, no unknown field swallowed.

Plain pydantic models, not ninja's Schema: nothing here is read from a Django object field by field.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_TEXT = 16_000
EXAMPLE_ID = "0b9dc6b4-8f3e-4a57-9d0c-6f0a54d2b6f1"
EXAMPLE_REPLY_ID = "7f6a2f52-5e0f-4f6e-8a4c-2f5f4c0f9a11"


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("it contains a NUL character, which can't be stored")
    return text


def _something(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return _storable(text)


# Lone surrogates are refused by pydantic's own string check. A UUID is written as a string, so not strict.
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_something)]
ContactId = Annotated[str, Field(max_length=255), AfterValidator(_something)]
Name = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Reason = Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
Id = Annotated[UUID, Field(strict=False)]


class Taken(BaseModel):
    """The base of everything that comes in."""

    model_config = ConfigDict(strict=True, extra="forbid")


class ContactIn(Taken):
    id: ContactId = Field(
        description="Your id of the person, the same for all they write.", examples=["user-4711"]
    )
    name: Name = Field("", description="What to call them.", examples=["Ada"])


class MessageIn(Taken):
    """A message that a person wrote."""

    account: Id = Field(description="Id of the channel account it arrived at.", examples=[EXAMPLE_ID])
    contact: ContactIn
    text: Text = Field(
        description="What they wrote, at most 16,000 characters.", examples=["When do you open?"]
    )


class WidgetStart(Taken):
    chatbot: Id = Field(description="Id of the chatbot to talk to.", examples=[EXAMPLE_ID])


class WidgetMessageIn(Taken):
    id: Id = Field(
        description="A UUID the page chose for this message. Posting it again changes nothing.",
        examples=[EXAMPLE_ID],
    )
    text: Text = Field(
        description="What they wrote, at most 16,000 characters.", examples=["When do you open?"]
    )


class ProblemOut(BaseModel):
    """Why a request was refused (RFC 9457, application/problem+json)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What to change.", examples=["text: it is empty"])


class Accepted(BaseModel):
    """Taken and safe: it will be handled, whatever happens to us."""

    id: UUID = Field(description="Ask for the message and its reply by this id.", examples=[EXAMPLE_ID])
    status: Literal["accepted"] = "accepted"


class ReplyOut(BaseModel):
    """The answer as a whole, also where the channel needed several messages for it."""

    id: UUID = Field(
        description="The message it stands in, or the first of them.", examples=[EXAMPLE_REPLY_ID]
    )
    text: str = Field(
        description="The whole answer; its parts, where there are several, with a blank line between them.",
        examples=["We open at nine."],
    )
    status: str = Field(
        description="pending, sent, delivered, read or failed; of several messages failed where one failed, else what "
        "all of them have reached",
        examples=["sent"],
    )
    parts: int = Field(1, description="How many messages it took.", examples=[1])
    is_fallback: bool = Field(description="Whether the AI could not answer in time.", examples=[False])
    created_at: datetime


class MessageOut(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_ID])
    conversation: UUID | None = Field(description="Empty until the message has been handled.")
    direction: Literal["in", "out"]
    text: str = Field(examples=["When do you open?"])
    status: str = Field(
        description="accepted, then received; for messages to the person: pending, sent, delivered, read, failed",
        examples=["received"],
    )
    created_at: datetime
    reply: ReplyOut | None = Field(
        description="The answer to this message. Several messages in a row may share one."
    )


class LineOut(BaseModel):
    """A message in its place in the conversation."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    position: int = Field(description="Its place; positions rise and may have gaps.", examples=[1])
    direction: Literal["in", "out"]
    text: str = Field(examples=["When do you open?"])
    status: str = Field(examples=["received"])
    is_fallback: bool = Field(examples=[False])
    created_at: datetime


class ConversationOut(BaseModel):
    id: UUID = Field(examples=[EXAMPLE_ID])
    state: Literal["open", "closed"]
    last_message_at: datetime | None
    messages: list[LineOut] = Field(description="The latest of what was asked for, oldest first.")
    next: int | None = Field(description="Pass it as `before` to get what was said earlier.", examples=[None])


class WidgetChatbotOut(BaseModel):
    name: str = Field(examples=["Library"])
    greeting: str = Field(description="The first words, as text.", examples=["Hello! How can I help you?"])
    events: str = Field(
        description="Where the live stream is: a URL, or a path under this API's own address.",
        examples=["/api/v1/widget/events"],
    )


class WidgetConversationOut(BaseModel):
    conversation: UUID = Field(examples=[EXAMPLE_ID])
    token: str = Field(description="Opens this conversation only. Shown once; send it as a Bearer token.")


class WidgetMessagesOut(BaseModel):
    messages: list[LineOut]
    more: bool = Field(description="Whether there is more at once: ask again after the last of these.")


def answers(*refusals: int, **given: Any) -> dict[int, Any]:
    """The `response` of an operation: what it gives (`ok=…` or `created=…`, `accepted=…`) and how it refuses."""
    codes = {"ok": 200, "created": 201, "accepted": 202}
    return {codes[name]: schema for name, schema in given.items()} | dict.fromkeys(refusals, ProblemOut)
