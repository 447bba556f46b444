"""The fake Bot API: its answers are the real one's in shape, and it refuses what the real one refuses."""

import asyncio
import inspect

import pytest
import requests
import telegram as telegram_library
from aiohttp import web
from telegram import Bot, ChatMemberLeft, Update
from telegram.error import BadRequest, InvalidToken

from apps.channels.telegram.request import Request
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.shapes import MEMBERS, RESULTS, SHAPES, differences, problems
from tests.fakes.telegram.webhooks import SECRET_HEADER
from tests.fakes.telegram.world import World, member
from tests.servers.processes import Process, free_port, tail
from tests.servers.switchboard import PYTHON
from tests.waiting import wait_until


@pytest.fixture
def telegram():
    with FakeTelegram() as fake:
        fake.world.insecure_webhooks = True
        yield fake


@pytest.fixture
def bot(telegram):
    return telegram.bot("helper_bot")


def asked(telegram, bot, talk):
    """What `talk(bot)` of python-telegram-bot gets."""

    async def ask():
        request = Request(5)
        client = Bot(bot.token, base_url=f"{telegram.url}/bot", request=request, get_updates_request=request)
        return await talk(client)

    return asyncio.run(ask())


def call(telegram, token, method, **parameters):
    response = requests.post(f"{telegram.url}/bot{token}/{method}", json=parameters, timeout=5)
    assert response.json().get("ok") is (response.status_code == 200)
    return response.status_code, response.json()


def everything(telegram, bot):
    """Each method answers something, through python-telegram-bot's own parsing."""
    ada = telegram.person("Ada", last_name="L", username="ada")
    group = telegram.group("Team")
    ada.starts(bot)
    group.adds(bot, by=ada, status="administrator")

    async def talk(client):
        me = await client.get_me()
        assert (me.id, me.username, me.is_bot) == (bot.id, "helper_bot", True)
        message = await client.send_message(
            ada.id,
            '<b>x</b> <a href="https://e.com">y</a> <pre><code class="language-py">z</code></pre>',
            "HTML",
        )
        assert (message.text, message.chat.id, message.from_user.id) == ("x y z", ada.id, bot.id)
        assert [entity.type for entity in message.entities] == ["bold", "text_link", "pre"]
        assert await client.send_chat_action(ada.id, "typing")
        assert await client.set_webhook("http://127.0.0.1:9/x", allowed_updates=["message"], secret_token="s")
        info = await client.get_webhook_info()
        assert (info.url, info.allowed_updates) == ("http://127.0.0.1:9/x", ("message",))
        assert await client.delete_webhook()
        assert (await client.get_webhook_info()).url == ""
        chat = await client.get_chat(ada.id)
        assert chat.first_name == "Ada"
        assert (await client.get_chat(group.id)).title == "Team"
        found = await client.get_chat_member(group.id, bot.id)
        assert found.can_invite_users
        group.removes(bot, by=ada, status="left")
        assert isinstance(await client.get_chat_member(group.id, bot.id), ChatMemberLeft)

    asked(telegram, bot, talk)


def test_answers_have_the_documented_shapes(telegram, bot):
    everything(telegram, bot)
    assert {method for method, _ in telegram.answers} == set(RESULTS)
    found = [one for method, body in telegram.answers for one in problems(body["result"], RESULTS[method])]
    assert not found


def updates():
    world, seen = World(), []
    bot, ada = world.bot(), world.person("Ada")
    group = world.group()
    world.deliver = lambda bot, chat_id, update: seen.append(update)
    ada.starts(bot)
    ada.edits("x", bot)
    ada.blocks(bot)
    ada.unblocks(bot)
    group.adds(bot, by=ada)
    ada.writes("hi", bot, to=group)
    group.upgrades(bot)
    group.removes(bot, by=ada)
    return seen


def test_updates_have_the_documented_shapes_and_can_be_read():
    for update in updates():
        assert problems(update, "Update") == []
        assert Update.de_json(update, None).update_id == update["update_id"]
        assert Update.de_json(update, None).effective_chat


def test_the_judge_of_shapes_sees_what_is_wrong():
    user = {"id": 1, "is_bot": False, "first_name": "Ada"}
    assert problems(user, "User") == []
    assert problems({**user, "id": True, "shoe_size": 38}, "User") == [
        "User.shoe_size is unknown",
        "User.id is True, not a Integer",
    ]
    assert problems({"status": "kicked", "user": {"id": 1}}, "ChatMember") == [
        "ChatMember.user.is_bot is missing",
        "ChatMember.user.first_name is missing",
        "ChatMember.until_date is missing",
    ]
    assert all(problems(member(user, status), "ChatMember") == [] for status in MEMBERS)


