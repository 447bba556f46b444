"""What both providers over HTTP must do, tried on their fakes. Not collected by itself."""

import asyncio
import logging
import socket
import threading
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from apps.ai import registry
from apps.ai.base import Access, ChatLine, Passage
from apps.reliability.errors import PermanentError, Postpone, SwitchboardError, TransientError
from tests.ai.contract import ProviderContract
from tests.fakes.ai.server import TEXT, FakeApi, KeyAccount, Manner
from tests.waiting import wait_until

PAGE = "<!doctype html><html><body>Welcome to nginx!</body></html>"


class HostedContract(ProviderContract):
    """Subclasses give the fake, and how its address becomes a base_url."""

    suffix = ""
    some_options: ClassVar[dict[str, Any]]
    rate_limit_seconds: float

    @pytest.fixture(autouse=True)
    def provider_of_its_own(self):
        """What an earlier test taught the process about its account is forgotten."""
        registry._load.cache_clear()

    @pytest.fixture
    def api(self) -> FakeApi:
        raise NotImplementedError

    @pytest.fixture
    def address(self, api):
        with api.served() as address:
            yield address + self.suffix

    @pytest.fixture
    def access(self, api, address) -> Access:
        return Access("account-1", address, "model-1", {"api_key": api.key})

    def fails(self, provider, turn, on_text=None) -> SwitchboardError:
        with pytest.raises(SwitchboardError) as caught:
            self.complete(provider, turn, on_text)
        assert not isinstance(caught.value.__cause__, SwitchboardError)
        return caught.value

    # --- answers ---

    def test_says_what_the_provider_says(self, provider, turn, api):
        answer = self.complete(provider, turn)
        assert answer.text == TEXT
        assert answer.model.startswith("model-1-2026")
        assert answer.tokens_in == api.tokens(api.bodies[0])
        assert answer.tokens_out == len(TEXT.split())
        assert not answer.estimated

    def test_streams_where_somebody_watches(self, provider, turn, api):
        pieces: list[str] = []
        watched = self.complete(provider, turn, pieces.append)
        assert pieces == [word + " " for word in TEXT.split()[:-1]] + [TEXT.split()[-1]]
        assert api.bodies[0]["stream"] is True
        assert watched == self.complete(provider, turn)
        assert not api.bodies[1].get("stream")

    def test_tokens_that_nobody_counted_are_estimated(self, provider, turn, api):
        for on_text in (None, lambda text: None):
            api.next(Manner(usage=False))
            answer = self.complete(provider, turn, on_text)
            assert answer.estimated
            assert answer.tokens_in > 10
            assert answer.tokens_out == -(-len(TEXT) // 4)

    def test_options_go_along(self, provider, turn, api):
        self.complete(provider, replace(turn, options=self.some_options))
        assert api.bodies[0].items() >= self.some_options.items()

    def test_a_surrogate_in_an_answer_does_not_get_through(self, provider, turn, api):
        api.next(Manner(text="a\ud800b\x00c"))
        assert self.complete(provider, turn).text == "a?bc"

    # --- failures ---

    def test_a_wrong_key(self, provider, turn, api):
        error = self.fails(
            provider,
            replace(turn, access=replace(turn.access, credentials={"api_key": "sk-secret-987654321"})),
        )
        assert (type(error), error.code) == (PermanentError, "key_invalid")
        assert "API key" in error.advice
        assert "sk-secret-987654321" not in str(error)

    def test_no_credit_is_no_rate_limit(self, provider, turn, api):
        api.keys[api.key] = KeyAccount(credit=1)
        self.complete(provider, turn)
        error = self.fails(provider, turn)
        assert (type(error), error.code) == (PermanentError, "quota_exhausted")
        assert "credit" in error.advice

    def test_a_rate_limit_is_postponed(self, provider, turn, api):
        api.keys[api.key] = KeyAccount(calls_left=0)
        error = self.fails(provider, turn)
        assert isinstance(error, Postpone)
        assert error.code == "rate_limited"
        assert error.seconds == self.rate_limit_seconds

    def test_an_unknown_model(self, provider, turn):
        error = self.fails(provider, replace(turn, access=replace(turn.access, model="gone")))
        assert (type(error), error.code) == (PermanentError, "model_not_found")

    def test_no_model_no_key_no_option_of_ours(self, provider, turn, api):
        nameless = replace(turn, access=replace(turn.access, model=""))
        assert self.fails(provider, nameless).code == "model_missing"
        keyless = replace(turn, access=Access("account-1", "", "model-1"))
        assert self.fails(provider, keyless).code == "key_missing"
        assert self.fails(provider, replace(turn, options={"stream": False})).code == "reserved_option"
        assert api.bodies == []

    @pytest.mark.parametrize("watched", [False, True])
    def test_a_prompt_that_is_too_long_is_shortened_once(self, provider, turn, api, watched):
        api.models["model-1"] = 2_600
        long = replace(
            turn,
            lines=tuple(
                ChatLine("user" if n % 2 else "assistant", f"{n} " + "word " * 200) for n in range(10)
            ),
            passages=tuple(Passage(f"Title {n}", "Sentence. " * 300, 1.0) for n in range(5)),
        )
        pieces: list[str] = []
        assert self.complete(provider, long, pieces.append if watched else None).text == TEXT
        assert len(api.bodies) == 2
        assert pieces == [] or "".join(pieces) == TEXT
        assert "9 word" in api.bodies[1]["messages"][-1]["content"]

    def test_what_is_too_long_even_then_fails(self, provider, turn, api):
        api.models["model-1"] = 3
        error = self.fails(provider, replace(turn, lines=(ChatLine("user", "word " * 5_000),)))
        assert (type(error), error.code) == (PermanentError, "context_too_long")
        assert len(api.bodies) == 2
        # nothing to leave out: not even tried
        error = self.fails(provider, replace(turn, lines=(ChatLine("user", "Hello?"),), passages=()))
        assert error.code == "context_too_long"
        assert len(api.bodies) == 3

    def test_the_key_is_in_no_log(self, provider, turn, api, caplog):
        caplog.set_level(logging.DEBUG)
        for name in (self.name, "httpx2", "httpcore2", "aiohttp"):
            caplog.set_level(logging.DEBUG, logger=name)
        with capture_logs() as logs:
            self.complete(provider, turn)
            api.next(Manner(status=500, body={"error": {"message": f"your key is {api.key}"}}))
            error = self.fails(provider, turn)
        assert api.key not in str(error) + repr(error) + caplog.text + repr(logs) + repr(turn)

    @pytest.mark.parametrize("watched", [False, True])
    def test_a_page_instead_of_an_answer_says_what_to_check(self, provider, turn, api, watched):
        for status in (200, 404, 301):
            api.next(Manner(status=status, body=PAGE, headers={"Location": "/"} if status == 301 else {}))
            error = self.fails(provider, turn, (lambda text: None) if watched else None)
            assert (type(error), error.code) == (PermanentError, "wrong_address"), status
            assert "base_url" in error.advice

    def test_json_that_is_no_answer_says_what_to_check(self, provider, turn, api):
        for body in (
            [],
            {},
            {"status": "ok"},
            {"choices": []},
            {"choices": [7]},
            {"content": 7, "model": "m"},
        ):
            api.next(Manner(body=body))
            assert self.fails(provider, turn).code == "wrong_address", body

    @pytest.mark.parametrize(
        "base_url", ["{0}/wrong", "http://", "ftp://127.0.0.1/v1", "nonsense", "http://127.0.0.1:99999/v1"]
    )
    def test_a_wrong_address_is_permanent(self, provider, turn, address, base_url):
        access = replace(turn.access, base_url=base_url.format(address))
        error = self.fails(provider, replace(turn, access=access))
        assert (type(error), error.code) == (PermanentError, "wrong_address")

    def test_where_nobody_listens(self, provider, turn):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            access = replace(turn.access, base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}{self.suffix}")
            error = self.fails(provider, replace(turn, access=access))
        assert (type(error), error.code) == (TransientError, "connection")

    def test_a_name_that_does_not_exist(self, provider, turn):
        access = replace(turn.access, base_url=f"http://no-such-host.invalid{self.suffix}")
        error = self.fails(provider, replace(turn, access=access))
        assert (type(error), error.code) == (TransientError, "connection")

    def test_tls_where_there_is_none(self, provider, turn, address):
        access = replace(turn.access, base_url=address.replace("http://", "https://"))
        error = self.fails(provider, replace(turn, access=access))
        assert (type(error), error.code) == (TransientError, "connection")

    @pytest.mark.parametrize("watched", [False, True])
    def test_silence_ends_with_the_patience(self, provider, turn, api, watched):
        api.next(Manner(hang=True))
        error = self.fails(
            provider, replace(turn, timeout_seconds=0.3), (lambda text: None) if watched else None
        )
        assert (type(error), error.code) == (TransientError, "timeout")

    def test_a_stream_that_breaks(self, provider, turn, api):
        for manner in (Manner(cut_after=3), Manner(cut_after=0), Manner(with_end=False)):
            api.next(manner)
            error = self.fails(provider, turn, lambda text: None)
            assert isinstance(error, TransientError)
            assert error.code in ("connection", "answer_cut_off")

    def test_a_server_that_hangs_up(self, provider, turn):
        """It takes the request and closes without a word."""
        with socket.create_server(("127.0.0.1", 0)) as server:

            def hang_up() -> None:
                connection, _ = server.accept()
                connection.recv(100)
                connection.close()

            thread = threading.Thread(target=hang_up)
            thread.start()
            access = replace(turn.access, base_url=f"http://127.0.0.1:{server.getsockname()[1]}{self.suffix}")
            error = self.fails(provider, replace(turn, access=access))
            thread.join(10)
        assert (type(error), error.code) == (TransientError, "connection")

    @pytest.mark.parametrize("watched", [False, True])
    def test_an_empty_answer(self, provider, turn, api, watched):
        api.next(Manner(text="", ending="length" if self.name == "openai" else "max_tokens"))
        error = self.fails(provider, turn, (lambda text: None) if watched else None)
        assert (type(error), error.code) == (PermanentError, "empty_answer")
        assert "output tokens" in error.advice

    # --- connections ---

    def test_a_call_that_is_given_up_frees_its_connection(self, provider, turn, api):
        async def give_up() -> None:
            api.next(Manner(hang=True))
            call = asyncio.create_task(provider.complete(turn, lambda text: None))
            while not api.bodies:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await provider.complete(turn)).text == TEXT

        asyncio.run(give_up())

    def test_many_at_once_wait_for_each_other_nowhere(self, provider, turn, api):
        """All of them are at the server before the first gets its answer."""
        api.next(*[Manner(hang=True)] * 300)

        async def many() -> list[object]:
            calls = [asyncio.create_task(provider.complete(turn)) for _ in range(300)]
            while api.under_way < 300:  # the test's own time limit is the deadline
                assert not any(call.done() for call in calls)
                await asyncio.sleep(0.02)
            for call in calls:
                call.cancel()
            return await asyncio.gather(*calls, return_exceptions=True)

        assert len(asyncio.run(asyncio.wait_for(many(), 30))) == 300
        assert api.most_at_once == 300
        wait_until(lambda: api.under_way >= 0)

    def test_the_environment_has_no_say(self, provider, turn, api, monkeypatch):
        nowhere = "http://127.0.0.1:9"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, nowhere)
        prefix = self.name.upper()
        for name in ("API_KEY", "AUTH_TOKEN", "ORG_ID", "PROJECT_ID"):
            monkeypatch.setenv(f"{prefix}_{name}", "of-the-environment")
        monkeypatch.setenv(f"{prefix}_BASE_URL", nowhere)
        api.keys["none"] = KeyAccount()
        self.complete(provider, turn)
        self.complete(provider, replace(turn, access=replace(turn.access, credentials={})))
        assert "of-the-environment" not in repr(api.headers)
