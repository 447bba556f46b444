"""POST /webhooks/<channel>/<account>: only the provider gets in, each event once, and nothing it says is lost."""

import json
import threading
import uuid
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client
from structlog.testing import capture_logs

from apps.conversations.models import ChannelAccount, Contact, Message
from apps.frontdoor import inbox, lookups
from apps.frontdoor.models import InboundEvent
from apps.jobs.drain import drain
from apps.jobs.models import Job
from tests.factories.conversations import ChannelAccountFactory
from tests.fakes.telegram import FakeTelegram, World
from tests.frontdoor.conftest import assert_problem

SECRET = "planted-webhook-secret-0815"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


class Door:
    """A Telegram bot's webhook, and people who write to the bot."""

    def __init__(self, world: World) -> None:
        self.bot = world.bot()
        self.ada = world.person("Ada")
        self.account = ChannelAccountFactory.create(
            channel="telegram",
            debounce_seconds=0,
            credentials={"bot_token": self.bot.token, "secret_token": SECRET},
        )

    @property
    def path(self) -> str:
        return f"/webhooks/telegram/{self.account.public_id}"

    def post(self, update: Any, path: str = "", secret: str | None = SECRET, **headers: str) -> Any:
        """What the provider would send; bytes go as they are."""
        body = update if isinstance(update, bytes) else json.dumps(update).encode()
        sent = headers | ({HEADER: secret} if secret is not None else {})
        return Client(raise_request_exception=False).post(
            path or self.path, body, content_type="application/json", headers=sent
        )

    def says(self, text: str, **more: Any) -> Any:
        return self.post(self.ada.writes(text, self.bot, **more))


@pytest.fixture
def door(db: None) -> Door:
    return Door(World())


def kept() -> tuple[int, int]:
    """How many events and jobs there are."""
    return InboundEvent.objects.count(), Job.objects.count()


# --- in ------------------------------------------------------------------------------------------


def test_what_the_provider_says_becomes_one_row_and_one_job(door):
    update = door.ada.writes("When do you open?", door.bot)
    response = door.post(update)
    assert (response.status_code, response.json()) == (200, {"accepted": 1})
    [event], [job] = InboundEvent.objects.all(), Job.objects.all()
    assert (event.event_id, event.sender) == (f"update:{update['update_id']}", str(door.ada.id))
    assert event.payload == {"text": "When do you open?", "name": "Ada", "raw": update}
    assert (job.task, job.lane) == (
        "pipeline.receive_message",
        f"sender:{door.account.pk}:{door.ada.id}",
    )
    assert job.payload["text"] == "When do you open?"
    assert job.customer_id == door.account.chatbot.customer_id


def test_a_repeat_changes_nothing(door):
    update = door.ada.writes("Hi", door.bot)
    answers = [door.post(update) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert kept() == (1, 1)


@pytest.mark.usefixtures("committed")
def test_fifty_repeats_at_once_are_one_message():
    door = Door(World())
    update, together = door.ada.writes("Hi", door.bot), threading.Barrier(10)
    statuses: list[int] = []

    def repeat() -> None:
        try:
            together.wait(10)
            statuses.extend(door.post(update).status_code for _ in range(5))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=repeat) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 50
    assert kept() == (1, 1)


def test_what_we_do_not_know_is_kept_and_nothing_follows(door):
    response = door.post({"update_id": 77, "chat_boost": {"chat": {"id": 5}, "boost": {"x": [1.5, None]}}})
    assert response.status_code == 200
    [event] = InboundEvent.objects.all()
    assert event.payload["raw"]["chat_boost"]["boost"] == {"x": [1.5, None]}
    assert kept() == (1, 0)


def test_an_account_that_is_switched_off_is_taken_in_but_not_answered(door):
    ChannelAccount.objects.update(is_active=False)
    assert door.says("Hi").status_code == 200
    drain()
    assert [message.text for message in Message.objects.all()] == ["Hi"]
    assert not Job.objects.exclude(status="completed").exists()


