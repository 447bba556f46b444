"""What every AI provider promises. A provider's test module subclasses this and says how to make one.

Async methods are run by asyncio.run: providers own no loop of ours.
"""

import asyncio
from dataclasses import replace

import pytest

from apps.ai import registry
from apps.ai.base import Access, Answer, ChatLine, OnText, Passage, Provider, Turn


class ProviderContract:
    """Subclass it as TestX, set `name`, and override the fixture `access` where the provider needs an account."""

    name: str

    @pytest.fixture
    def provider(self) -> Provider:
        return registry.get(self.name)

    @pytest.fixture
    def access(self) -> Access:
        return Access()

    @pytest.fixture
    def turn(self, access) -> Turn:
        """A question in the middle of a conversation, with something known about it."""
        return Turn(
            lines=(
                ChatLine("user", "Hello there"),
                ChatLine("assistant", "Hi!"),
                ChatLine("user", "What is a lane?"),
            ),
            passages=(Passage("Lanes", "A lane keeps the jobs of a conversation in order.", 2.0),),
            system_prompt="You are helpful.",
            access=access,
        )

    def complete(self, provider: Provider, turn: Turn, on_text: OnText | None = None) -> Answer:
        return asyncio.run(provider.complete(turn, on_text))

    def test_is_registered_under_its_name(self, provider):
        assert provider.name == self.name
        assert registry.get(self.name) is provider
        assert isinstance(provider.uses_knowledge, bool)

    def test_says_whether_it_needs_an_account_and_what_its_credentials_are_called(self, provider, access):
        assert isinstance(provider.needs_account, bool)
        assert bool(access.account) == provider.needs_account, (
            "give the contract an account where it needs one"
        )
        assert set(access.credentials) <= set(provider.credential_names)
        assert provider.needs_account or not provider.credential_names

    def test_answers_in_words_and_says_what_it_cost(self, provider, turn):
        answer = self.complete(provider, turn)
        assert answer.text.strip()
        assert answer.model
        assert answer.tokens_in > 0
        assert answer.tokens_out > 0
        assert isinstance(answer.estimated, bool)

    def test_the_pieces_are_the_answer(self, provider, turn):
        pieces: list[str] = []
        answer = self.complete(provider, turn, pieces.append)
        assert "".join(pieces) in (answer.text, ""), (
            "a provider may have its answer all at once, but no other one"
        )
        assert all(pieces)

    def test_answers_without_any_passage(self, provider, turn):
        assert self.complete(provider, replace(turn, passages=(), system_prompt="")).text.strip()

    @pytest.mark.parametrize(
        "lines",
        [
            (),
            (ChatLine("assistant", "Welcome!"),),
            (ChatLine("assistant", "Welcome!"), ChatLine("user", "Hi"), ChatLine("user", "Are you there?")),
            (ChatLine("user", "Hi"), ChatLine("assistant", "Hi"), ChatLine("assistant", "How are you?")),
        ],
        ids=["nothing", "welcome", "welcomed", "answered"],
    )
    def test_takes_a_conversation_of_any_shape(self, provider, turn, lines):
        assert self.complete(provider, replace(turn, lines=lines)).text.strip()

    @pytest.mark.parametrize("text", ["", " ", "?", "👍", "x" * 50_000, "a\x00b\ud800", "{} %s \\ <b>"])
    def test_takes_whatever_people_write(self, provider, turn, text):
        passages = (Passage("Any", text, 1.0),)
        asked = replace(turn, lines=(ChatLine("user", text),), passages=passages)
        assert self.complete(provider, asked).text.strip()

    def test_turns_run_side_by_side(self, provider, turn):
        async def many() -> list[Answer]:
            turns = [replace(turn, lines=(ChatLine("user", f"Question {n}"),)) for n in range(50)]
            return await asyncio.gather(*(provider.complete(turn) for turn in turns))

        assert len(asyncio.run(many())) == 50

    def test_every_event_loop_will_do(self, provider, turn):
        assert {self.complete(provider, turn).model for _ in range(3)}