@pytest.mark.parametrize("name", SHAPES)
def test_the_shapes_are_those_that_the_telegram_library_knows(name):
    known = inspect.signature(getattr(telegram_library, name).__init__).parameters
    shape = {"from_user" if field == "from" else field: holds for field, holds in SHAPES[name].items()}
    if name.startswith("ChatMember"):
        shape.pop("status", None)  # the library's class says it
    assert shape.keys() <= known.keys()
    required = {
        field
        for field, one in known.items()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD and field != "self"
    }
    assert required <= {field for field, holds in shape.items() if not holds.endswith("?")}


def test_the_comparison_with_a_published_description_sees_what_differs():
    types = {
        name: {
            "fields": [
                {"name": field, "required": not holds.endswith("?"), "types": [holds.removesuffix("?")]}
                for field, holds in shape.items()
            ]
        }
        for name, shape in SHAPES.items()
    }
    published = {"types": types, "methods": {name: {"returns": [result]} for name, result in RESULTS.items()}}
    assert differences(published) == []
    types["User"]["fields"][0]["required"] = False
    types["Chat"]["fields"].pop(0)
    types["Update"]["fields"].append({"name": "new", "required": True, "types": ["String"]})
    published["methods"]["getMe"]["returns"] = ["Integer"]
    first = next(iter(SHAPES["Chat"]))
    assert differences(published) == [
        f"User.{next(iter(SHAPES['User']))}: required here, not there",
        f"Chat.{first}: not there",
        "Update.new: required there, not here",
        "getMe: returns Integer there",
    ]


