"""An answer of the AI as messages of its conversation."""

from __future__ import annotations

from typing import Any

from apps.channels.splitting import split
from apps.conversations.models import Message
from apps.conversations.services import NewMessage
from apps.conversations.text import storable
from apps.jobs.task import Done
from apps.pipeline.routing import longest_text


def reply_parts(one: Done) -> list[NewMessage]:
    """The answer as messages: one, or several where the channel can't carry it in one."""
    limit = longest_text(one.item.channel)
    texts = split(one.result["text"], limit) if limit else [one.result["text"]]
    kept = details(one.result)
    number = len(texts)
    return [
        NewMessage(
            conversation_id=one.item.conversation,
            direction=Message.Direction.OUT,
            text=text,
            in_reply_to_id=one.result["in_reply_to"],
            answers_up_to=one.result["answered_up_to"],
            # What it cost stands beside the first part only.
            details=(kept if place == 1 else {}) | ({} if number == 1 else {"part": place, "parts": number}),
        )
        for place, text in enumerate(texts, start=1)
    ]


def details(result: dict[str, Any]) -> dict[str, Any]:
    """What is kept beside a reply: who wrote it, what it cost (nothing is kept too: 0), and who was asked in vain."""
    kept = (
        *("provider", "account", "model", "tokens_in", "tokens_out", "seconds", "cost", "estimated"),
        "passed_over",
    )
    found = {name: result.get(name) for name in kept}
    return {
        name: storable(value) if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None and value is not False and value not in ("", [])
    }
