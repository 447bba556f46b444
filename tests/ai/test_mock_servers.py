"""The providers on two servers that no one here wrote: llmock (pip) and aimock (npm, where `make test` could install
it). What they can't do stands on our own fakes (hosted.py): counting context, credit that runs out.
"""

from dataclasses import replace

import pytest

from apps.ai.base import Access
from apps.reliability.errors import PermanentError, Postpone, SwitchboardError, TransientError
from tests.ai.contract import ProviderContract
from tests.servers.mock_ai import TEXT, Aimock, Llmock

PERMANENT, TRANSIENT = PermanentError, TransientError


@pytest.fixture(scope="module")
def llmock_server():
    server = Llmock()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def aimock_server():
    server = Aimock()
    yield server
    server.remove()


class MockContract(ProviderContract):
    suffix = ""

    @pytest.fixture
    def access(self, server) -> Access:
        return Access(
            "account-1", server.address + self.suffix, "model-1", {"api_key": "sk-0123456789abcdef"}
        )

    def fails(self, provider, turn, watched: bool) -> SwitchboardError:
        with pytest.raises(SwitchboardError) as caught:
            self.complete(provider, turn, (lambda text: None) if watched else None)
        return caught.value

    def test_streams_in_pieces(self, provider, turn):
        pieces: list[str] = []
        answer = self.complete(provider, turn, pieces.append)
        assert len(pieces) > 3
        assert "".join(pieces) == answer.text


class OnLlmock(MockContract):
    @pytest.fixture
    def server(self, llmock_server):
        llmock_server.reset()
        return llmock_server

    @pytest.mark.parametrize("watched", [False, True])
    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            (400, PERMANENT, "bad_request"),
            (401, PERMANENT, "key_invalid"),
            (402, PERMANENT, "quota_exhausted"),
            (403, PERMANENT, "key_invalid"),
            (404, PERMANENT, "wrong_address"),
            (408, TRANSIENT, "provider_trouble"),
            (413, PERMANENT, "request_too_large"),
            (429, Postpone, "rate_limited"),
            (500, TRANSIENT, "provider_trouble"),
            (502, TRANSIENT, "provider_trouble"),
            (503, TRANSIENT, "overloaded"),
            (504, TRANSIENT, "provider_trouble"),
            (529, TRANSIENT, "overloaded"),
        ],
    )
    def test_every_status(self, provider, turn, server, status, kind, code, watched):
        # 413 is tried once more, shortened
        server.faults({"type": "fail", "status": status, "times": 2})
        error = self.fails(provider, turn, watched)
        assert (type(error), error.code) == (kind, code)

    def test_waits_as_long_as_it_is_told(self, provider, turn, server):
        server.faults({"type": "fail", "status": 429, "retry_after": 9})
        error = self.fails(provider, turn, False)
        assert isinstance(error, Postpone)
        assert error.seconds == 9
        server.faults({"type": "fail", "status": 503, "retry_after": 4})
        error = self.fails(provider, turn, False)
        assert isinstance(error, TransientError)
        assert error.retry_after == 4

    @pytest.mark.parametrize(
        ("fault", "code"),
        [("truncate", "answer_cut_off"), ("disconnect", "connection"), ("malformed", "unreadable_answer")],
    )
    def test_streams_that_break(self, provider, turn, server, fault, code):
        server.faults({"type": "stream_fault", "kind": fault, "after_chunks": 3})
        error = self.fails(provider, turn, True)
        assert (type(error), error.code) == (TransientError, code)

    def test_a_stream_that_stands_still(self, provider, turn, server):
        server.faults({"type": "stream_fault", "kind": "stall", "after_chunks": 2, "stall_seconds": 30})
        error = self.fails(provider, replace(turn, timeout_seconds=0.5), True)
        assert (type(error), error.code) == (TransientError, "timeout")

    def test_it_finds_nothing_wrong_with_us(self, provider, turn, server):
        server.faults({"type": "stream_fault", "kind": "truncate", "after_chunks": 2})
        self.fails(provider, turn, True)
        self.complete(provider, turn, lambda text: None)
        # what it only warns of: nobody tried again in the same call. The ledger does that, and waits as it is told
        errors = [one for one in server.get("/_llmock/verdict")["findings"] if one["severity"] == "error"]
        assert errors == []


class TestOpenAiOnLlmock(OnLlmock):
    name = "openai"
    suffix = "/v1"


class TestAnthropicOnLlmock(OnLlmock):
    name = "anthropic"
    suffix = "/anthropic"


class OnAimock(MockContract):
    pytestmark = pytest.mark.service

    @pytest.fixture
    def server(self, aimock_server):
        return aimock_server

    def at(self, turn, fault):
        """Faults go by the name of the model."""
        return replace(turn, access=replace(turn.access, model=fault))

    def test_says_what_the_fixture_says(self, provider, turn):
        assert self.complete(provider, turn).text == TEXT

    @pytest.mark.parametrize("watched", [False, True])
    @pytest.mark.parametrize(
        ("fault", "kind", "code"),
        [
            ("billing", PERMANENT, "quota_exhausted"),
            ("rate", Postpone, "rate_limited"),
            ("key", PERMANENT, "key_invalid"),
            ("overloaded", TRANSIENT, "overloaded"),
            ("context", PERMANENT, "context_too_long"),
            ("server", TRANSIENT, "provider_trouble"),
        ],
    )
    def test_faults(self, provider, turn, fault, kind, code, watched):
        error = self.fails(provider, self.at(turn, fault), watched)
        assert (type(error), error.code) == (kind, code)

    def test_waits_as_long_as_it_is_told(self, provider, turn):
        error = self.fails(provider, self.at(turn, "rate"), False)
        assert isinstance(error, Postpone)
        assert error.seconds == 7

    def test_a_stream_that_breaks(self, provider, turn):
        pieces: list[str] = []
        with pytest.raises(TransientError) as caught:
            self.complete(provider, self.at(turn, "truncated"), pieces.append)
        assert caught.value.code in ("connection", "answer_cut_off")


class TestOpenAiOnAimock(OnAimock):
    name = "openai"
    suffix = "/v1"

    def test_quota_is_no_rate_limit(self, provider, turn):
        assert self.fails(provider, self.at(turn, "quota"), False).code == "quota_exhausted"


class TestAnthropicOnAimock(OnAimock):
    name = "anthropic"