@pytest.mark.parametrize("text", ["nul \x00 here", "half \ud83d a pair", "\U0001f44d" * 2000, "‮ \x1b[0m"])
def test_any_text_a_person_can_send_is_stored(door, text):
    assert door.says(text).status_code == 200
    drain()
    [message] = Message.objects.filter(direction="in")
    assert message.text == text.replace("\x00", "").replace("\ud83d", "�")


@pytest.mark.parametrize(
    "odd", [1.5e10, -(2**63), 2**70, 10**300, 0.1, True, None, "", [], {}, {"a": {"b": [{"c": False}]}}]
)
def test_numbers_and_shapes_come_back_as_they_were(door, odd):
    assert door.post({"update_id": 5, "odd": {"value": odd}}).status_code == 200
    assert InboundEvent.objects.get().payload["raw"]["odd"]["value"] == odd


@pytest.mark.parametrize("depth", [40, 400, 5_000])
def test_however_deep_it_is_it_is_taken_or_refused_and_never_asked_for_again(door, depth):
    body = b'{"update_id": 5, "odd": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}"
    status = door.post(body).status_code
    assert status == (200 if depth < 500 else 400)
    assert InboundEvent.objects.count() == (status == 200)


def test_ids_that_do_not_fit_are_told_apart(door, monkeypatch):
    from apps.channels import registry
    from apps.channels.events import TextReceived

    ids = iter(["x" * 300 + "1", "x" * 300 + "2", "x" * 300 + "1", "a\x00b", "ab"])

    def parse(body: bytes) -> list[TextReceived]:
        return [TextReceived(event_id=next(ids), sender="s" * 300, text="Hi", sender_name="n" * 300)]

    monkeypatch.setattr(registry.get("telegram"), "parse", parse)
    for _ in range(5):
        assert door.post({}).status_code == 200
    assert InboundEvent.objects.count() == 4
    drain()
    assert Message.objects.filter(direction="in").count() == 4
    assert Contact.objects.get().external_id == "s" * 255


# --- out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], f"{SECRET},{SECRET}", "ä", "\udcff"]
)
def test_whoever_can_not_prove_to_be_the_provider_leaves_no_trace(door, secret):
    update = door.ada.writes("Hi", door.bot)
    with capture_logs() as logs:
        response = door.post(update, secret=secret)
    assert_problem(response, 401)
    assert kept() == (0, 0)
    assert SECRET not in repr(logs) + response.content.decode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"update_id": "7"}',
        b'{"update_id": 1e3}',
        b'{"update_id": NaN}',
    ],
)
def test_what_is_no_update_is_refused(door, body):
    assert_problem(door.post(body), 400)
    assert kept() == (0, 0)


