"""Paragraphs of Markdown are single lines in the knowledge base; what has lines of its own keeps them."""

import pytest

from apps.knowledge.markdown import sections, unfolded


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        ("one\ntwo\n\nthree\nfour", "one two\n\nthree four"),
        ("- an item\n  that goes on\n- another", "- an item that goes on\n- another"),
        ("1. first\n   more\n2. second", "1. first more\n2. second"),
        ("text\n```\na\nb\n```\nafter\nit", "text\n```\na\nb\n```\nafter it"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("# Title\nwords\nfollow", "# Title\nwords follow"),
        ("hard  \nbreak\\\nagain", "hard  \nbreak\\\nagain"),
        ("> quoted\n> lines", "> quoted\n> lines"),
        ("para\n\n    code\n    more", "para\n\n    code\n    more"),
        ("", ""),
    ],
)
def test_paragraphs_are_joined_and_nothing_else(folded, expected):
    assert unfolded(folded) == expected


def test_what_is_imported_reads_without_folds():
    assert sections("Guide", "A lane keeps\njobs in order.") == {"Guide": "A lane keeps jobs in order."}
