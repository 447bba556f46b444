"""Anthropic's POST /v1/messages (version 2026-10-21), as far as Switchboard uses it, with its documented errors."""

from typing import Any

from aiohttp import web

from tests.fakes.ai.server import FakeApi, Manner, Refusal, data, words

KNOWN = {
    *("model", "messages", "max_tokens", "system", "stream", "metadata", "stop_sequences", "thinking"),
}


def error(
    status: int, kind: str, message: str, *, code: str = "", headers: dict[str, str] | None = None
) -> Refusal:
    inner: dict[str, Any] = {"type": kind, "message": message}
    if code:
        inner["details"] = {"error_code": code}
    return Refusal(status, {"type": "error", "error": inner, "request_id": "req_1"}, headers)


def invalid(message: str) -> Refusal:
    return error(400, "invalid_request_error", message)


class AnthropicApi(FakeApi):
    path = "/v1/messages"

    def not_found(self, path: str) -> Refusal:
        return error(404, "not_found_error", f"Not found: {path}")

    def refuse(self, request: web.Request, body: dict[str, Any]) -> None:
        if not request.headers.get("anthropic-version"):
            raise invalid("anthropic-version: header is required")
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        account = self.spend(request.headers.get("x-api-key", bearer))
        if account is None:
            raise error(401, "authentication_error", "invalid x-api-key")
        if account.credit is not None:
            if account.credit <= 0:
                raise invalid(
                    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
                )
            account.credit -= 1
        if account.calls_left is not None:
            if account.calls_left <= 0:
                raise error(
                    429,
                    "rate_limit_error",
                    "This request would exceed your limit.",
                    headers={"retry-after": "7"},
                )
            account.calls_left -= 1
        self._refuse_body(body)

    def _refuse_body(self, body: dict[str, Any]) -> None:
        if unknown := sorted(body.keys() - KNOWN):
            raise invalid(f"{unknown[0]}: Extra inputs are not permitted")
        if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
            raise invalid("max_tokens: Field required")
        if body["model"] not in self.models:
            raise error(404, "not_found_error", f"model: {body['model']}")
        if not body["messages"] or body["messages"][0]["role"] != "user":
            raise invalid('messages: first message must use the "user" role')
        if body["messages"][-1]["role"] != "user":
            raise invalid("This model does not support assistant message prefill.")
        for message in body["messages"]:
            if message["role"] not in ("user", "assistant"):
                raise invalid("messages: Unexpected role. Use the top-level `system` parameter.")
            if not message["content"].strip():
                raise invalid("messages: text content blocks must contain non-whitespace text")
        if self.tokens(body) > self.models[body["model"]]:
            raise invalid(
                f"prompt is too long: {self.tokens(body)} tokens > {self.models[body['model']]} maximum"
            )

    def answer(self, body: dict[str, Any], manner: Manner) -> dict[str, Any]:
        usage = {"input_tokens": self.tokens(body), "output_tokens": len(words(manner.text))}
        blocks = [{"type": "text", "text": manner.text}] if manner.text else []
        ending = {"stop_reason": manner.ending or "end_turn", "stop_sequence": None}
        return {
            **self._named(body),
            "content": blocks,
            **ending,
            **({"usage": usage} if manner.usage else {}),
        }

    def stream(self, body: dict[str, Any], manner: Manner) -> tuple[list[bytes], list[bytes], list[bytes]]:
        started = {"input_tokens": self.tokens(body), "cache_read_input_tokens": 0, "output_tokens": 1}
        message = {**self._named(body), "content": [], "stop_reason": None, "stop_sequence": None}
        before = [
            _event("message_start", message={**message, **({"usage": started} if manner.usage else {})}),
            _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            _event("ping"),
        ]
        pieces = [
            _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
            for word in words(manner.text)
        ]
        usage = {"usage": {"output_tokens": len(words(manner.text))}} if manner.usage else {}
        ending = {"stop_reason": manner.ending or "end_turn", "stop_sequence": None}
        after = [
            _event("content_block_stop", index=0),
            _event("message_delta", delta=ending, **usage),
            _event("message_stop"),
        ]
        return before, pieces, after if manner.with_end else []

    def error_event(self, event: dict[str, Any]) -> bytes:
        return b"event: error\n" + data(event)

    def _named(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": f"{body['model']}-20260101"}


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **fields})