def test_wrong_addresses(door):
    update = door.ada.writes("Hi", door.bot)
    there = ChannelAccountFactory.create(channel="widget")
    for path in (
        f"/webhooks/widget/{door.account.public_id}",
        f"/webhooks/telegram/{there.public_id}",
        f"/webhooks/widget/{there.public_id}",  # a channel that nobody calls
        f"/webhooks/nonsense/{door.account.public_id}",
        f"/webhooks/telegram/{uuid.uuid4()}",
    ):
        assert_problem(door.post(update, path), 404)
    assert door.post(update, "/webhooks/telegram/4711").status_code == 404
    assert kept() == (0, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_providers_post(door, method):
    response = Client().generic(method, door.path, headers={HEADER: SECRET})
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert kept() == (0, 0)


def test_too_large(door, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 500
    assert_problem(door.says("x" * 600), 413, "500 bytes")
    assert kept() == (0, 0)


def test_a_body_that_did_not_arrive_is_not_stored(door, monkeypatch):
    from django.http import UnreadablePostError
    from django.test.client import FakePayload

    def gone(self: Any, *args: Any) -> bytes:
        raise UnreadablePostError("connection reset")

    monkeypatch.setattr(FakePayload, "read", gone)
    with capture_logs() as logs:
        assert door.says("Hi").status_code == 400
    assert kept() == (0, 0)
    assert not [line for line in logs if line["log_level"] == "error"]  # nothing is wrong with us


@pytest.mark.parametrize("where", ["who is it", "storing"])
def test_the_database_is_away(door, monkeypatch, where):
    def away(*args: Any) -> Any:
        raise OperationalError("connection refused by postgres://user:pass@db")

    target = (lookups, "receiver_by_public_id") if where == "who is it" else (inbox, "accept")
    with monkeypatch.context() as patch:
        patch.setattr(*target, away)
        response = door.says("Hi")
    assert "db" not in assert_problem(response, 503, "send the same request again").split()
    assert response["Retry-After"] == "2"
    assert kept() == (0, 0)


def test_a_bug_of_ours_is_said_and_the_provider_may_try_again(door, monkeypatch):
    def broken(*args: Any) -> Any:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(inbox, "accept", broken)
    response = door.says("Hi")
    assert SECRET not in assert_problem(response, 500)


# --- what follows, end to end --------------------------------------------------------------------


@pytest.fixture
def telegram(settings, db):
    with FakeTelegram() as fake:
        settings.TELEGRAM_API_URL = fake.url
        yield fake


def test_from_telegram_and_back(telegram):
    door = Door(telegram.world)
    door.says("Hello")
    drain()
    [reply] = Message.objects.filter(direction="out")
    assert (reply.status, door.ada.received(door.bot)) == ("sent", [reply.text])
    assert reply.provider_message_id


def test_blocked_let_in_again_and_blocked_without_a_word(telegram):
    door = Door(telegram.world)
    door.says("Hello")
    drain()
    door.post(door.ada.blocks(door.bot))
    drain()
    contact = Contact.objects.get()
    assert contact.closed_at is not None
    assert contact.closed_reason == "bot_blocked"
    door.post(door.ada.unblocks(door.bot))
    drain()
    contact.refresh_from_db()
    assert (contact.closed_at, contact.closed_reason) == (None, "")
    door.ada.blocks(door.bot)  # and the update is lost
    update = door.ada.writes("Are you there?", door.bot)
    door.ada.blocks(door.bot)
    door.post(update)
    drain()
    contact.refresh_from_db()
    assert contact.closed_reason == "bot_blocked"  # the send found out
    last = Message.objects.order_by("-position")[0]
    assert (last.status, last.error_code) == ("failed", "bot_blocked")
    door.says("Hello again")
    drain()
    contact.refresh_from_db()
    assert contact.closed_reason == ""
    assert len(door.ada.received(door.bot)) == 2


def test_blocked_before_a_word_was_said_is_nobody_we_know(door):
    door.post(door.ada.blocks(door.bot))
    drain()
    assert not Contact.objects.exists()
    assert not Job.objects.exclude(status="completed").exists()


@pytest.mark.parametrize("told", ["by an update", "by the send"])
def test_a_group_that_became_a_supergroup_is_followed(telegram, told):
    door = Door(telegram.world)
    group = telegram.group("Team")
    group.adds(door.bot, door.ada)
    command = [{"type": "bot_command", "offset": 0, "length": 5}]
    door.post(door.ada.writes("/help me", door.bot, to=group, entities=command))
    if told == "by an update":
        drain()
        updates: list[Any] = []
        telegram.world.deliver = lambda bot, chat, update: updates.append(update)
        new = group.upgrades(door.bot)
        for update in updates:
            door.post(update)
    else:
        new = group.upgrades(door.bot)
    drain()
    assert Contact.objects.get().external_id == str(new.id)
    door.post(door.ada.writes("/more please", door.bot, to=new, entities=command))
    drain()
    assert Contact.objects.count() == 1
    assert [message.status for message in Message.objects.filter(direction="out")] == ["sent"] * 2
    assert new.received()


def test_no_secret_is_in_any_row_or_log_line(telegram):
    door = Door(telegram.world)
    with capture_logs() as logs:
        door.says("Hello")
        drain()
        door.post({"update_id": 1}, secret="wrong-" + SECRET)
        door.post(b"{")
        telegram.fault("sendMessage", status=401, description="Unauthorized")
        door.says("Hello again")
        drain()
    rows = [list(model.objects.values()) for model in (InboundEvent, Job, Message, Contact)]
    assert len(rows[1]) >= 6
    for planted in (SECRET, door.bot.token):
        assert planted not in repr(logs)
        assert planted not in repr(rows)
