"""Telegram and two AI accounts on a house, set up as an operator would: `manage.py provision --set-webhook`.

The Bot API and the AI are fakes in processes of their own; the webhook is called over HTTP at the house's web process.

bot        AI                              when nobody knows whether a message arrived
talk       first, then second              (one answer for several messages in a row)
again      first; each message by itself   send again
ask        first; each message by itself   ask a person
standby    one that is down, then second
nobody     two that are down; max_wait 4 s
"""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.witness import Call, Question
from tests.servers.ai import KEY, MODEL, AiServer
from tests.servers.switchboard import Switchboard
from tests.servers.telegram import SEND, TelegramServer
from tests.waiting import wait_until

MAX_WAIT = 4
FALLBACK = "nobody is there"
CHATBOTS: dict[str, dict[str, Any]] = {
    "talk": {"ai": ["first", "second"], "max_wait": 60},
    "again": {"ai": ["first"], "max_wait": 300, "answer_each_message": True},
    "ask": {"ai": ["first"], "max_wait": 300, "answer_each_message": True},
    "standby": {"ai": ["down", "second"], "max_wait": 60},
    "nobody": {"ai": ["down", "down too"], "max_wait": MAX_WAIT, "fallback_message": FALLBACK},
}


@dataclass(frozen=True)
class Bot:
    """`account`: the public id of its channel account; `secret`: the webhook's, as provision made it."""

    token: str
    account: str
    secret: str


@dataclass(frozen=True)
class Strangers:
    """The servers of others: one of each for the whole session, however many houses talk to them."""

    telegram: TelegramServer
    ai: AiServer


class Page:
    """A visitor of the web page that has the widget of `talk`."""

    def __init__(self, house: Switchboard, chatbot: str) -> None:
        self._api = f"{house.url}/api/v1/widget"
        started = requests.post(f"{self._api}/conversations", json={"chatbot": chatbot}, timeout=30)
        self._headers = {"Authorization": f"Bearer {started.json()['token']}"}

    def say(self, text: str) -> None:
        body = {"id": str(uuid.uuid4()), "text": text}
        answer = requests.post(f"{self._api}/messages", json=body, headers=self._headers, timeout=30)
        assert answer.status_code == 202, answer.text

    def answers(self) -> list[str]:
        found = requests.get(f"{self._api}/messages", headers=self._headers, timeout=30).json()["messages"]
        return [line["text"] for line in found if line["direction"] == "out"]


