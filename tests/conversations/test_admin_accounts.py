"""The forms of channel and AI accounts, and the order in which a chatbot asks: secrets go in and never come out."""

import html
from typing import ClassVar

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.ai.base import Answer, OnText, Provider, Turn
from apps.channels.base import Channel, Credential
from apps.conversations.models import AiAccount, ChannelAccount, Chatbot, ChatbotAi
from tests.factories.accounts import CustomerFactory, UserFactory
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory

TOKEN = "planted-token-8c1f"
KEY = "planted-key-77aa"


class PostboxChannel(Channel):
    """A channel that says what it needs, and makes one of it itself."""

    name = "post-box"
    label = "Post box"
    has_webhook = True
    credentials: ClassVar = (
        Credential("token", "Token", "the token that the post office gave you"),
        Credential("number", "Number", secret=False, required=False),
        Credential("signature", "Signature", made=True),
    )

    def problems(self, credentials):
        found = super().problems(credentials)
        if len(str(credentials.get("token", ""))) < 8 and credentials.get("token"):
            found.append("token is too short: copy the whole of it")
        return found

    def option_problems(self, options):
        return ["stamp must be a number"] if "stamp" in options else []


class OracleProvider(Provider):
    name = "oracle"
    needs_account = True
    credential_names: ClassVar = ("api_key",)

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        return Answer("42", "oracle-1")


@pytest.fixture(autouse=True)
def _registries(settings):
    settings.CHANNELS = {**settings.CHANNELS, "post-box": f"{__name__}.PostboxChannel"}
    settings.AI_PROVIDERS = {**settings.AI_PROVIDERS, "oracle": f"{__name__}.OracleProvider"}


@pytest.fixture
def looker(db):
    """Somebody who may look at accounts, and no more."""
    user = UserFactory.create(is_staff=True)
    names = ["view_aiaccount", "view_channelaccount", "view_chatbot"]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def url(model, name, *args):
    return reverse(f"admin:conversations_{model}_{name}", args=args)


def text(answer):
    return html.unescape(answer.content.decode())


class TestChannelAccounts:
    def post(self, client, account=None, **fields):
        address = url("channelaccount", "change", account.pk) if account else url("channelaccount", "add")
        chatbot = account.chatbot_id if account else ChatbotFactory().pk
        form = {"chatbot": chatbot, "channel": "post-box", "name": "n", "on_unknown": "send_again"}
        return client.post(address, {**form, "is_active": "on", **fields})

    def test_each_credential_has_a_field_and_what_we_make_is_made(self, admin_client):
        page = text(admin_client.get(url("channelaccount", "add")))
        for name in ("token", "number", "signature"):
            assert f'name="credential_post_box_{name}"' in page
        assert "channel == 'post-box'" in page
        answer = self.post(admin_client, credential_post_box_token=TOKEN)
        assert answer.status_code == 302, text(answer)
        stored = ChannelAccount.objects.get().credentials
        assert stored["token"] == TOKEN
        assert len(stored["signature"]) >= 40
        assert "number" not in stored

    def test_what_is_missing_or_wrong_is_said_and_not_repeated(self, admin_client):
        answer = self.post(admin_client)
        assert "token is missing: the token that the post office gave you" in text(answer)
        answer = self.post(admin_client, credential_post_box_token="short77")
        assert "token is too short: copy the whole of it" in text(answer)
        assert "short77" not in text(answer)
        assert not ChannelAccount.objects.exists()

    def test_an_empty_field_leaves_what_is_stored(self, admin_client):
        account = ChannelAccountFactory(
            channel="post-box", credentials={"token": TOKEN, "signature": "made-before", "number": "17"}
        )
        page = text(admin_client.get(url("channelaccount", "change", account.pk)))
        assert TOKEN not in page
        assert "made-before" not in page
        assert 'value="17"' in page  # not a secret
        answer = self.post(admin_client, account, credential_post_box_number="18")
        assert answer.status_code == 302, text(answer)
        stored = ChannelAccount.objects.get().credentials
        assert stored == {"token": TOKEN, "signature": "made-before", "number": "18"}

    def test_another_channel_does_not_inherit_credentials(self, admin_client):
        account = ChannelAccountFactory(channel="post-box", credentials={"token": TOKEN, "signature": "s"})
        assert self.post(admin_client, account, channel="widget").status_code == 302
        assert ChannelAccount.objects.get().credentials == {}

    def test_the_webhook_address_is_shown(self, admin_client, settings):
        account = ChannelAccountFactory(channel="post-box", credentials={"token": TOKEN, "signature": "s"})
        address = f"/webhooks/post-box/{account.public_id}"
        settings.PUBLIC_URL = ""
        page = text(admin_client.get(url("channelaccount", "change", account.pk)))
        assert address in page
        assert "PUBLIC_URL is not set" in page
        settings.PUBLIC_URL = "https://chat.example.com"
        page = text(admin_client.get(url("channelaccount", "change", account.pk)))
        assert f"https://chat.example.com{address}" in page
        widget = ChannelAccountFactory()
        assert "/webhooks/" not in text(admin_client.get(url("channelaccount", "change", widget.pk)))

    def test_who_may_only_look_sees_no_secret_and_no_field(self, looker):
        account = ChannelAccountFactory(
            channel="post-box", credentials={"token": TOKEN, "signature": "s3cr3t-made"}
        )
        page = text(looker.get(url("channelaccount", "change", account.pk)))
        assert "credentials, encrypted" in page
        for hidden in (TOKEN, "s3cr3t-made", "credential_post_box"):
            assert hidden not in page
        assert self.post(looker, account, credential_post_box_token="other-token").status_code == 403

    @pytest.mark.parametrize(("typed", "stored"), [("", {}), ('{"rate": 3}', {"rate": 3})])
    def test_options_are_an_object(self, admin_client, typed, stored):
        assert self.post(admin_client, credential_post_box_token=TOKEN, options=typed).status_code == 302
        assert ChannelAccount.objects.get().options == stored
        answer = self.post(admin_client, credential_post_box_token=TOKEN, options="[1]")
        assert "Write a JSON object" in text(answer)

    def test_options_that_the_channel_does_not_understand_are_refused(self, admin_client):
        answer = self.post(admin_client, credential_post_box_token=TOKEN, options='{"stamp": "blue"}')
        assert "stamp must be a number" in text(answer)
        assert not ChannelAccount.objects.exists()


