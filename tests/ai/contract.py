"""What every AI provider promises. A provider's test module subclasses this and says how to make one.

Async methods are run by asyncio.run: providers own no loop of ours.
"""

import asyncio

import pytest

from apps.ai import registry
from apps.ai.base import Answer, ChatLine, Passage, Provider, Turn


class ProviderContract:
    """Subclass it as TestX, set `name`, and override `prepare` where the provider needs a server to talk to."""

    name: str

    @pytest.fixture
    def provider(self) -> Provider:
        return registry.get(self.name)

    def complete(self, provider: Provider, turn: Turn) -> Answer:
        return asyncio.run(provider.complete(turn))

    def test_is_registered_under_its_name(self, provider):
        assert provider.name == self.name
        assert registry.get(self.name) is provider
        assert isinstance(provider.uses_knowledge, bool)

    def test_answers_in_words_and_says_what_it_cost(self, provider):
        turn = Turn(
            lines=(
                ChatLine("user", "Hello there"),
                ChatLine("assistant", "Hi!"),
                ChatLine("user", "What is a lane?"),
            ),
            passages=(Passage("Lanes", "A lane keeps the jobs of a conversation in order.", 2.0),),
            system_prompt="You are helpful.",
        )
        answer = self.complete(provider, turn)
        assert answer.text.strip()
        assert answer.model
        assert answer.tokens_in > 0
        assert answer.tokens_out > 0

    def test_answers_without_any_passage(self, provider):
        assert self.complete(provider, Turn(lines=(ChatLine("user", "What is a lane?"),))).text.strip()

    @pytest.mark.parametrize("text", ["", " ", "?", "👍", "x" * 50_000, "a\x00b\ud800", "{} %s \\ <b>"])
    def test_takes_whatever_people_write(self, provider, text):
        passages = (Passage("Any", text, 1.0),)
        assert self.complete(provider, Turn(lines=(ChatLine("user", text),), passages=passages)).text.strip()

    def test_turns_run_side_by_side(self, provider):
        async def many() -> list[Answer]:
            turns = [Turn(lines=(ChatLine("user", f"Question {n}"),)) for n in range(50)]
            return await asyncio.gather(*(provider.complete(turn) for turn in turns))

        assert len(asyncio.run(many())) == 50
