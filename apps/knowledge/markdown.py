"""Cut a long Markdown text into the pieces that people ask for."""

import re
from collections.abc import Iterator

# A text that a person reads in a minute stays whole.
SHORT_TEXT = 1_500
# A section longer than this is cut between paragraphs.
LONG_SECTION = 4_000
SEPARATOR = " › "
LONGEST_TITLE = 255

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
# A line that begins something of its own: a list item, a table row, a quotation, a heading, code, nothing at all.
_OWN_LINE = re.compile(r"^\s*(?:[-*+]\s|\d+[.)]\s|[|>#]|$)|^(?: {4}|\t)")
_ENDS_HERE = re.compile(r"^\s*(?:[|>#]|$)|(?:  |\\)$")


def sections(title: str, text: str) -> dict[str, str]:
    """The pieces of `text` by their titles: `title`, or `title › heading › heading` for what stands below one.

    A short text is one piece. Headings without words below them are left out. A title that occurs twice gets a
    number. Paragraphs are single lines afterwards: where their author folded them says nothing to a reader.
    """
    pieces: dict[str, str] = {}
    text = unfolded(text)
    if len(text) <= SHORT_TEXT:
        _keep(pieces, title, text)
        return pieces
    for path, body in _below_headings(text):
        for part in _parts(body):
            _keep(pieces, SEPARATOR.join([title, *path]), part)
    return pieces


def unfolded(text: str) -> str:
    """`text` with the lines of each paragraph and list item joined; code, tables and hard breaks stay."""
    lines: list[str] = []
    fence, goes_on = "", False
    for line in text.splitlines():
        edge = _FENCE.match(line)
        if edge and (not fence or edge[1] == fence):
            fence = "" if fence else edge[1]
            lines.append(line)
            goes_on = False
        elif fence or not goes_on or _OWN_LINE.match(line):
            lines.append(line)
            goes_on = not fence and not _ENDS_HERE.search(line)
        else:
            lines[-1] = f"{lines[-1].rstrip()} {line.strip()}"
            goes_on = not _ENDS_HERE.search(line)
    return "\n".join(lines)


def _below_headings(text: str) -> Iterator[tuple[list[str], str]]:
    """(headings above it, words) of each section. The document's own title, a single heading of the first level,
    is not repeated in the path."""
    lines = list(_marked(text))
    only_one_first = sum(1 for level, _ in lines if level == 1) == 1
    path: dict[int, str] = {}
    body: list[str] = []
    for level, line in lines:
        if not level:
            body.append(line)
            continue
        yield [path[depth] for depth in sorted(path)], "\n".join(body)
        body = []
        path = {depth: name for depth, name in path.items() if depth < level}
        if not (level == 1 and only_one_first):
            path[level] = line
    yield [path[depth] for depth in sorted(path)], "\n".join(body)


def _marked(text: str) -> Iterator[tuple[int, str]]:
    """(level, heading) for headings, (0, line) for everything else; a `#` in a code block is no heading."""
    fence = ""
    for line in text.splitlines():
        opening = _FENCE.match(line)
        if opening and (not fence or opening[1] == fence):
            fence = "" if fence else opening[1]
        heading = None if fence else _HEADING.match(line)
        yield (len(heading[1]), heading[2]) if heading else (0, line)


def _parts(body: str) -> Iterator[str]:
    """`body` in parts of at most LONG_SECTION characters, cut between paragraphs where that is possible."""
    part = ""
    for paragraph in re.split(r"\n\s*\n", body):
        if part and len(part) + len(paragraph) + 2 > LONG_SECTION:
            yield part
            part = ""
        part = f"{part}\n\n{paragraph}" if part else paragraph
        while len(part) > LONG_SECTION:
            cut = part.rfind("\n", LONG_SECTION // 2, LONG_SECTION)
            cut = cut if cut > 0 else LONG_SECTION
            yield part[:cut]
            part = part[cut:]
    yield part


def _keep(pieces: dict[str, str], title: str, text: str) -> None:
    text = text.strip()
    if not text:
        return
    wanted, number = title[:LONGEST_TITLE], 1
    while wanted in pieces:
        number += 1
        suffix = f" ({number})"
        wanted = title[: LONGEST_TITLE - len(suffix)] + suffix
    pieces[wanted] = text