class TestAiAccounts:
    def post(self, client, account=None, **fields):
        address = url("aiaccount", "change", account.pk) if account else url("aiaccount", "add")
        customer = account.customer_id if account else CustomerFactory.create().pk
        form = {"customer": customer, "name": "Main", "provider": "oracle", "timeout_seconds": 30}
        return client.post(address, {**form, "is_active": "on", **fields})

    def test_the_key_goes_in_and_never_comes_out(self, admin_client):
        answer = self.post(admin_client, credential_api_key=KEY, model="oracle-1")
        assert answer.status_code == 302, text(answer)
        account = AiAccount.objects.get()
        assert account.credentials == {"api_key": KEY}
        for page in ("change", "history"):
            assert KEY not in text(admin_client.get(url("aiaccount", page, account.pk)))
        assert KEY not in text(admin_client.get(url("aiaccount", "changelist")))
        wrong = self.post(admin_client, name="", credential_api_key="typed-key-1")
        assert wrong.status_code == 200
        assert "typed-key-1" not in text(wrong)

    def test_an_empty_key_leaves_it_and_forget_removes_it(self, admin_client):
        self.post(admin_client, credential_api_key=KEY)
        account = AiAccount.objects.get()
        assert self.post(admin_client, account, model="oracle-2").status_code == 302
        account = AiAccount.objects.get()
        assert (account.model, account.credentials) == ("oracle-2", {"api_key": KEY})
        self.post(admin_client, account, forget="on")
        assert AiAccount.objects.get().credentials == {}

    def test_only_providers_that_need_an_account_are_offered(self, admin_client):
        page = text(admin_client.get(url("aiaccount", "add")))
        assert 'value="oracle"' in page
        assert 'value="builtin"' not in page
        assert self.post(admin_client, provider="builtin").status_code == 200

    def test_who_may_only_look_sees_no_key(self, looker):
        account = AiAccount.objects.create(
            customer=CustomerFactory.create(), name="Main", provider="oracle", credentials={"api_key": KEY}
        )
        page = text(looker.get(url("aiaccount", "change", account.pk)))
        assert KEY not in page
        assert "credential_api_key" not in page


