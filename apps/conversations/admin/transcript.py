"""A conversation as bubbles: who said what and when, how far it got, what answers what, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from apps.conversations.models import Conversation, Message
from apps.jobs.admin import words
from apps.reliability.redaction import redact_text

PAGE = 100
"""How many messages one page shows."""

# Status -> the symbol beside it (Material Symbols) and what kind of news it is.
TICKS = {
    Message.Status.RECEIVED: ("inbox", "quiet"),
    Message.Status.PENDING: ("schedule", "quiet"),
    Message.Status.SENT: ("check", "quiet"),
    Message.Status.DELIVERED: ("done_all", "quiet"),
    Message.Status.READ: ("done_all", "good"),
    Message.Status.FAILED: ("error", "bad"),
}


@dataclass(slots=True)
class Bubble:
    """One message as it is shown. Times in words; `facts` is what stands below the text of a reply."""

    message: Message
    who: str
    when: str
    status: str
    symbol: str
    news: str
    error: str
    facts: list[str]
    answers: str = ""
    """The position of the message that this one answers."""
    answers_url: str = ""
    day: str = ""
    """Where a new day begins: which."""
    failed_job: str = ""
    """For a fallback message: the address of the job that gave up."""

    @property
    def is_in(self) -> bool:
        return bool(self.message.direction == Message.Direction.IN)


@dataclass(slots=True)
class Page:
    """A part of a transcript, oldest first. `earlier`, `later`: values of ?before=, None where there is no more."""

    bubbles: list[Bubble]
    asked: dict[int, tuple[int, str]]
    """Message key -> position and public id, of the messages that are answered here."""
    before: int | None = None
    earlier: int | None = None


def read_page(conversation: Conversation, *, before: int | None = None) -> Page:
    """The last PAGE messages, or those before a position. One walk down the index of positions, and one query for
    the messages that are answered here but stand on another page."""
    messages = Message.objects.filter(conversation=conversation)
    if before is not None:
        messages = messages.filter(position__lt=before)
    found = list(messages.order_by("-position")[: PAGE + 1])
    more, shown = len(found) > PAGE, found[PAGE - 1 :: -1] if len(found) > PAGE else found[::-1]
    asked = _asked(shown)
    bubbles = [_bubble(message, conversation, asked) for message in shown]
    _mark_days(bubbles)
    return Page(bubbles, asked, before=before, earlier=shown[0].position if more else None)


def _asked(shown: list[Message]) -> dict[int, tuple[int, str]]:
    here = {one.pk: (one.position, str(one.public_id)) for one in shown}
    missing = {one.in_reply_to_id for one in shown if one.in_reply_to_id} - here.keys()
    if missing:
        rows = Message.objects.filter(pk__in=missing).values_list("pk", "position", "public_id")
        here |= {pk: (position, str(public_id)) for pk, position, public_id in rows}
    return here


def _bubble(message: Message, conversation: Conversation, asked: dict[int, tuple[int, str]]) -> Bubble:
    inbound = message.direction == Message.Direction.IN
    symbol, news = TICKS.get(Message.Status(message.status), ("", "quiet"))
    status = message.get_status_display()
    bubble = Bubble(
        message=message,
        who=str(conversation.contact) if inbound else conversation.account.chatbot.name,
        when=words.exact(message.created_at),
        status=f"{status}, fallback message" if message.is_fallback else status,
        symbol=symbol,
        news=news,
        error=redact_text(" ".join(filter(None, (message.error_code, message.error)))),
        facts=[] if inbound else facts(message.details),
    )
    if message.in_reply_to_id in asked:
        position = asked[message.in_reply_to_id][0]
        here = reverse("admin:conversations_conversation_change", args=[conversation.pk])
        bubble.answers, bubble.answers_url = str(position), f"{here}?before={position + 1}#m{position}"
    failed = message.details.get("failed_job") if isinstance(message.details, dict) else None
    if isinstance(failed, int):
        bubble.failed_job = reverse("admin:jobs_job_change", args=[failed])
    return bubble


def facts(details: Any) -> list[str]:
    """Provider, model, tokens, seconds and cost of a reply, as far as they are on record."""
    if not isinstance(details, dict):
        return []
    found = [str(details[name]) for name in ("provider", "model") if details.get(name)]
    if len(found) == 2 and found[0] == found[1]:
        found.pop()
    tokens = [details.get(name) for name in ("tokens_in", "tokens_out")]
    if any(isinstance(number, int) and number for number in tokens):
        about = "about " if details.get("estimated") else ""
        found.append(f"{about}{tokens[0] or 0} → {tokens[1] or 0} tokens")
    if isinstance(details.get("seconds"), int | float):
        found.append(words.span(details["seconds"]))
    if (cost := amount(details.get("cost"))) is not None:
        found.append(money(cost))
    return found


def amount(cost: Any) -> float | None:
    """What a reply cost (USD), or None where it is not on record."""
    if isinstance(cost, bool) or not isinstance(cost, int | float | str):
        return None
    try:
        return float(cost)
    except ValueError:
        return None


def money(cost: float) -> str:
    """In USD, with as many digits as it takes to see something."""
    return f"${cost:,.2f}" if cost >= 0.01 or cost == 0 else f"${cost:.4f}"


def _mark_days(bubbles: list[Bubble]) -> None:
    last = ""
    for bubble in bubbles:
        day, _, time = bubble.when.partition(" ")
        bubble.when = time
        if day != last:
            bubble.day = last = day
