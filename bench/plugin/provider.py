"""The AI provider `standin`: an HTTP POST to the stand-in, which answers after `provider_options["delay"]` seconds.

EXTRA_AI_PROVIDERS="standin=bench.plugin.provider.StandinProvider"
"""

from __future__ import annotations

from typing import ClassVar

from apps.ai.base import Answer, OnText, Provider, Turn
from apps.reliability.errors import OutcomeUnknown, TransientError
from bench.plugin.outside import post


class StandinProvider(Provider):
    """Asks the stand-in."""

    name: ClassVar[str] = "standin"
    uses_knowledge: ClassVar[bool] = False

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        body = {
            "lines": [{"role": line.role, "text": line.text} for line in turn.lines],
            "delay": turn.options.get("delay", 0),
        }
        try:
            answer = await post("/ai", body, timeout=turn.timeout_seconds)
        except OutcomeUnknown as error:  # asking an AI twice does no harm
            raise TransientError(error.message, code=error.code) from error
        return Answer(
            text=answer["text"],
            model=answer["model"],
            tokens_in=answer["tokens_in"],
            tokens_out=answer["tokens_out"],
        )
