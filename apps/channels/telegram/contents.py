"""What a message carries besides text, in a word that an AI can read: `[voice]`, `[sticker 👍]`, `[photo] caption`."""

from collections.abc import Mapping
from typing import Any

LONGEST_DETAIL = 200
# Field of the message -> the word and the fields that tell more. The first that is there counts: an animation comes
# with a document as well, a venue with a location.
CONTENTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("animation", "animation", ()),
    ("venue", "venue", ("title", "address")),
    ("photo", "photo", ()),
    ("live_photo", "photo", ()),
    ("video", "video", ()),
    ("video_note", "video message", ()),
    ("voice", "voice message", ()),
    ("audio", "audio", ("performer", "title")),
    ("sticker", "sticker", ("emoji",)),
    ("document", "document", ("file_name",)),
    ("location", "location", ("latitude", "longitude")),
    ("contact", "contact", ("first_name", "last_name")),
    ("poll", "poll", ("question",)),
    ("checklist", "checklist", ("title",)),
    ("dice", "dice", ("emoji", "value")),
    ("game", "game", ("title",)),
    ("story", "story", ()),
    ("paid_media", "paid media", ()),
    ("giveaway", "giveaway", ()),
    ("rich_message", "rich message", ()),
)


def words(message: Mapping[str, Any]) -> str:
    """The message in words; empty where it says nothing to anybody (a service message)."""
    text = message.get("text")
    if isinstance(text, str) and text.strip():
        return text
    caption = message.get("caption")
    said = caption if isinstance(caption, str) and caption.strip() else ""
    for field, word, details in CONTENTS:
        if message.get(field):
            return f"[{' '.join([word, *_told(message[field], details)])}] {said}".rstrip()
    return said


def _told(content: Any, details: tuple[str, ...]) -> list[str]:
    if not isinstance(content, Mapping):
        return []
    told = [content.get(name) for name in details]
    return [str(one)[:LONGEST_DETAIL] for one in told if isinstance(one, str | int | float) and one != ""]
