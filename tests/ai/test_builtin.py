"""The provider without key and network."""

import asyncio

from apps.ai.base import ChatLine, Passage, Turn
from apps.ai.builtin import (
    HELLO,
    NOTHING_FOUND,
    THANKS,
    BuiltinProvider,
    estimated_tokens,
    quote,
    reply_to,
    trimmed,
)
from tests.ai.contract import ProviderContract


class TestBuiltin(ProviderContract):
    name = "builtin"


def asked(text: str, *passages: Passage) -> Turn:
    return Turn(lines=(ChatLine("user", text),), passages=passages)


def test_quotes_the_best_passage_and_names_it():
    text = reply_to(
        asked("What is a lane?", Passage("Bells", "Ding.", 1.0), Passage("Lanes", "One by one.", 2.0))
    )
    assert text == "One by one.\n\n(From “Lanes”)"


def test_says_so_when_it_found_nothing():
    assert reply_to(asked("What is a lane?")) == NOTHING_FOUND


def test_knows_how_to_greet():
    assert reply_to(asked("Hello!")) == HELLO
    assert reply_to(asked("  Good morning ")) == HELLO
    assert reply_to(asked("Thank you!")) == THANKS
    assert reply_to(asked("hello, what is a lane?")) == NOTHING_FOUND


def test_the_question_is_all_that_was_said_since_the_last_answer():
    turn = Turn(
        lines=(
            ChatLine("user", "old"),
            ChatLine("assistant", "answer"),
            ChatLine("user", "a"),
            ChatLine("user", "b"),
        )
    )
    assert turn.question == "a\nb"
    assert Turn(lines=()).question == ""


def test_quotes_the_paragraph_that_fits():
    text = "\n\n".join([f"Paragraph {n} is about something else entirely. " * 8 for n in range(6)])
    text += "\n\nWorkers carry a lease that they renew."
    assert quote(text, "How is the lease renewed?") == "… Workers carry a lease that they renew."
    assert quote("Intro.\n\nWorkers carry a lease.", "What is a lease?") == "Intro.\n\nWorkers carry a lease."
    assert quote("", "anything") == ""


def test_cuts_after_a_sentence():
    text = "This is a sentence. " * 60
    cut = quote(text, "sentence")
    assert cut.endswith("a sentence. …")
    assert 600 < len(cut) <= 702
    assert trimmed("word " * 300, 100) == " ".join(["word"] * 19) + " …"
    assert trimmed("x" * 300, 100) == "x" * 100 + " …"


def test_tokens_are_about_four_characters():
    assert [estimated_tokens("x" * length) for length in (0, 1, 4, 5)] == [0, 1, 1, 2]
    turn = Turn(
        lines=(ChatLine("user", "x" * 40),), passages=(Passage("ab", "y" * 38, 1.0),), system_prompt="z" * 4
    )
    answer = asyncio.run(BuiltinProvider().complete(turn))
    assert answer.tokens_in == 21
    assert answer.tokens_out == estimated_tokens(answer.text)
    assert answer.model == "builtin"
