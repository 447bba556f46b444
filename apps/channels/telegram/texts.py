"""How a text looks in Telegram: the AI's Markdown as Telegram's HTML, or HTML or plain text as it is.

Telegram's HTML knows bold, italic, strikethrough, code, links and quotations; headings become bold lines, lists get
bullets, tables stand in fixed width. HTML in Markdown is shown as it was written.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from apps.channels.splitting import units

FORMATS = ("markdown", "html", "plain")
LONGEST_TEXT = 4096
LINKS = ("http", "https", "tg", "mailto", "tel")
_SURROGATE = re.compile("[\ud800-\udfff]")
# A text without any of these has no markup: it is not read at all.
_MARKUP = re.compile(r"[*_`~\[|\\&<]|^ {0,3}[#>]|^ {0,3}-{3}", re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")
# `code` and `lheading` make code or headings of what people indent or underline; references eat lines.
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .disable(["code", "lheading", "reference", "html_block", "html_inline"])
)
_INLINE = {"strong": "b", "em": "i", "s": "s"}


def cleaned(text: str) -> str:
    """The text without NUL, and with U+FFFD for halves of surrogate pairs, which can't be sent."""
    return _SURROGATE.sub("\ufffd", text.replace("\x00", ""))


def formatted(text: str, kind: str) -> tuple[str, str | None]:
    """(text to send, parse_mode) for a text in the format `kind`; any word that is none of FORMATS is plain."""
    text = cleaned(text)
    if kind == "html":
        return text, "HTML"
    if kind != "markdown" or not _MARKUP.search(text):
        return text, None
    rendered = from_markdown(text)
    shown = visible(rendered)
    if not shown.strip() or units(shown) > LONGEST_TEXT:
        return text, None
    return rendered, "HTML"


def visible(markup: str) -> str:
    """The length that counts is that of what is seen: `markup` (of our making) without its tags."""
    bare = _TAG.sub("", markup)
    return bare.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")


def from_markdown(text: str) -> str:
    """CommonMark with tables and strikethrough as Telegram's HTML."""
    return _Page(text).blocks(SyntaxTreeNode(_MARKDOWN.parse(text)).children)


@dataclass(slots=True)
class _Page:
    text: str
    quoted: bool = False

    def blocks(self, nodes: list[SyntaxTreeNode]) -> str:
        """Blocks below each other, with a blank line where their author left one."""
        lines, shown = self.text.split("\n"), ""
        for place, node in enumerate(nodes):
            if place:
                before = lines[node.map[0] - 1] if node.map and node.map[0] else ""
                shown += "\n" if before.strip(" >\t") else "\n\n"
            shown += self.block(node)
        return shown

    def block(self, node: SyntaxTreeNode) -> str:
        kind = node.type
        if kind == "heading":
            return f"<b>{self.children(node)}</b>"
        if kind == "fence":
            return _code(node.content, node.info)
        if kind == "blockquote":
            return self.quotation(node)
        if kind in ("bullet_list", "ordered_list"):
            return self.listed(node)
        if kind == "hr":
            return "———"
        if kind == "table":
            return self.table(node)
        return self.children(node)

    def children(self, node: SyntaxTreeNode) -> str:
        return "".join(self.inline(one) for one in node.children)

    def quotation(self, node: SyntaxTreeNode) -> str:
        if self.quoted:  # Telegram has no quotation in a quotation
            return self.blocks(node.children)
        self.quoted = True
        shown = self.blocks(node.children)
        self.quoted = False
        return f"<blockquote>{shown}</blockquote>"

    def listed(self, node: SyntaxTreeNode) -> str:
        first = int(node.attrs.get("start", 1))
        items: list[SyntaxTreeNode] = node.children
        lines, shown = self.text.split("\n"), ""
        for number, item in enumerate(items, start=first):
            if shown:
                before = lines[item.map[0] - 1] if item.map and item.map[0] else ""
                shown += "\n" if before.strip(" >\t") else "\n\n"
            mark = f"{number}. " if node.type == "ordered_list" else "• "
            shown += mark + self.blocks(item.children).replace("\n", "\n" + " " * len(mark))
        return shown

    def table(self, node: SyntaxTreeNode) -> str:
        rows = [
            [visible(self.children(cell)) for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return _code("\n".join(lines), "")

    def inline(self, node: SyntaxTreeNode) -> str:
        kind = node.type
        if kind == "inline":
            return self.children(node)
        if kind in ("softbreak", "hardbreak"):
            return "\n"
        if kind == "code_inline":
            return f"<code>{escape(node.content, quote=False)}</code>"
        if kind in _INLINE:
            return f"<{_INLINE[kind]}>{self.children(node)}</{_INLINE[kind]}>"
        if kind == "link":
            return _link(node.attrs.get("href", ""), self.children(node))
        if kind == "image":
            return _link(node.attrs.get("src", ""), escape(node.content, quote=False))
        return escape(node.content, quote=False)


def _code(content: str, info: str) -> str:
    code, words = escape(content.rstrip("\n"), quote=False), info.split()
    if words and re.fullmatch(r"[\w+#.-]{1,40}", words[0]):
        return f'<pre><code class="language-{words[0]}">{code}</code></pre>'
    return f"<pre>{code}</pre>"


def _link(address: Any, shown: str) -> str:
    """A link where Telegram can follow it, else its text with the address behind it."""
    href = str(address)
    try:
        scheme = urlsplit(href).scheme
    except ValueError:
        scheme = ""
    if scheme.lower() in LINKS and shown.strip():
        return f'<a href="{escape(href)}">{shown}</a>'
    return f"{shown} ({escape(href, quote=False)})" if href else shown
