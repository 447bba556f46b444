"""OpenAI and the servers that speak its language."""

from typing import ClassVar

import pytest

from apps.ai.openai import _text
from apps.reliability.errors import PermanentError, Postpone, TransientError
from tests.ai.hosted import HostedContract
from tests.fakes.ai.openai_api import OpenAiApi
from tests.fakes.ai.server import TEXT, Manner


class TestOpenAi(HostedContract):
    name = "openai"
    suffix = "/v1"
    some_options: ClassVar = {"temperature": 0.5, "reasoning_effort": "low"}
    rate_limit_seconds = 1.5  # the finer of the two headers

    @pytest.fixture
    def api(self):
        return OpenAiApi()

    def test_the_sources_stand_in_the_system_prompt(self, provider, turn, api):
        self.complete(provider, turn)
        system, *lines = api.bodies[0]["messages"]
        assert system["role"] == "system"
        assert system["content"].startswith("You are helpful.")
        assert '<source number="1" title="Lanes">' in system["content"]
        assert [line["role"] for line in lines] == ["user", "assistant", "user"]

    @pytest.mark.parametrize("what", ["takes_stream_options", "streams"])
    def test_what_a_server_refuses_is_left_out_from_then_on(self, provider, turn, api, what):
        setattr(api, what, False)
        pieces: list[str] = []
        answer = self.complete(provider, turn, pieces.append)
        assert answer.text == TEXT
        assert pieces in ([TEXT], [word + " " for word in TEXT.split()[:-1]] + [TEXT.split()[-1]])
        asked = len(api.bodies)
        assert asked == 2
        assert answer.estimated == (what == "takes_stream_options")
        self.complete(provider, turn, pieces.append)
        assert len(api.bodies) == asked + 1

    def test_a_server_that_refuses_both(self, provider, turn, api):
        api.takes_stream_options = api.streams = False
        assert self.complete(provider, turn, lambda text: None).text == TEXT
        assert len(api.bodies) == 3

    @pytest.mark.parametrize(
        ("event", "kind", "code"),
        [
            (
                {"error": {"message": "quota", "type": "insufficient_quota"}},
                PermanentError,
                "quota_exhausted",
            ),
            ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, Postpone, "rate_limited"),
            ({"error": {"message": "The server had an error"}}, TransientError, "provider_trouble"),
            ({"error": {"message": "no", "code": 503}}, TransientError, "overloaded"),
            ({"object": "error", "message": "bad", "code": 400}, PermanentError, "bad_request"),
            ({"error": "it fell over"}, TransientError, "provider_trouble"),
        ],
    )
    def test_errors_in_the_middle_of_a_stream(self, provider, turn, api, event, kind, code):
        api.next(Manner(event_after=(2, event)))
        pieces: list[str] = []
        error = self.fails(provider, turn, pieces.append)
        assert (type(error), error.code) == (kind, code)
        assert len(pieces) == 2

    @pytest.mark.parametrize("watched", [False, True])
    def test_a_filtered_answer(self, provider, turn, api, watched):
        api.next(Manner(text="I will", ending="content_filter"))
        error = self.fails(provider, turn, (lambda text: None) if watched else None)
        assert (type(error), error.code) == (PermanentError, "content_refused")

    def test_a_refusal_in_the_models_own_words_is_its_answer(self, provider, turn, api):
        refusing = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
        api.next(Manner(body={"choices": [{"message": refusing, "finish_reason": "stop"}]}))
        answer = self.complete(provider, turn)
        assert answer.text == "I can't help with that."
        assert answer.model == "model-1"

    def test_an_error_with_status_200(self, provider, turn, api):
        api.next(Manner(body={"error": {"message": "no such model: x", "code": 404}}))
        assert self.fails(provider, turn).code == "model_not_found"


def test_content_may_come_in_parts():
    assert (
        _text([{"type": "text", "text": "a"}, {"type": "thinking"}, "x", {"text": [{"text": "b"}]}]) == "ab"
    )
    assert _text(None) == _text(7) == ""
