"""The doctor's look at servers outside: AI accounts, and the web as others see it."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from apps.conversations.models import AiAccount, ChatbotAi
from apps.operations.doctor import ai, outside, web
from apps.operations.doctor.finding import Finding, Level, Settings
from tests.factories.accounts import CustomerFactory
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory
from tests.operations.provisioning import registries
from tests.operations.servers import Answering, ModelServer, certificate, served

KEY = "sk-planted-key-0123456789"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registries")]
__all__ = ["registries"]


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


class TestAi:
    @pytest.fixture
    def server(self) -> Iterator[ModelServer]:
        with served(ModelServer(KEY, ["gpt-4o-mini", "gpt-4o", "llama3.2:latest"])) as server:
            assert isinstance(server, ModelServer)
            yield server

    def account(self, server: Answering, **more: Any) -> AiAccount:
        values = {"provider": "openai", "base_url": f"{server.url}/v1", "model": "gpt-4o-mini"} | more
        values.setdefault("credentials", {"api_key": KEY})
        customer = CustomerFactory.create(name="Acme")
        return AiAccount.objects.create(customer=customer, name="main", **values)

    def found(self) -> Finding:
        (one,) = ai.check(Settings())
        assert KEY not in str(one)
        return one

    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_key_and_model_are_right(self, server, provider):
        base = server.url if provider == "anthropic" else f"{server.url}/v1"
        self.account(server, provider=provider, base_url=base)
        found = self.found()
        assert found.level is Level.OK, found
        assert "gpt-4o-mini" in found.found
        assert {what.split()[0] for what, _ in server.asked} == {"GET"}, "nothing that costs"

    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_the_key_is_refused(self, server, provider):
        self.account(server, provider=provider, credentials={"api_key": "sk-planted-wrong-key"})
        found = self.found()
        assert found.level is Level.FAIL
        assert "refuses the key (401)" in found.found
        assert found.command.endswith("--customer Acme --ai " + provider + " --ai-name main --ai-key -")
        assert "planted-wrong" not in str(found)

    def test_there_is_no_such_model(self, server):
        self.account(server, model="gpt-4o-mni")
        found = self.found()
        assert (found.level, found.found) == (Level.FAIL, "there is no model gpt-4o-mni")
        assert found.command.endswith("--ai-model gpt-4o-mini")

    def test_the_model_of_a_chatbots_step_counts(self, server):
        account = self.account(server, model="")
        bot = ChatbotFactory.create(customer=account.customer)
        ChatbotAi.objects.create(chatbot=bot, account=account, model="gpt-5000")
        assert "gpt-5000" in self.found().found

    def test_no_model_is_named(self, server):
        self.account(server, model="")
        assert (self.found().level, "gpt-4o" in self.found().advice) == (Level.FAIL, True)

    def test_ollama_needs_no_key_and_leaves_out_latest(self, server):
        server.key = ""
        self.account(server, credentials={}, model="llama3.2")
        assert self.found().level is Level.OK

    def test_a_server_without_a_list(self, server):
        self.account(server, base_url=server.url)
        assert (self.found().level, "/v1" in self.found().advice) == (Level.WARN, True)

    def test_a_web_page_in_place_of_an_api(self, server):
        server.on("GET /models", body=b"<html>Hello")
        self.account(server, base_url=server.url)
        assert "address of an API" in self.found().advice

    def test_paid_models_without_a_price(self, server, settings, monkeypatch):
        settings.AI_PRICES = {"gpt-4o": [2.5, 10]}
        monkeypatch.setitem(ai.ADDRESSES, "openai", f"{server.url}/v1")
        account = self.account(server, base_url="", model="gpt-4o-mini")
        assert [one.level for one in ai.check(Settings())] == [Level.OK]
        server.models.append("gpt-5")
        AiAccount.objects.filter(pk=account.pk).update(model="gpt-5")
        found = by_name(ai.check(Settings()))["prices"]
        assert (found.level, found.found) == (Level.NOTE, "none known for gpt-5")
        assert '{"gpt-5": [2.5, 10]}' in found.advice

    def test_nobody_there(self, server):
        self.account(server, base_url="http://127.0.0.1:1/v1")
        found = self.found()
        assert found.level is Level.FAIL
        assert "connection refused" in found.found

    def test_its_clock_is_noted(self, server):
        server.on(
            "Date", body=format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True).encode()
        )
        self.account(server)
        asked = Settings()
        list(ai.check(asked))
        ((who, ahead),) = asked.clocks
        assert who == server.url
        assert 55 < ahead < 65

    def test_providers_that_we_cant_ask_and_inactive_accounts(self, server):
        account = self.account(server, provider="oracle")
        assert self.found().found == "not asked: main (oracle)"
        account.is_active = False
        account.save()
        assert self.found().level is Level.OK
        assert server.asked == []


class TestWeb:
    @pytest.fixture
    def site(self, settings: Any) -> Iterator[Answering]:
        with served(Answering()) as site:
            site.on("GET /healthz", body={"status": "ok", "database": "ok"})
            site.on(f"GET /static/{web.STATIC}", body=b"body{}", Content_Type="text/css; charset=utf-8")
            site.on(f"GET {web.EVENTS}", 401)
            settings.PUBLIC_URL = site.url
            yield site

    def test_all_is_well(self, site):
        found = by_name(web.check(Settings()))
        assert {name: one.level for name, one in found.items()} == dict.fromkeys(
            ("healthz", "static files", "events"), Level.OK
        )

    @pytest.mark.parametrize(
        ("status", "body", "says"),
        [
            (400, b"", "ALLOWED_HOSTS must name 127.0.0.1"),
            (503, {"status": "unavailable"}, "can't reach the database"),
            (200, b"<html>Welcome to nginx", "Somebody else answers"),
            (502, b"", "Somebody else answers"),
        ],
    )
    def test_health_is_not_as_it_should_be(self, site, status, body, says):
        site.on("GET /healthz", status, body)
        found = by_name(web.check(Settings()))["healthz"]
        assert found.level is Level.FAIL
        assert says in found.advice

    @pytest.mark.parametrize(
        ("status", "level", "says"),
        [
            (403, Level.OK, ""),
            (401, Level.OK, ""),
            (301, Level.FAIL, "SECURE_PROXY_SSL_HEADER"),
            (404, Level.FAIL, "/webhooks/"),
            (200, Level.FAIL, "must be refused"),
            (500, Level.FAIL, "log of web"),
        ],
    )
    def test_the_door_of_a_webhook(self, site, status, level, says):
        account = ChannelAccountFactory.create(channel="pager")
        site.on(f"POST /webhooks/pager/{account.public_id}", status)
        found = next(one for name, one in by_name(web.check(Settings())).items() if name.startswith("door"))
        assert found.level is level
        assert says in found.advice

    def test_a_private_address_is_no_good_for_webhooks(self, site):
        ChannelAccountFactory.create(channel="pager")
        found = by_name(web.check(Settings()))["address"]
        assert found.level is Level.WARN
        assert "127.0.0.1" in found.found

    def test_it_is_good_for_a_bot_api_server_of_ones_own(self, site, settings):
        ChannelAccountFactory.create(channel="telegram")
        assert "address" in by_name(web.check(Settings()))
        settings.TELEGRAM_API_URL = "http://127.0.0.1:8081"
        assert "address" not in by_name(web.check(Settings()))

    def test_without_a_public_address(self, site, settings):
        settings.PUBLIC_URL = ""
        found = by_name(web.check(Settings(base_url=site.url)))
        assert found["PUBLIC_URL"].level is Level.NOTE
        assert found["healthz"].level is Level.OK
        ChannelAccountFactory.create(channel="pager")
        assert by_name(web.check(Settings(base_url=site.url)))["PUBLIC_URL"].level is Level.FAIL

    def test_events_are_answered_by_the_web_process(self, site):
        site.on(f"GET {web.EVENTS}", 404)
        found = by_name(web.check(Settings()))["events"]
        assert found.level is Level.FAIL
        assert web.EVENTS in found.advice

    def test_no_static_files(self, site):
        site.on(f"GET /static/{web.STATIC}", 200, b"<html>", Content_Type="text/html")
        found = by_name(web.check(Settings()))["static files"]
        assert (found.level, "collectstatic" in found.command) == (Level.FAIL, True)

    @pytest.mark.parametrize(
        ("days", "level", "says"),
        [
            (90, Level.OK, "another 90 days"),
            (10, Level.WARN, "another 10 days"),
            (1, Level.FAIL, "another 1 days"),
            (-1, Level.FAIL, "expired"),
        ],
    )
    def test_the_certificate(self, tmp_path: Path, days: float, level: Level, says: str):
        path = certificate(tmp_path, days=days)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(path)
        with served(Answering(), tls) as site:
            found = web.certificate(site.url, ssl.create_default_context(cafile=str(path)))
            strange = web.certificate(site.url)
        assert found.level is level
        assert says in found.found
        assert "refused" in strange.found, "nobody knows who signed it"
        assert web.certificate(site.url).level is Level.FAIL, "nobody there"


@pytest.mark.django_db(transaction=True)
def test_the_real_web_process(live_server: Any, settings: Any):
    """Django's own server has no events process behind it, and is told from one."""
    settings.ALLOWED_HOSTS = ["*"]
    found = by_name(web.check(Settings(base_url=live_server.url)))
    assert found["healthz"].level is Level.OK
    assert found["static files"].level is Level.OK
    assert found["events"].level is Level.FAIL


