"""How Telegram reads a message's text: what it cleans away, how it counts, and its HTML.

Only parse_mode HTML is read; the two Markdown modes are refused, because nothing here sends them.
"""

import html
import re
from typing import Any

LONGEST_TEXT = 4096
# The name that stands for each tag among the entities.
TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_TOKEN = re.compile(r"<(/?)([^\s>]*)([^>]*)>|<|&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_LANGUAGE = re.compile(r"""\bclass\s*=\s*["']language-([^"']*)["']""")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


class CantParse(Exception):
    """The text is not the markup that it is said to be."""


def units(text: str) -> int:
    """The length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cleaned(text: str) -> str:
    """Control characters become spaces, carriage returns go."""
    return _CONTROL.sub(" ", text.replace("\r", ""))


def read(text: str, parse_mode: str) -> tuple[str, list[dict[str, Any]]]:
    """The visible text and its entities. Raises CantParse."""
    if not parse_mode:
        return text, []
    if parse_mode.lower() != "html":
        raise CantParse(f"this fake does not read {parse_mode}")
    return _read_html(text)


def _read_html(text: str) -> tuple[str, list[dict[str, Any]]]:
    shown, at = "", 0
    opened: list[tuple[str, dict[str, Any]]] = []
    entities = []
    for match in _TOKEN.finditer(text):
        shown += text[at : match.start()]
        at = match.end()
        found = match[0]
        if found.startswith("&"):
            shown += html.unescape(found)
        elif match[1]:
            name = match[2].lower()
            if not opened or opened[-1][0] != name:
                raise CantParse(f"Unexpected end tag at byte offset {_offset(text, match.start())}")
            entity = opened.pop()[1]
            entity["length"] = units(shown) - entity["offset"]
            if entity["length"] and entity["type"]:
                entities.append(entity)
        else:
            name = (match[2] or "").lower()
            if name not in TAGS:
                where = _offset(text, match.start())
                raise CantParse(f'Unsupported start tag "{name}" at byte offset {where}')
            opened.append((name, _entity(name, match[3], units(shown), opened)))
    if opened:
        where = _offset(text, len(text))
        raise CantParse(
            f'Can\'t find end tag corresponding to start tag "{opened[-1][0]}" at byte offset {where}'
        )
    return shown + text[at:], sorted(entities, key=lambda one: (one["offset"], -one["length"]))


def _entity(
    name: str, attributes: str, offset: int, opened: list[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    entity: dict[str, Any] = {"type": TAGS[name], "offset": offset, "length": 0}
    if name == "a" and (href := _HREF.search(attributes)):
        entity["url"] = html.unescape(href[1] or href[2] or "")
    if name == "code" and opened and opened[-1][0] == "pre" and (language := _LANGUAGE.search(attributes)):
        opened[-1][1]["language"] = language[1]
        entity["type"] = ""  # it only names the language of the `pre` around it
    return entity


def _offset(text: str, place: int) -> int:
    return len(text[:place].encode("utf-8", "surrogatepass"))
