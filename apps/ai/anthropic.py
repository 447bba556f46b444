"""Anthropic's Messages API, and by base_url the servers that speak it.

Options of the chatbot and the account go into the request as they are; `max_tokens`, which the API demands, is 1,024
where they name none. The client speaks version 2026-10-21 of the API, which has no temperature any more: that is left
out for Anthropic itself, since a chatbot's options serve every account in its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.ai import rules
from apps.ai.base import Access, Turn
from apps.ai.hosted import Gathered, HostedProvider
from apps.ai.prompting import Prompt

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

MAX_TOKENS = 1_024
# Gone with version 2026-10-21 (platform.claude.com/docs/en/api/versioning): they would be refused.
GONE = frozenset({"temperature", "top_p", "top_k"})
# Tokens that went in: those read from and written to the cache are counted apart.
TOKENS_IN = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class AnthropicProvider(HostedProvider):
    name = "anthropic"
    package = "anthropic"
    address = "https://api.anthropic.com"
    rules = rules.ANTHROPIC
    refusing_ends = frozenset({"refusal"})
    reserved = frozenset({"model", "messages", "stream", "system", "tools"})

    def make_client(self, pool: Any, access: Access) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        # never None: the package would look for credentials in the environment and in files
        key = access.credentials.get("api_key") or "none"
        return AsyncAnthropic(
            api_key=key,
            # Anthropic takes the key as a bearer token, as the client sends it; others may know the older header only.
            default_headers={"X-Api-Key": key} if access.base_url else None,
            base_url=access.base_url or self.address,
            max_retries=0,
            http_client=pool,
            open_telemetry=False,
        )

    def request(
        self, client: Any, turn: Turn, prompt: Prompt, *, stream: bool, usage: bool, timeout: Any
    ) -> Any:
        gone = frozenset() if turn.access.base_url else GONE
        extra = {name: value for name, value in turn.options.items() if name not in gone}
        return client.messages.with_streaming_response.create(
            model=turn.access.model,
            max_tokens=extra.pop("max_tokens", MAX_TOKENS),
            system=prompt.system,
            messages=[{"role": message.role, "content": message.text} for message in prompt.messages],
            stream=stream,
            timeout=timeout,
            extra_body=extra,
        )

    def take_event(self, event: dict[str, Any], into: Gathered) -> None:
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message") or {}
            into.model = message.get("model") or into.model
            self._count(message.get("usage") or {}, into)
        elif kind == "content_block_delta":
            delta = event.get("delta") or {}
            if delta.get("type") == "text_delta":
                into.add(delta.get("text") or "")
        elif kind == "message_delta":
            into.ended = (event.get("delta") or {}).get("stop_reason") or into.ended
            self._count(event.get("usage") or {}, into)
        elif kind == "message_stop":
            into.ended = into.ended or "message_stop"

    def take_answer(self, body: dict[str, Any], into: Gathered) -> None:
        into.model = body["model"]
        into.ended = body.get("stop_reason") or ""
        self._count(body.get("usage") or {}, into)
        into.add("".join(block["text"] for block in body["content"] if block["type"] == "text"))

    @staticmethod
    def _count(usage: dict[str, Any], into: Gathered) -> None:
        """The counts in a stream are cumulative; `message_delta` may leave out what went in, or the cache's part."""
        if usage.get("input_tokens") is not None:
            into.tokens_in = max(into.tokens_in or 0, sum(usage.get(name) or 0 for name in TOKENS_IN))
        if usage.get("output_tokens") is not None:
            into.tokens_out = usage["output_tokens"]
