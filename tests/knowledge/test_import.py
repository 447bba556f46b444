"""Texts come in once, however often they are imported, and long ones in pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.knowledge.markdown import LONG_SECTION, LONGEST_TITLE, sections
from apps.knowledge.models import KnowledgeItem
from apps.knowledge.search import search
from apps.knowledge.services import Imported, import_texts
from tests.factories.conversations import ChatbotFactory

MANUAL = f"""# The manual

Welcome. {"It is a long manual. " * 80}

## Install

Unpack it.

### On Linux

Run make.

```
# not a heading
make install
```

## Use

### Nothing below this

## Use

Just use it. Twice.
"""


def test_long_texts_are_cut_by_their_headings():
    pieces = sections("manual", MANUAL)
    assert list(pieces) == [
        "manual",
        "manual › Install",
        "manual › Install › On Linux",
        "manual › Use",
    ]
    assert pieces["manual › Install › On Linux"] == "Run make.\n\n```\n# not a heading\nmake install\n```"
    assert pieces["manual › Use"] == "Just use it. Twice."


def test_short_texts_stay_whole():
    assert sections("note", "# Title\n\nA word.\n\n## More\n\nAnother.") == {
        "note": "# Title\n\nA word.\n\n## More\n\nAnother."
    }
    assert sections("empty", " \n ") == {}


def test_long_sections_are_cut_between_paragraphs():
    pieces = sections("book", "\n\n".join(f"Paragraph {n}. " + "Words and words. " * 20 for n in range(60)))
    assert list(pieces)[:2] == ["book", "book (2)"]
    assert all(len(text) <= LONG_SECTION for text in pieces.values())
    assert all(text.startswith("Paragraph") for text in pieces.values())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["# a", "## b", "### " + "c" * 400, "x" * 900, "```", "~~~", "", "y " * 5000]))
)
def test_no_word_is_lost(lines):
    text = "\n".join(lines)
    pieces = sections("t", text)
    assert sum(piece.count("x") + piece.count("y") for piece in pieces.values()) == text.count(
        "x"
    ) + text.count("y")
    assert all(len(title) <= LONGEST_TITLE and piece for title, piece in pieces.items())


@pytest.mark.django_db
def test_importing_again_changes_nothing():
    chatbot = ChatbotFactory()
    texts = [("manual", MANUAL), ("note", "Elephants are big.")]
    assert import_texts(chatbot, texts) == Imported(created=5, updated=0, deleted=0, unchanged=0)
    before = list(KnowledgeItem.objects.order_by("pk").values())
    assert import_texts(chatbot, texts) == Imported(created=0, updated=0, deleted=0, unchanged=5)
    assert list(KnowledgeItem.objects.order_by("pk").values()) == before
    assert search(chatbot.pk, "how do I install on Linux?")[0].title == "manual › Install › On Linux"


@pytest.mark.django_db
def test_a_changed_text_replaces_what_it_brought_before():
    chatbot, other = ChatbotFactory.create_batch(2)
    import_texts(chatbot, [("manual", MANUAL), ("manually written", "Kept."), ("note", "Kept.")])
    import_texts(other, [("manual", "Theirs.")])
    changed = import_texts(
        chatbot, [("manual", MANUAL.replace("## Use", "## Usage").replace("Run make.", "Run it."))]
    )
    assert changed == Imported(created=1, updated=1, deleted=1, unchanged=2)
    assert set(KnowledgeItem.objects.filter(chatbot=chatbot).values_list("title", flat=True)) == {
        "manual", "manual › Install", "manual › Install › On Linux", "manual › Usage", "manually written", "note",
    }  # fmt: skip
    assert search(chatbot.pk, "Linux")[0].text.startswith("Run it.")
    assert KnowledgeItem.objects.get(chatbot=other).text == "Theirs."


@pytest.mark.django_db
def test_text_that_no_database_keeps_as_it_is():
    chatbot = ChatbotFactory()
    import_texts(chatbot, [("a\x00b \n c", "nul \x00 surrogate \ud800")])
    import_texts(chatbot, [("a\x00b \n c", "nul \x00 surrogate \ud800"), ("x" * 400, "long title")])
    assert list(KnowledgeItem.objects.order_by("pk").values_list("title", "text")) == [
        ("ab c", "nul  surrogate �"),
        ("x" * 255, "long title"),
    ]