class TestRefusals:
    def test_tokens_and_methods(self, telegram, bot):
        assert call(telegram, "1:AAFake-token_0123456789abcdefghij99", "getMe")[0] == 401
        assert call(telegram, "nonsense", "getMe")[0] == 404
        assert call(telegram, bot.token, "getNothing")[0] == 404
        assert call(telegram, bot.token, "GETME")[0] == 200

    @pytest.mark.parametrize(
        ("text", "mode", "says"),
        [
            ("", "", "message text is empty"),
            (" \n ", "", "message text is empty"),
            ("<b> </b>", "HTML", "message text is empty"),
            ("x" * 4097, "", "message is too long"),
            ("👍" * 2049, "", "message is too long"),
            ("<b>x", "HTML", "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
            ("x</b>", "HTML", "can't parse entities: Unexpected end tag at byte offset 1"),
            ("é<font>", "HTML", 'can\'t parse entities: Unsupported start tag "font" at byte offset 2'),
            ("*x", "MarkdownV2", "can't parse entities"),
        ],
    )
    def test_texts(self, telegram, bot, text, mode, says):
        telegram.person(id=5).starts(bot)
        status, body = call(telegram, bot.token, "sendMessage", chat_id=5, text=text, parse_mode=mode)
        assert status == 400
        assert body["description"].startswith(f"Bad Request: {says}")

    def test_marks_don_t_count(self, telegram, bot):
        telegram.person(id=5).starts(bot)
        text = f"<b>{'&amp;' * 4096}</b>"
        assert call(telegram, bot.token, "sendMessage", chat_id=5, text=text, parse_mode="HTML")[0] == 200

    @pytest.mark.parametrize("chat_id", [None, "", 4711, "@nobody"])
    def test_chats_that_are_not_there(self, telegram, bot, chat_id):
        assert call(telegram, bot.token, "sendMessage", chat_id=chat_id, text="x")[0] == 400

    def test_actions_and_webhooks(self, telegram, bot):
        telegram.person(id=5).starts(bot)
        assert call(telegram, bot.token, "sendChatAction", chat_id=5, action="sleeping")[0] == 400
        assert call(telegram, bot.token, "setWebhook", url="https://x.y", secret_token="no spaces")[0] == 400
        telegram.world.insecure_webhooks = False
        assert call(telegram, bot.token, "setWebhook", url="http://x.y")[0] == 400

    def test_faults_end_by_themselves(self, telegram, bot):
        telegram.fault("getMe", status=500, times=2)
        telegram.fault("getMe", status=429, retry_after=3)
        assert [call(telegram, bot.token, "getMe")[0] for _ in range(4)] == [500, 500, 429, 200]


class Door:
    """A webhook: keeps what it is given, answers what the test says."""

    def __init__(self):
        self.seen, self.statuses, self.secrets = [], [], []

    async def answer(self, request):
        body = await request.json()
        status = self.statuses.pop(0) if self.statuses else 200
        self.secrets.append(request.headers.get(SECRET_HEADER))
        self.seen.append((body["update_id"], status))
        return web.Response(status=status)

    def taken(self):
        return [update for update, status in self.seen if status == 200]


@pytest.fixture
def door(telegram):
    door = Door()

    async def serve():
        app = web.Application()
        app.router.add_post("/hook", door.answer)
        door.runner = web.AppRunner(app, access_log=None)
        await door.runner.setup()
        site = web.TCPSite(door.runner, "127.0.0.1", 0)
        await site.start()
        door.url = f"http://127.0.0.1:{door.runner.addresses[0][1]}/hook"

    asyncio.run_coroutine_threadsafe(serve(), telegram._loop).result(10)
    yield door
    asyncio.run_coroutine_threadsafe(door.runner.cleanup(), telegram._loop).result(10)


class TestWebhooks:
    def test_updates_come_in_order_with_the_secret_until_they_are_taken(self, telegram, bot, door):
        door.statuses = [500, 503]
        call(telegram, bot.token, "setWebhook", url=door.url, secret_token="s3cret")
        ada = telegram.person()
        sent = [ada.writes(f"{number}", bot)["update_id"] for number in range(3)]
        wait_until(lambda: len(door.taken()) == 3, what="all updates")
        assert door.taken() == sent
        assert [status for _, status in door.seen[:3]] == [500, 503, 200]
        assert set(door.secrets) == {"s3cret"}
        wait_until(lambda: bot.pending == 0, what="nothing pending")

    def test_what_came_before_the_webhook_waits_for_it(self, telegram, bot, door):
        update = telegram.person().writes("hi", bot)
        wait_until(lambda: bot.pending == 1, what="the update waits")
        call(telegram, bot.token, "setWebhook", url=door.url)
        wait_until(lambda: door.taken() == [update["update_id"]], what="the update")
        assert door.secrets == [None]

    def test_a_failing_chat_does_not_hold_up_another(self, telegram, bot, door):
        call(telegram, bot.token, "setWebhook", url=door.url)
        ada, bob = telegram.person("Ada"), telegram.person("Bob")
        door.statuses = [500] * 4
        ada.writes("x", bot)
        wait_until(lambda: door.seen, what="the first try")
        door.statuses = []
        update = bob.writes("y", bot)
        wait_until(lambda: update["update_id"] in door.taken(), what="Bob's update")

    def test_only_what_was_asked_for(self, telegram, bot, door):
        call(telegram, bot.token, "setWebhook", url=door.url, allowed_updates=["message"])
        ada = telegram.person()
        ada.blocks(bot)
        update = ada.writes("hi", bot)
        wait_until(lambda: door.taken() == [update["update_id"]], what="the message alone")

    def test_what_went_wrong_is_told(self, telegram, bot, door):
        door.statuses = [403]
        call(telegram, bot.token, "setWebhook", url=door.url)
        telegram.person().writes("hi", bot)
        wait_until(lambda: len(door.seen) == 2, what="a second try")
        info = call(telegram, bot.token, "getWebhookInfo")[1]["result"]
        assert info["last_error_message"] == "Wrong response from the webhook: 403"


def test_python_telegram_bot_raises_what_it_raises_for_the_real_one(telegram, bot):
    with pytest.raises(BadRequest, match="Chat not found"):
        asked(telegram, bot, lambda client: client.send_message(4711, "x"))
    bot.token = "1:AAFake-token_0123456789abcdefghij99"
    with pytest.raises(InvalidToken):
        asked(telegram, bot, lambda client: client.send_message(4711, "x"))


def test_in_a_process_of_its_own(tmp_path):
    port, token, log = free_port(), "77:AAFake-token_0123456789abcdefghij00", tmp_path / "log"
    command = [PYTHON, "-m", "tests.fakes.telegram", "--port", f"{port}", "--token", token]
    served = Process(command, log=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: token in tail(log), 20, "the server")
        person = {"token": token, "id": 5, "first_name": "Ada", "text": "hi"}
        assert requests.post(f"{url}/fake/writes", json=person, timeout=5).json()["message"]["text"] == "hi"
        requests.post(f"{url}/fake/fault", json={"method": "sendMessage", "status": 502}, timeout=5)
        for status in (502, 200):
            send = {"chat_id": 5, "text": "Hello"}
            answer = requests.post(f"{url}/bot{token}/sendMessage", json=send, timeout=5)
            assert answer.status_code == status
        assert [one["text"] for one in requests.get(f"{url}/fake/sent", timeout=5).json()] == ["Hello"]
    finally:
        served.sweep_away()
