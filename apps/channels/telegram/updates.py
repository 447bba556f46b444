"""A webhook's call in our words: one update, one event. What nothing follows from is `Unknown`, and kept.

message                private: always; group: a command, a reply to a bot, a mention of one  -> TextReceived
my_chat_member         blocked, removed -> ContactClosed; let in again -> ContactReopened
migrate_to_chat_id     the group became a supergroup -> ContactMoved
all else               edited messages, channel posts, members, queries … -> Unknown
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from apps.channels.base import Malformed
from apps.channels.events import (
    ContactClosed,
    ContactMoved,
    ContactReopened,
    ProviderEvent,
    TextReceived,
    Unknown,
)
from apps.channels.telegram.contents import words

LONGEST_NAME = 255
GROUPS = ("group", "supergroup")
IN = ("member", "administrator", "creator", "restricted")
_BOT_NAME = re.compile(r"@\w*bot", re.IGNORECASE)  # every bot's username ends in "bot"
_NOBODY: Mapping[str, Any] = {}


def parse(body: bytes) -> list[ProviderEvent]:
    """The event of one update. Raises Malformed."""
    try:
        update = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is no JSON: {type(error).__name__}") from None
    if not isinstance(update, dict):
        raise Malformed("the body is not an object")
    number = _number(update.get("update_id"))
    if number is None:
        raise Malformed("the update has no update_id")
    event = _event(update, f"update:{number}")
    return [event]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _event(update: dict[str, Any], event_id: str) -> ProviderEvent:
    if message := _object(update.get("message")):
        return _message(message, event_id, update)
    if change := _object(update.get("my_chat_member")):
        return _membership(change, event_id, update)
    kind = next((name for name in update if name != "update_id"), "")
    named = _object(update.get(kind)) if kind else _NOBODY
    return Unknown(event_id=event_id, sender=_chat_id(named), raw=update, kind=kind[:100])


def _message(message: Mapping[str, Any], event_id: str, raw: dict[str, Any]) -> ProviderEvent:
    chat, author = _object(message.get("chat")), _object(message.get("from"))
    sender, kind = _chat_id(message), chat.get("type")

    def nothing(why: str) -> Unknown:
        return Unknown(event_id=event_id, sender=sender, raw=raw, kind=f"message:{why}"[:100])

    moved = _number(message.get("migrate_to_chat_id"))
    if sender and moved is not None:
        return ContactMoved(event_id=event_id, sender=sender, to=str(moved), raw=raw)
    if not sender or (kind != "private" and kind not in GROUPS):
        return nothing(str(kind))
    text = words(message)
    if not text:
        return nothing(_service(message))
    # An administrator who stays anonymous writes as the group, through a bot of Telegram's own.
    as_the_group = _number(_object(message.get("sender_chat")).get("id")) == _number(chat.get("id"))
    if (author.get("is_bot") is True and not as_the_group) or message.get("is_automatic_forward") is True:
        return nothing("bot")
    if kind in GROUPS and not _asks_a_bot(message):
        return nothing("group")
    opens = kind == "private" and text.partition(" ")[0] == "/start"  # alone, or with the link's parameter
    return TextReceived(
        event_id=event_id, sender=sender, text=text, sender_name=_name(chat), opens=opens, raw=raw
    )


def _asks_a_bot(message: Mapping[str, Any]) -> bool:
    """Whether somebody in a group wants an answer from a bot: what a bot in privacy mode gets to see, and mentions."""
    replied = _object(_object(message.get("reply_to_message")).get("from"))
    if replied.get("is_bot") is True:
        return True
    for text, entities in (("text", "entities"), ("caption", "caption_entities")):
        written, found = message.get(text), message.get(entities)
        if not isinstance(written, str) or not isinstance(found, list):
            continue
        for entity in map(_object, found):
            if entity.get("type") == "bot_command" and entity.get("offset") == 0:
                return True
            if entity.get("type") == "mention" and _BOT_NAME.fullmatch(_part(written, entity)):
                return True
    return False


def _part(text: str, entity: Mapping[str, Any]) -> str:
    """The piece of the text that an entity names; its numbers are UTF-16 units."""
    offset, length = _number(entity.get("offset")), _number(entity.get("length"))
    if offset is None or length is None or not (0 <= offset <= 10_000 and 0 < length <= 10_000):
        return ""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * offset : 2 * (offset + length)].decode("utf-16-le", "replace")


def _membership(change: Mapping[str, Any], event_id: str, raw: dict[str, Any]) -> ProviderEvent:
    chat, sender = _object(change.get("chat")), _chat_id(change)
    kind, status = chat.get("type"), _object(change.get("new_chat_member")).get("status")
    if sender and kind == "private" and status == "kicked":
        return ContactClosed(event_id=event_id, sender=sender, reason="bot_blocked", raw=raw)
    if sender and kind in GROUPS and status in ("kicked", "left"):
        return ContactClosed(event_id=event_id, sender=sender, reason="bot_removed", raw=raw)
    if sender and (kind == "private" or kind in GROUPS) and status in IN:
        return ContactReopened(event_id=event_id, sender=sender, raw=raw)
    return Unknown(event_id=event_id, sender=sender, raw=raw, kind=f"my_chat_member:{status}"[:100])


def _service(message: Mapping[str, Any]) -> str:
    """The word for a message without content: its last field, such as `new_chat_members`."""
    return next(reversed([*message]), "")


def _name(chat: Mapping[str, Any]) -> str:
    """The person's name, or the group's title."""
    parts = [chat.get(name) for name in ("title", "first_name", "last_name")]
    name = " ".join(part for part in parts if isinstance(part, str) and part)
    username = chat.get("username")
    return (name or (username if isinstance(username, str) else ""))[:LONGEST_NAME]


def _chat_id(found: Mapping[str, Any]) -> str:
    number = _number(_object(found.get("chat")).get("id"))
    return "" if number is None else str(number)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOBODY


def _number(value: Any) -> int | None:
    """An integer of Telegram's: at most 64 bits."""
    return value if type(value) is int and -(2**63) <= value < 2**63 else None
