"""Sending: what reaches the person, and what each refusal and each broken connection becomes."""

import asyncio
import logging
import ssl
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.channels.base import Listener
from apps.reliability.errors import OutcomeUnknown, PermanentError, Postpone, TransientError
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.flood import Flood, FloodControl
from tests.servers.processes import free_port


def send(channel, outgoing):
    return asyncio.run(channel.send(outgoing))


def test_a_text_arrives(channel, outgoing, telegram, bot, ada):
    sent = send(channel, outgoing("Hello"))
    assert ada.received(bot) == ["Hello"]
    assert sent.provider_message_id == str(telegram.world.sent[-1].message_id)
    assert sent.moved_to == ""
    assert [method for method, _ in telegram.calls] == ["sendMessage"]  # and no getMe


@pytest.mark.parametrize(
    "text",
    [
        "👍🏽 👩‍👩‍👧",
        "שלום, مرحبا\u200f!",
        "<b>not bold</b> & 1 < 2 > 0",
        "a_b*c`d[e",
        "x" * 4096,
        "👍" * 2048,
        "**" + "x" * 4092 + "**",
        "é" * 4096,
    ],
    ids=["emoji", "rtl", "html-like", "unpaired", "4096", "4096 units", "4096 with marks", "4096 accents"],
)
@pytest.mark.parametrize("kind", ["plain", "markdown"])
def test_texts_arrive_as_they_are_meant(channel, outgoing, bot, ada, text, kind):
    send(channel, outgoing(text, format=kind))
    expected = text.replace("**", "") if kind == "markdown" else text
    assert ada.received(bot) == [expected]


def test_nul_and_half_characters_do_no_harm(channel, outgoing, bot, ada):
    send(channel, outgoing("a\x00b \ud83d c"))
    assert ada.received(bot) == ["ab \ufffd c"]


@pytest.mark.parametrize(
    ("text", "code"), [("x" * 4097, "text_too_long"), (" \n\t ", "text_empty"), ("", "text_empty")]
)
def test_what_telegram_does_not_take(channel, outgoing, text, code):
    with pytest.raises(PermanentError) as caught:
        send(channel, outgoing(text))
    assert caught.value.code == code
    assert caught.value.advice


def test_markdown_is_formatted(channel, outgoing, telegram):
    send(channel, outgoing("**Hi**, see [docs](https://example.com/?a=1&b=2)"))
    sent = telegram.world.sent[-1]
    assert sent.text == "Hi, see docs"
    assert [(one["type"], one.get("url")) for one in sent.entities] == [
        ("bold", None),
        ("text_link", "https://example.com/?a=1&b=2"),
    ]


def test_html_of_the_account(channel, outgoing, telegram):
    send(channel, outgoing("<i>Hi</i> &amp; bye", format="html"))
    assert telegram.world.sent[-1].text == "Hi & bye"
    assert telegram.world.sent[-1].entities[0]["type"] == "italic"


@pytest.mark.parametrize("text", ["<b>never closed", "a < b", "<table>", "</b>"])
def test_broken_markup_is_sent_plain_in_the_same_send(channel, outgoing, telegram, bot, ada, text):
    send(channel, outgoing(text, format="html"))
    assert ada.received(bot) == [text]
    assert [one.get("parse_mode") for one in telegram.asked("sendMessage")] == ["HTML", None]


def test_a_group_that_became_a_supergroup_is_followed(channel, outgoing, telegram, bot, ada):
    group = telegram.group("Team")
    group.adds(bot, by=ada)
    supergroup = group.upgrades(bot)
    sent = send(channel, outgoing("Hello all", recipient=group.id))
    assert sent.moved_to == str(supergroup.id)
    assert supergroup.received() == ["Hello all"]


def test_moved_and_unreadable_at_once(channel, outgoing, telegram, bot, ada):
    group = telegram.group("Team")
    group.adds(bot, by=ada)
    supergroup = group.upgrades(bot)
    sent = send(channel, outgoing("<b>", recipient=group.id, format="html"))
    assert (sent.moved_to, supergroup.received()) == (str(supergroup.id), ["<b>"])


def test_a_group_that_keeps_moving_is_tried_again_later(channel, outgoing, telegram, bot, ada):
    first, second = telegram.group("A"), telegram.group("B")
    first.upgraded_to, second.upgraded_to = second.id, first.id
    with pytest.raises(TransientError) as caught:
        send(channel, outgoing(recipient=first.id))
    assert caught.value.code == "chat_migrated"


