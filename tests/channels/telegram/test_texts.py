"""The AI's Markdown as Telegram's HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.channels.splitting import units
from apps.channels.telegram.texts import LONGEST_TEXT, formatted, from_markdown
from tests.fakes.telegram.markup import read


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("plain words", "plain words"),
        ("**bold** and *it* and ~~no~~", "<b>bold</b> and <i>it</i> and <s>no</s>"),
        ("# Title\n\ntext", "<b>Title</b>\n\ntext"),
        ("two\nlines", "two\nlines"),
        ("`a < b`", "<code>a &lt; b</code>"),
        (
            "```python\nif a < b:\n    x()\n```",
            '<pre><code class="language-python">if a &lt; b:\n    x()</code></pre>',
        ),
        ("```\nopen", "<pre>open</pre>"),
        ("- one\n- two\n  - three", "• one\n• two\n  • three"),
        ("3. c\n4. d", "3. c\n4. d"),
        ("Look:\n- one", "Look:\n• one"),
        ("> quoted\n> more", "<blockquote>quoted\nmore</blockquote>"),
        ("> a\n>> b", "<blockquote>a\nb</blockquote>"),
        ('[x](https://e.com/?a=1&b="2")', '<a href="https://e.com/?a=1&amp;b=%222%22">x</a>'),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("[x](/relative)", "x (/relative)"),
        ("![cat](https://e.com/c.png)", '<a href="https://e.com/c.png">cat</a>'),
        ("<https://e.com>", '<a href="https://e.com">https://e.com</a>'),
        ("1 < 2 && <b>no</b> <script>", "1 &lt; 2 &amp;&amp; &lt;b&gt;no&lt;/b&gt; &lt;script&gt;"),
        ("| a | b |\n|---|---|\n| 1 | **22** |", "<pre>a | b\n1 | 22</pre>"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2<i>3</i>4"),
        ("a\n\n---\n\nb", "a\n\n———\n\nb"),
        ("Title\n---\ntext", "Title\n———\ntext"),
        ("    indented stays words", "indented stays words"),
        ("[ref]: https://example.com", "[ref]: https://example.com"),
    ],
)
def test_markdown(markdown, expected):
    assert from_markdown(markdown) == expected


def test_a_text_without_markup_is_sent_plain():
    assert formatted("Hello, how are you?\n- fine", "markdown") == ("Hello, how are you?\n- fine", None)


@pytest.mark.parametrize("kind", ["plain", "Plain text please", ""])
def test_plain(kind):
    assert formatted("**x**", kind) == ("**x**", None)


def test_html_is_the_authors_business():
    assert formatted("<b>x", "html") == ("<b>x", "HTML")


def test_what_would_be_longer_than_it_was_is_sent_as_it_is():
    table = "| " + "a" * 2000 + " | b |\n|--|--|\n" + "| c | d |\n" * 5
    assert formatted(table, "markdown") == (table, None)


pieces = st.sampled_from(
    ["**", "*", "_", "`", "```", "\n", "\n\n", "# ", "- ", "1. ", "> ", "|", "|-|-|\n", "[", "](", ")", "<", ">", "&",
     "\\", "~~", "    ", "http://x.y", "!", "word", "👍", "&amp;", "&lt;", "---", "\x00", "\ud83d", "'", '"'],
)  # fmt: skip


@given(st.lists(pieces | st.text(max_size=5), max_size=40).map("".join))
def test_whatever_is_made_telegram_can_read_it(text):
    rendered, mode = formatted(text, "markdown")
    shown, entities = read(rendered, mode or "")
    rendered.encode()
    assert units(shown) <= max(LONGEST_TEXT, units(text))
    for entity in entities:
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= units(shown)


@given(st.text(st.characters(categories=("L", "N")), min_size=1))
def test_words_stay(text):
    shown, _ = read(from_markdown(f"**{text}** x"), "HTML")
    assert shown == f"{text} x"
