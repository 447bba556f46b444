"""Every server that speaks OpenAI's chat completions: OpenAI itself, and by base_url Ollama, vLLM, llama.cpp, gateways.

Options of the chatbot and the account go into the request as they are: temperature, max_completion_tokens, …
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.ai import rules
from apps.ai.base import Access, Turn
from apps.ai.hosted import Gathered, HostedProvider
from apps.ai.prompting import Prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAiProvider(HostedProvider):
    name = "openai"
    package = "openai"
    address = "https://api.openai.com/v1"
    rules = rules.OPENAI
    refusing_ends = frozenset({"content_filter"})

    def make_client(self, pool: Any, access: Access) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            # never None: the package would take OPENAI_API_KEY and OPENAI_BASE_URL of the environment
            api_key=access.credentials.get("api_key") or "none",
            base_url=access.base_url or self.address,
            max_retries=0,
            http_client=pool,
        )
        client.organization = client.project = None  # of the environment as well
        return client

    def request(
        self, client: Any, turn: Turn, prompt: Prompt, *, stream: bool, usage: bool, timeout: Any
    ) -> Any:
        extra: dict[str, Any] = {
            **turn.options,
            "messages": [
                {"role": "system", "content": prompt.system},
                *({"role": message.role, "content": message.text} for message in prompt.messages),
            ],
        }
        if stream and usage:
            extra["stream_options"] = {"include_usage": True}
        # The messages travel in extra_body: as a parameter, the package compares each with every type of message it
        # knows, which was two thirds of the CPU of a call.
        return client.chat.completions.with_streaming_response.create(
            model=turn.access.model, messages=[], stream=stream, timeout=timeout, extra_body=extra
        )

    def take_event(self, event: dict[str, Any], into: Gathered) -> None:
        self._note(event, into)
        for choice in (event.get("choices") or [])[:1]:
            said = choice.get("delta") or {}
            into.add(_text(said.get("content")) or _text(said.get("refusal")))
            into.ended = choice.get("finish_reason") or into.ended

    def take_answer(self, body: dict[str, Any], into: Gathered) -> None:
        choice = body["choices"][0]
        self._note(body, into)
        into.ended = choice.get("finish_reason") or ""
        said = choice["message"]
        into.add(_text(said.get("content")) or _text(said.get("refusal")))

    @staticmethod
    def _note(found: dict[str, Any], into: Gathered) -> None:
        into.model = found.get("model") or into.model
        if usage := found.get("usage"):
            into.tokens_in = usage.get("prompt_tokens", into.tokens_in)
            into.tokens_out = usage.get("completion_tokens", into.tokens_out)


def _text(content: Any) -> str:
    """The words of `content`, which some servers send in parts."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
