"""Anthropic's Messages API."""

from dataclasses import replace
from typing import ClassVar

import pytest

from apps.ai.anthropic import AnthropicProvider
from apps.ai.hosted import Gathered
from apps.reliability.errors import PermanentError, Postpone, TransientError
from tests.ai.hosted import HostedContract
from tests.fakes.ai.anthropic_api import AnthropicApi
from tests.fakes.ai.server import Manner


class TestAnthropic(HostedContract):
    name = "anthropic"
    some_options: ClassVar = {"stop_sequences": ["###"]}
    rate_limit_seconds = 7

    @pytest.fixture
    def api(self):
        return AnthropicApi()

    def test_the_system_prompt_stands_apart(self, provider, turn, api):
        self.complete(provider, turn)
        body = api.bodies[0]
        assert body["system"].startswith("You are helpful.")
        assert '<source number="1" title="Lanes">' in body["system"]
        assert [line["role"] for line in body["messages"]] == ["user", "assistant", "user"]
        assert body["max_tokens"] == 1_024

    def test_max_tokens_is_an_option(self, provider, turn, api):
        self.complete(provider, replace(turn, options={"max_tokens": 77, "stop_sequences": ["#"]}))
        assert api.bodies[0]["max_tokens"] == 77

    def test_what_the_api_has_no_more_is_left_out_for_anthropic_itself(
        self, provider, turn, api, address, monkeypatch
    ):
        asked = replace(turn, options={"temperature": 0.2, "stop_sequences": ["#"]})
        assert self.fails(provider, asked).code == "bad_request"  # a server of one's own gets what one wrote
        monkeypatch.setattr(AnthropicProvider, "address", address)
        self.complete(provider, replace(asked, access=replace(asked.access, base_url="")))
        assert "x-api-key" not in api.headers[-1]
        assert api.bodies[-1]["stop_sequences"] == ["#"]

    def test_spending_limits_have_no_time_to_wait(self, provider, turn, api):
        error = {"type": "rate_limit_error", "message": "You have reached your limit."}
        limit = {**error, "details": {"error_code": "enforced_spend_limit_reached"}}
        api.next(Manner(status=429, body={"type": "error", "error": limit}))
        assert self.fails(provider, turn).code == "quota_exhausted"
        api.next(Manner(status=429, body={"type": "error", "error": error}))
        assert isinstance(self.fails(provider, turn), Postpone)

    def test_overload_waits_as_long_as_it_is_told(self, provider, turn, api):
        body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        api.next(Manner(status=529, body=body, headers={"retry-after": "11"}))
        error = self.fails(provider, turn)
        assert isinstance(error, TransientError)
        assert (error.code, error.retry_after) == ("overloaded", 11)

    @pytest.mark.parametrize(
        ("kind", "expected", "code"),
        [
            ("overloaded_error", TransientError, "overloaded"),
            ("api_error", TransientError, "provider_trouble"),
            ("timeout_error", TransientError, "provider_trouble"),
            ("rate_limit_error", Postpone, "rate_limited"),
            ("billing_error", PermanentError, "quota_exhausted"),
            ("authentication_error", PermanentError, "key_invalid"),
            ("invalid_request_error", PermanentError, "bad_request"),
        ],
    )
    def test_errors_in_the_middle_of_a_stream(self, provider, turn, api, kind, expected, code):
        api.next(Manner(event_after=(2, {"type": "error", "error": {"type": kind, "message": "no"}})))
        pieces: list[str] = []
        error = self.fails(provider, turn, pieces.append)
        assert (type(error), error.code) == (expected, code)
        assert len(pieces) == 2

    @pytest.mark.parametrize("watched", [False, True])
    def test_a_refusal(self, provider, turn, api, watched):
        api.next(Manner(text="I", ending="refusal"))
        error = self.fails(provider, turn, (lambda text: None) if watched else None)
        assert (type(error), error.code) == (PermanentError, "content_refused")


def test_tokens_of_the_cache_are_counted_with_those_that_went_in():
    into = Gathered(None)
    read = AnthropicProvider().take_event
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": None,
        "output_tokens": 1,
    }
    read({"type": "message_start", "message": {"model": "m", "usage": usage}}, into)
    read({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}, into)
    read(
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 5, "output_tokens": 9}},
        into,
    )
    assert (into.tokens_in, into.tokens_out, into.text) == (105, 9, "")