class TestAsking:
    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("http://127.0.0.1:1/planted-secret", "nothing listens there"),
            ("http://nowhere.invalid/planted-secret", "can't be resolved"),
            ("planted-secret", "MissingSchema"),
        ],
    )
    def test_what_goes_wrong_in_words_without_the_address(self, monkeypatch, url, says):
        def unresolved(*args: Any, **kwargs: Any) -> Any:
            raise socket.gaierror(-2, "Name or service not known")

        if "invalid" in url:
            monkeypatch.setattr(socket, "getaddrinfo", unresolved)
        reply = outside.ask(url)
        assert says in reply.problem
        assert "planted" not in reply.problem

    def test_a_server_that_speaks_no_tls(self):
        with served(Answering()) as site:
            assert "TLS" in outside.ask(site.url.replace("http://", "https://")).problem

    def test_redirects_are_not_followed(self):
        with served(Answering()) as site:
            site.on("GET /", 302, Location="/elsewhere")
            assert outside.ask(f"{site.url}/").status == 302
            assert [what for what, _ in site.asked] == ["GET /"]

    def test_several_at_once_in_their_order(self):
        assert outside.side_by_side(lambda number: number * 2, range(50)) == list(range(0, 100, 2))
        assert outside.side_by_side(lambda number: number, []) == []
        with pytest.raises(ZeroDivisionError):
            outside.side_by_side(lambda number: 1 / number, [1, 0])