class TestOrder:
    @pytest.fixture
    def chatbot(self, db):
        return ChatbotFactory()

    def account(self, customer, name):
        return AiAccount.objects.create(customer=customer, name=name, provider="oracle")

    def save(self, client, chatbot, *steps, **fields):
        """`steps`: (existing ChatbotAi or None, account, position) as the page would send them."""
        form = {
            "customer": chatbot.customer_id, "name": chatbot.name, "is_active": "on", "provider": "builtin",
            "max_wait": 20, "fallback_message": "Sorry.", "greeting": "", "system_prompt": "",
            "ai_order-TOTAL_FORMS": len(steps), "ai_order-INITIAL_FORMS": sum(bool(one) for one, _, _ in steps),
        }  # fmt: skip
        for number, (one, account, position) in enumerate(steps):
            form |= {
                f"ai_order-{number}-chatbot": chatbot.pk,
                f"ai_order-{number}-account": account.pk,
                f"ai_order-{number}-position": position,
                f"ai_order-{number}-model": "",
            }
            if one:
                form[f"ai_order-{number}-id"] = one.pk
        return client.post(url("chatbot", "change", chatbot.pk), {**form, **fields})

    def order(self, chatbot):
        steps = ChatbotAi.objects.filter(chatbot=chatbot)
        return [(step.account.name, step.position) for step in steps]

    def test_accounts_are_put_in_order_and_change_places(self, admin_client, chatbot):
        first, second, third = (self.account(chatbot.customer, name) for name in ("a", "b", "c"))
        answer = self.save(admin_client, chatbot, (None, first, 0), (None, second, 1))
        assert answer.status_code == 302, text(answer)
        assert self.order(chatbot) == [("a", 1), ("b", 2)]
        one, two = ChatbotAi.objects.filter(chatbot=chatbot)
        answer = self.save(admin_client, chatbot, (one, first, 1), (two, second, 0), (None, third, ""))
        assert answer.status_code == 302, text(answer)
        assert self.order(chatbot) == [("b", 1), ("a", 2), ("c", 3)]
        removed = self.save(
            admin_client, chatbot, (one, first, 1), (two, second, 0), **{"ai_order-1-DELETE": "on"}
        )
        assert removed.status_code == 302, text(removed)
        # The third was not on that page: it stays, behind the others.
        assert self.order(chatbot) == [("a", 1), ("c", 2)]

    def test_an_account_of_another_customer_is_refused(self, admin_client, chatbot):
        own = self.account(chatbot.customer, "own")
        other = self.account(CustomerFactory.create(), "someone-else's")
        page = text(admin_client.get(url("chatbot", "change", chatbot.pk)))
        assert "own" in page
        assert "someone-else's" not in page
        assert self.save(admin_client, chatbot, (None, other, 0)).status_code == 200
        assert self.order(chatbot) == []
        # Nor may a chatbot take its accounts along to another customer.
        self.save(admin_client, chatbot, (None, own, 0))
        one = ChatbotAi.objects.get()
        moved = self.save(admin_client, chatbot, (one, own, 0), customer=other.customer_id)
        assert "belongs to another customer" in text(moved)
        assert Chatbot.objects.get().customer_id == own.customer_id

    def test_an_account_stands_once(self, admin_client, chatbot):
        own = self.account(chatbot.customer, "own")
        answer = self.save(admin_client, chatbot, (None, own, 0), (None, own, 1))
        assert "stands in the order already" in text(answer)
        assert self.order(chatbot) == []

    def test_origins_are_written_one_a_line(self, admin_client, chatbot):
        origins = "https://shop.example\r\n\r\n  http://localhost:3000 "
        assert self.save(admin_client, chatbot, allowed_origins=origins).status_code == 302
        chatbot.refresh_from_db()
        assert chatbot.allowed_origins == ["https://shop.example", "http://localhost:3000"]
        page = text(admin_client.get(url("chatbot", "change", chatbot.pk)))
        assert "https://shop.example\nhttp://localhost:3000" in page
        self.save(admin_client, chatbot, allowed_origins="")
        chatbot.refresh_from_db()
        assert chatbot.allowed_origins == []

    def test_a_new_chatbot_is_made_without_accounts(self, admin_client):
        customer = CustomerFactory.create()
        form = {"customer": customer.pk, "name": "New", "provider": "builtin", "max_wait": 20}
        answer = admin_client.post(url("chatbot", "add"), {**form, "fallback_message": "Sorry."})
        assert answer.status_code == 302, text(answer)
        assert Chatbot.objects.get().provider_options == {}
