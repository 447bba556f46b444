"""Cut a text that is too long for one message where a reader would: between paragraphs, else between lines or
sentences, else between words."""

import re

# A code fence that a cut goes through is closed and opened again; below this limit there is no room for that.
SMALLEST_WITH_FENCES = 64
LONGEST_MARK = 6
_FENCE = re.compile(r"^ {0,3}(`{3,6}|~{3,6})([^\n`]*)$", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LINE = re.compile(r"\n+|(?<=[.!?…。！？])[ \t]+|(?<=[。！？])")
_SPACE = re.compile(r"\s+")
# What belongs to the character before it: joiners, variation selectors, combining marks, skin tones.
_CLINGS = re.compile("[\u0300-\u036f\u200d\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def units(text: str) -> int:
    """The length in UTF-16 code units, as messengers count: an emoji is two or more."""
    return len(text) + sum(character > "\uffff" for character in text)


def split(text: str, limit: int) -> list[str]:
    """`text` in parts of at most `limit` UTF-16 units, none of them blank; only white space between them is lost.

    Nothing is cut inside a character. A code fence that is cut is closed in one part and opened again in the next.
    A blank text has no parts. Raises ValueError for a limit below 2.
    """
    if limit < 2:
        raise ValueError("a part must have room for one character, which may be two units")
    parts, rest = [], text
    while units(rest) > limit:
        part, rest = _cut(rest, limit)
        parts.append(part)
    parts.append(rest)
    return [part for part in parts if part.strip()]


def _cut(text: str, limit: int) -> tuple[str, str]:
    """One part, and what is left, which is always shorter than `text`."""
    end, after = _place(text, limit)
    if limit < SMALLEST_WITH_FENCES or not _open_fence(text[:end]):
        return text[:end].rstrip(), text[after:]
    # Room for the line that closes the fence, and no cut just behind the line that opens it.
    first = _FENCE.match(text)
    end, after = _place(text, limit - LONGEST_MARK - 1, least=first.end() + 2 if first else 1)
    fence = _open_fence(text[:end])
    if not fence:
        return text[:end].rstrip(), text[after:]
    mark = fence[: len(fence) - len(fence.lstrip(fence[0]))]
    if len(fence) > limit // 4:
        fence = mark
    if after <= len(fence) + 1:  # nothing would be gained
        return text[:end].rstrip(), text[after:]
    return f"{text[:end].rstrip()}\n{mark}", f"{fence}\n{text[after:]}"


def _place(text: str, limit: int, least: int = 1) -> tuple[int, int]:
    """Where the part ends and the next begins: the best place in the second half of what fits."""
    most = _fitting(text, limit)
    for kind, earliest in ((_PARAGRAPH, most // 2), (_LINE, most // 2), (_SPACE, 1)):
        earliest = max(earliest, least)
        places = [
            found.span() for found in kind.finditer(text, 0, most + 1) if earliest <= found.start() <= most
        ]
        if places:
            return places[-1]
    while 1 < most < len(text) and (_CLINGS.match(text[most]) or text[most - 1] == "\u200d"):
        most -= 1
    return most, most


def _fitting(text: str, limit: int) -> int:
    """How many characters have at most `limit` units together."""
    head = text[:limit]
    if not any(character > "\uffff" for character in head):
        return len(head)
    counted = 0
    for place, character in enumerate(head):
        counted += 2 if character > "\uffff" else 1
        if counted > limit:
            return place
    return len(head)


def _open_fence(text: str) -> str:
    """The first line of the code fence that is open at the end of `text`; empty where none is."""
    opened = ""
    for found in _FENCE.finditer(text):
        if not opened:
            opened = found[0].strip()
        elif found[1].startswith(opened[:3]) and not found[2].strip():
            opened = ""
    return opened
