"""OpenAI's POST /v1/chat/completions, as far as Switchboard uses it, with the errors of its documentation."""

from typing import Any

from aiohttp import web

from tests.fakes.ai.server import FakeApi, Manner, Refusal, data, words

KNOWN = {
    *("model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "user"),
    *("max_completion_tokens", "reasoning_effort", "frequency_penalty", "presence_penalty", "stop", "seed"),
}


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Refusal:
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Refusal(status, body, headers)


class OpenAiApi(FakeApi):
    """`takes_stream_options`, `streams`: False for a server that refuses either, as some compatible ones do."""

    path = "/v1/chat/completions"
    takes_stream_options = True
    streams = True

    def not_found(self, path: str) -> Refusal:
        return error(404, f"Invalid URL (POST {path})")

    def refuse(self, request: web.Request, body: dict[str, Any]) -> None:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        account = self.spend(key)
        if account is None:
            raise error(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")
        if account.credit is not None:
            if account.credit <= 0:
                message = "You exceeded your current quota, please check your plan and billing details."
                raise error(429, message, kind="insufficient_quota", code="credit_balance_exhausted")
            account.credit -= 1
        if account.calls_left is not None:
            if account.calls_left <= 0:
                raise error(
                    *(429, "Rate limit reached for requests. Please try again in 1.5s."),
                    kind="requests",
                    code="rate_limit_exceeded",
                    headers={"retry-after-ms": "1500", "retry-after": "2"},
                )
            account.calls_left -= 1
        self._refuse_body(body)

    def _refuse_body(self, body: dict[str, Any]) -> None:
        known = KNOWN if self.takes_stream_options else KNOWN - {"stream_options"}
        if unknown := sorted(body.keys() - known):
            raise error(400, f"Unrecognized request argument supplied: {unknown[0]}", param=unknown[0])
        if body.get("stream") and not self.streams:
            raise error(400, "This model can not be streamed.", param="stream", code="unsupported_value")
        if "stream_options" in body and not body.get("stream"):
            raise error(
                400,
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        if body["model"] not in self.models:
            raise error(
                404,
                f"The model `{body['model']}` does not exist or you do not have access to it.",
                code="model_not_found",
            )
        for place, message in enumerate(body["messages"]):
            if message["role"] not in ("system", "user", "assistant") or not isinstance(
                message["content"], str
            ):
                raise error(400, f"Invalid value for messages[{place}]", param=f"messages[{place}]")
        if not 0 <= body.get("temperature", 1) <= 2:
            raise error(400, "Invalid 'temperature': decimal above maximum value.", param="temperature")
        if self.tokens(body) > self.models[body["model"]]:
            raise error(
                400,
                f"This model's maximum context length is {self.models[body['model']]} tokens. However, your messages "
                f"resulted in {self.tokens(body)} tokens. Please reduce the length of the messages.",
                code="context_length_exceeded",
                param="messages",
            )

    def answer(self, body: dict[str, Any], manner: Manner) -> dict[str, Any]:
        message = {"role": "assistant", "content": manner.text, "refusal": None}
        whole: dict[str, Any] = {
            **self._named(body, "chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": manner.ending or "stop"}],
        }
        if manner.usage:
            whole["usage"] = self._usage(body, manner)
        return whole

    def stream(self, body: dict[str, Any], manner: Manner) -> tuple[list[bytes], list[bytes], list[bytes]]:
        counted = bool((body.get("stream_options") or {}).get("include_usage")) and manner.usage
        named = self._named(body, "chat.completion.chunk") | ({"usage": None} if counted else {})

        def chunk(delta: dict[str, Any], ending: str | None = None) -> bytes:
            return data({**named, "choices": [{"index": 0, "delta": delta, "finish_reason": ending}]})

        after = [chunk({}, manner.ending or "stop")] if manner.with_end else []
        if counted:
            after.append(data({**named, "choices": [], "usage": self._usage(body, manner)}))
        if manner.with_end:
            after.append(data("[DONE]"))
        return (
            [chunk({"role": "assistant", "content": ""})],
            [chunk({"content": word}) for word in words(manner.text)],
            after,
        )

    def _named(self, body: dict[str, Any], kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": f"{body['model']}-2026-01-01"}

    def _usage(self, body: dict[str, Any], manner: Manner) -> dict[str, int]:
        told, said = self.tokens(body), len(words(manner.text))
        return {"prompt_tokens": told, "completion_tokens": said, "total_tokens": told + said}
