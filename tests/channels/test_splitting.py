"""Long texts are cut where a reader would, and nothing of them is lost."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.channels.splitting import split, units

FENCE = re.compile(r"^(`{3,6}|~{3,6})\w*$", re.MULTILINE)
words = st.text(
    st.characters(exclude_categories=("Z", "C"), exclude_characters="`~"), min_size=1, max_size=30
)
pieces = st.one_of(words, st.sampled_from(["\n", "\n\n", ". ", "\U0001f469\u200d\U0001f467", "  "]))
texts = st.lists(pieces, max_size=120).map(" ".join)


def test_what_fits_stays_as_it_is():
    assert split("  as it is \n", 160) == ["  as it is \n"]
    assert split("x" * 4096, 4096) == ["x" * 4096]
    assert split("", 10) == split(" \n ", 10) == split(" " * 50, 10) == []


def test_paragraphs_first():
    assert split("One. Two.\n\nThree. Four.", 14) == ["One. Two.", "Three. Four."]


def test_then_lines_and_sentences():
    assert split("one two three\nfour five", 17) == ["one two three", "four five"]
    assert split("One two three. Four five.", 18) == ["One two three.", "Four five."]
    assert split("一二三四五。六七八九十", 8) == ["一二三四五。", "六七八九十"]


def test_then_words_then_characters():
    assert split("one two three", 9) == ["one two", "three"]
    assert split("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_a_paragraph_that_ends_early_does_not_make_a_tiny_part():
    text = "Hi.\n\n" + "word " * 30
    assert len(split(text, 100)[0]) > 50


def test_an_emoji_is_two_units_and_stays_whole():
    assert units("a👍") == 3
    assert split("👍" * 5, 5) == ["👍👍", "👍👍", "👍"]
    family = "👩\u200d👩\u200d👧"
    assert split("ab" + family, units(family) + 1) == ["ab", family]
    assert split("e\u0301" * 3, 3) == ["e\u0301", "e\u0301", "e\u0301"]


def test_a_fence_is_closed_and_opened_again():
    code = "\n".join(f"line {n}" for n in range(30))
    parts = split(f"Look:\n\n```python\n{code}\n```\n\nThat is all.", 100)
    assert len(parts) > 2
    for part in parts:
        assert units(part) <= 100
        assert len(FENCE.findall(part)) % 2 == 0
    assert all(part.startswith("```python\nline") for part in parts[1:-1])
    lines = [line for part in parts for line in part.split("\n") if line.startswith("line")]
    assert lines == code.split("\n")


def test_a_fence_that_is_never_closed_ends():
    parts = split("```\n" + "x" * 1000, 64)
    assert "".join(parts).count("x") == 1000
    assert max(map(units, parts)) <= 64


@pytest.mark.parametrize("limit", [0, 1, -5])
def test_no_room_for_a_character(limit):
    with pytest.raises(ValueError, match="two units"):
        split("text", limit)


@given(texts, st.integers(2, 300))
@example("\ud83d\ude00" * 40, 7)
def test_nothing_is_lost_and_every_part_fits(text, limit):
    parts = split(text, limit)
    assert all(part.strip() and units(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if limit >= 100:  # longer than any word: words stay whole
        assert [word for part in parts for word in part.split()] == text.split()


@given(
    st.lists(
        st.one_of(words, st.sampled_from(["```\n", "\n```python\n", "\n```\n", "\n~~~\n", "\n"])), max_size=80
    )
)
def test_fences_lose_nothing_either(pieces):
    text = "".join(pieces)
    parts = split(text, 64)
    assert all(part.strip() and units(part) <= 64 for part in parts)
    bare = re.compile(r"[`~]{3,6}(python)?|\s")
    assert bare.sub("", "".join(f"{part}\n" for part in parts)) == bare.sub("", text)