class TestThoseWhoCantBeReached:
    def refused(self, channel, outgoing):
        with pytest.raises(PermanentError) as caught:
            send(channel, outgoing)
        assert caught.value.advice
        return caught.value.code

    def test_blocked(self, channel, outgoing, bot, ada):
        ada.blocks(bot)
        code = self.refused(channel, outgoing())
        assert code == "bot_blocked"
        assert code in channel.closing_codes
        ada.unblocks(bot)
        send(channel, outgoing("back"))
        assert ada.received(bot) == ["back"]

    def test_deactivated(self, channel, outgoing, ada):
        ada.deactivated = True
        assert self.refused(channel, outgoing()) == "user_deactivated"

    def test_never_started(self, channel, outgoing, telegram, bot):
        stranger = telegram.person("Bob")
        assert self.refused(channel, outgoing(recipient=stranger.id)) == "chat_not_found"
        stranger.met.add(bot.id)
        assert self.refused(channel, outgoing(recipient=stranger.id)) == "cannot_initiate"

    @pytest.mark.parametrize("status", ["kicked", "left"])
    def test_removed_from_a_group(self, channel, outgoing, telegram, bot, ada, status):
        group = telegram.group()
        group.adds(bot, by=ada)
        group.removes(bot, by=ada, status=status)
        code = self.refused(channel, outgoing(recipient=group.id))
        assert code == "bot_removed"
        assert code in channel.closing_codes

    @pytest.mark.parametrize("recipient", ["", "visitor-4711", "1; drop", "9" * 30])
    def test_ids_that_are_none(self, channel, outgoing, telegram, recipient):
        assert self.refused(channel, outgoing(recipient=recipient)) == "chat_not_found"
        assert telegram.calls == []

    @pytest.mark.parametrize("token", ["7:AAFake-token_0123456789abcdefghij01", "", None, "../../etc", 5])
    def test_a_wrong_token(self, channel, outgoing, token):
        message = outgoing()
        message.credentials["bot_token"] = token
        assert self.refused(channel, message) == "bot_token_invalid"


class TestTrouble:
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_telegram_has_a_bad_day(self, channel, outgoing, telegram, bot, ada, status):
        telegram.fault("sendMessage", status=status)
        with pytest.raises(TransientError) as caught:
            send(channel, outgoing())
        assert caught.value.code == "server_error"
        send(channel, outgoing())
        assert ada.received(bot) == ["Hello"]

    def test_slow_down(self, channel, outgoing, telegram):
        telegram.fault(
            "sendMessage", status=429, description="Too Many Requests: retry after 7", retry_after=7
        )
        with pytest.raises(Postpone) as caught:
            send(channel, outgoing())
        assert (caught.value.seconds, caught.value.code) == (7.0, "rate_limited")

    def test_slow_down_without_a_time(self, channel, outgoing, telegram):
        telegram.fault("sendMessage", status=429, description="Too Many Requests")
        with pytest.raises(Postpone) as caught:
            send(channel, outgoing())
        assert caught.value.seconds == 5.0

    @pytest.mark.parametrize(
        ("wanted", "rate", "burst"),
        [(None, 25, 5), (30, 25, 5), ("12", 10, 2), (5, 5, 1), (0.5, 0.5, 1), (1000, 834, 166), ("?", 25, 5)],
    )
    def test_the_pace_of_a_bot_is_its_accounts_option(self, channel, outgoing, wanted, rate, burst):
        bot, chat = channel.limits(outgoing(**({} if wanted is None else {"messages_per_second": wanted})))
        assert (bot.rate, bot.burst) == (rate, burst)
        assert (chat.rate, chat.burst) == (1.0, 3)
        assert bot.key == channel.hold_key("0b7c6f2e-1111-4222-8333-444455556666")

    @pytest.mark.parametrize("wanted", [0, -1, 1001, "fast", None, [], float("nan"), float("inf")])
    def test_a_pace_that_makes_no_sense_is_refused(self, channel, wanted):
        (found,) = channel.option_problems({"messages_per_second": wanted})
        assert "from 0.1 to 1000" in found

    def test_options_that_make_sense(self, channel):
        assert channel.option_problems({}) == []
        assert channel.option_problems({"messages_per_second": "10", "format": "plain"}) == []

    def test_the_limits_keep_us_below_telegrams(self, channel, outgoing, telegram):
        now = [0.0]
        telegram.flood = FloodControl(Flood(), clock=lambda: now[0])
        for _ in range(3):
            send(channel, outgoing())
        with pytest.raises(Postpone):
            send(channel, outgoing())
        now[0] += 1.0
        send(channel, outgoing())

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_cut_off_after_the_request_went_out(self, channel, outgoing, telegram, bot, ada, cut):
        telegram.fault("sendMessage", cut=cut)
        with pytest.raises(OutcomeUnknown) as caught:
            send(channel, outgoing())
        assert caught.value.code == "cut_off"
        assert ada.received(bot) == (["Hello"] if cut == "after" else [])

    def test_no_answer_in_time(self, channel, outgoing, telegram, settings, bot, ada):
        settings.TELEGRAM_TIMEOUT_SECONDS = 0.3
        telegram.fault("sendMessage", delay=30)
        with pytest.raises(OutcomeUnknown):
            send(channel, outgoing())
        assert ada.received(bot) == ["Hello"]

    @pytest.mark.parametrize(
        "raw", [b"<html>a proxy's page</html>", b'{"ok":true,"res', b"", b"[]", b'{"ok":true}']
    )
    def test_an_answer_that_nobody_understands(self, channel, outgoing, telegram, raw):
        telegram.fault("sendMessage", raw=raw)
        with pytest.raises(OutcomeUnknown) as caught:
            send(channel, outgoing())
        assert caught.value.code == "unreadable_answer"

    def test_a_result_of_another_kind(self, channel, outgoing, telegram):
        telegram.fault("sendMessage", raw=b'{"ok":true,"result":true}')
        with pytest.raises(OutcomeUnknown):
            send(channel, outgoing())

    def test_a_redirect_is_not_followed(self, channel, outgoing, telegram):
        telegram.fault("sendMessage", status=302, raw=b"elsewhere")
        with pytest.raises(PermanentError) as caught:
            send(channel, outgoing())
        assert caught.value.code == "wrong_address"

    def test_nobody_listens(self, channel, outgoing, settings):
        settings.TELEGRAM_API_URL = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(TransientError) as caught:
            send(channel, outgoing())
        assert caught.value.code == "unreachable"

    def test_a_name_that_nobody_knows(self, channel, outgoing, settings):
        settings.TELEGRAM_API_URL = "http://telegram.invalid"
        with pytest.raises(TransientError) as caught:
            send(channel, outgoing())
        assert caught.value.code == "unreachable"

    def test_one_trouble_does_not_touch_the_neighbours(self, channel, outgoing, telegram, bot, ada):
        telegram.fault("sendMessage", cut="before", times=3)

        async def many():
            return await asyncio.gather(
                *(channel.send(outgoing(f"{number}")) for number in range(30)), return_exceptions=True
            )

        found = asyncio.run(many())
        assert sum(isinstance(one, OutcomeUnknown) for one in found) == 3
        assert len(ada.received(bot)) == 27