class Messenger:
    def __init__(self, house: Switchboard, strangers: Strangers) -> None:
        self.house, self.telegram, self.ai = house, strangers.telegram, strangers.ai
        # 14 s, the longest that is allowed: sends are held here while a worker starts.
        house.env |= {
            "TELEGRAM_API_URL": self.telegram.url,
            "TELEGRAM_TIMEOUT_SECONDS": "14",
            "PUBLIC_URL": house.url,
        }
        self._tokens = {name: self.telegram.bot() for name in CHATBOTS}
        self.bots = self._provision()

    def _provision(self) -> dict[str, Bot]:
        file = self.house.directory / "telegram.toml"
        file.write_text(self._setup(), encoding="utf-8")
        said = self.house.manage("provision", "--file", str(file), "--set-webhook")
        found = json.loads(said[said.index("\n{") :])
        bots = {}
        for chatbot in found["customers"][0]["chatbots"]:
            (account,) = [one for one in chatbot["accounts"] if one["channel"] == "telegram"]
            assert account["webhook_is_set"] is True
            token = self._tokens[chatbot["name"]]
            bots[chatbot["name"]] = Bot(token, account["id"], account["secrets"]["secret_token"])
        self.found = found
        return bots

    def _setup(self) -> str:
        """The TOML file of `manage.py provision`."""
        nowhere = "http://127.0.0.1:1"  # nobody listens there, and nobody will
        ais = {
            "first": ("openai", f"{self.ai.url}/v1"),
            "second": ("anthropic", self.ai.url),
            "down": ("openai", f"{nowhere}/v1"),
            "down too": ("anthropic", nowhere),
        }
        lines = ['[[customers]]\nname = "Telegram"']
        for name, (provider, url) in ais.items():
            lines.append("[[customers.ai_accounts]]")
            account = {"name": name, "provider": provider, "base_url": url, "model": MODEL}
            lines += [f"{key} = {json.dumps(value)}" for key, value in account.items()]
            lines.append(f'credentials = {{ api_key = "{KEY}" }}')
        for name, values in CHATBOTS.items():
            lines.append(f'[[customers.chatbots]]\nname = "{name}"')
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
            lines.append('[[customers.chatbots.accounts]]\nchannel = "telegram"')
            lines.append(f'on_unknown = "{"ask_person" if name == "ask" else "send_again"}"')
            lines.append(f'credentials = {{ bot_token = "{self._tokens[name]}" }}')
            if name == "talk":
                lines.append('[[customers.chatbots.accounts]]\nchannel = "widget"')
        return "\n".join(lines)

    def behave_again(self) -> None:
        self.telegram.behave_again()
        self.ai.behave_again()

    # --- what people do and see ---------------------------------------------------------------

    def writes(self, bot: str, person: int, text: str, **more: Any) -> None:
        self.telegram.does("writes", token=self.bots[bot].token, id=person, text=text, **more)

    def taken(self, bot: str) -> None:
        """Wait until our web process has answered 200 to all that the bot's webhook was to be told."""
        token = self.bots[bot].token
        wait_until(lambda: not self.telegram.pending(token), 30, f"the webhook of {bot} to take all updates")

    def answers(self, chat: int, count: int = 1, seconds: float = 20.0) -> list[str]:
        """What has reached this chat, once it is at least so many messages."""

        def enough() -> list[str]:
            texts = self.telegram.texts(chat)
            return texts if len(texts) >= count else []

        return self.house.ledger.wait_until(enough, seconds, f"{count} messages to chat {chat}")

    def contact(self, bot: str, chat: int) -> dict[str, Any]:
        (row,) = self.house.ledger.rows(
            "SELECT c.id, c.closed_at, c.closed_reason FROM conversations_contact c"
            " JOIN conversations_channelaccount a ON a.id = c.account_id"
            " WHERE c.external_id = %s AND a.public_id = %s",
            str(chat),
            self._as_key(self.bots[bot].account),
        )
        return row

    def page(self) -> Page:
        """A new visitor's page with the widget of `talk`."""
        (talk,) = [one for one in self.found["customers"][0]["chatbots"] if one["name"] == "talk"]
        return Page(self.house, talk["id"])

    def _as_key(self, public_id: str) -> str:
        return public_id if self.house.setup.postgres else public_id.replace("-", "")


class TelegramRoad:
    """In by the webhook, out by sendMessage (tests/survival/roads.py)."""

    task, conversations = "delivery.send_telegram", 20

    def __init__(self, messenger: Messenger, run: str) -> None:
        self.house, self.messenger, self.run = messenger.house, messenger, run
        self._people = [messenger.telegram.person() for _ in range(2 * self.conversations)]

    def ask_both(self, *, each: int, start_place: int = 0) -> list[Question]:
        def one(conversation: int) -> list[Question]:
            bot = "again" if conversation < self.conversations else "ask"
            asked = [Question(self.run, conversation, start_place + place) for place in range(each)]
            for question in asked:
                self.messenger.writes(bot, self._people[conversation], question.text)
            return asked

        with ThreadPoolExecutor(8) as pool:
            accepted = [q for asked in pool.map(one, range(2 * self.conversations)) for q in asked]
        self.messenger.taken("again")
        self.messenger.taken("ask")
        return accepted

    def sends(self) -> list[Call]:
        return self.messenger.telegram.sends(self.run)

    def behave(self, **manners: float | bool) -> None:
        self.messenger.telegram.behave(SEND, **manners)

    def held(self) -> int:
        return self.messenger.telegram.held(SEND)


class Messengers:
    """One Messenger per house."""

    def __init__(self, strangers: Strangers) -> None:
        self._strangers = strangers
        self._open: dict[str, Messenger] = {}

    def get(self, house: Switchboard) -> Messenger:
        if house.setup.name not in self._open:
            self._open[house.setup.name] = Messenger(house, self._strangers)
        return self._open[house.setup.name]


@pytest.fixture(scope="session")
def messengers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Messengers]:
    directory: Path = tmp_path_factory.mktemp("strangers")
    strangers = Strangers(TelegramServer(directory), AiServer(directory))
    yield Messengers(strangers)
    strangers.telegram.close()
    strangers.ai.close()


@pytest.fixture
def messenger(messengers: Messengers, house: Switchboard) -> Iterator[Messenger]:
    found = messengers.get(house)
    yield found
    found.behave_again()