def test_a_proxy_of_the_environment_is_ignored(channel, outgoing, monkeypatch, bot, ada):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    send(channel, outgoing())
    assert ada.received(bot) == ["Hello"]


def test_a_certificate_that_nobody_vouches_for_is_refused(channel, outgoing, bot, settings, tmp_path):
    with FakeTelegram(tls=_own_certificate(tmp_path)) as impostor:
        settings.TELEGRAM_API_URL = impostor.url
        with pytest.raises(TransientError) as caught:
            send(channel, outgoing())
        assert impostor.calls == []
    assert caught.value.code == "unreachable"


def _own_certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"cut": "after"},
        {"cut": "before"},
        {"status": 403, "description": "Forbidden: x"},
        {"status": 404, "description": "Not Found"},
        {"raw": b"nonsense"},
        None,
    ],
)
def test_the_token_is_in_no_log_line_and_no_error(channel, outgoing, telegram, bot, settings, caplog, fault):
    caplog.set_level(logging.DEBUG)
    for name in ("telegram", "aiohttp", "httpx", "asyncio"):
        caplog.set_level(logging.INFO, logger=name)
    if fault is None:
        settings.TELEGRAM_API_URL = f"http://127.0.0.1:{free_port()}"
    else:
        telegram.fault("sendMessage", **fault)
    with pytest.raises((TransientError, OutcomeUnknown, PermanentError)) as caught:
        send(channel, outgoing())
    seen = caplog.text + "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert bot.token.split(":")[1] not in seen


def test_typing_is_shown(channel, bot, ada):
    listener = Listener(conversation_id="c", recipient=str(ada.id), credentials={"bot_token": bot.token})
    asyncio.run(channel.typing(listener))
    assert ada.saw_typing(bot) == 1
    assert 0 < channel.typing_seconds < 5


def test_limits_name_no_secret_and_stay_within_telegrams(channel, outgoing, bot):
    for recipient, per_chat, seconds in (("4711", 4, 1), ("-100123", 20, 60), ("@channel", 20, 60)):
        account, chat = channel.limits(outgoing(recipient=recipient))
        assert account.rate + account.burst <= 30
        assert chat.rate * seconds + chat.burst <= per_chat
        assert bot.token not in repr((account, chat))
        assert account.key != chat.key
