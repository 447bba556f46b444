"""Who is there: bots, people and groups, what they wrote and what reached them.

Everything is guarded by one lock, because tests act from their own thread while the server answers in another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import RLock
from typing import Any

Deliver = Callable[["Bot", int, dict[str, Any]], None]


@dataclass(frozen=True)
class Sent:
    """One message that a bot sent and Telegram took."""

    bot: str
    chat_id: int
    message_id: int
    text: str
    entities: tuple[dict[str, Any], ...] = ()
    parse_mode: str = ""


@dataclass
class Webhook:
    url: str
    secret_token: str = ""
    allowed_updates: tuple[str, ...] = ()
    max_connections: int = 40
    last_error: tuple[int, str] | None = None


@dataclass
class Bot:
    world: World = field(repr=False)
    id: int
    token: str = field(repr=False)
    username: str
    name: str
    webhook: Webhook | None = None
    updates: Any = field(default_factory=lambda: count(100_000), repr=False)
    pending: int = 0

    @property
    def user(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": True, "first_name": self.name, "username": self.username}

    def update(self, chat_id: int, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Something happened that concerns this bot: its webhook is called, if it wants this kind."""
        update = {"update_id": next(self.updates), kind: body}
        self.world.deliver(self, chat_id, update)
        return update


@dataclass
class Person:
    """Somebody with an app. What they do reaches the bots; what reaches them is in `received`."""

    world: World = field(repr=False)
    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    started: set[int] = field(default_factory=set)
    met: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    deactivated: bool = False

    @property
    def user(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": False, **self._names(), "language_code": "en"}

    @property
    def chat(self) -> dict[str, Any]:
        return {"id": self.id, "type": "private", **self._names()}

    def _names(self) -> dict[str, Any]:
        names = {"first_name": self.first_name, "last_name": self.last_name, "username": self.username}
        return {name: value for name, value in names.items() if value}

    def starts(self, bot: Bot) -> dict[str, Any]:
        """Press START."""
        return self.writes("/start", bot, entities=[{"type": "bot_command", "offset": 0, "length": 6}])

    def writes(self, text: str, bot: Bot, *, to: Group | None = None, **more: Any) -> dict[str, Any]:
        """Write to the bot, or into a group that it is in. Gives the update that the bot gets."""
        return self.sends(bot, to=to, text=text, **more)

    def sends(self, bot: Bot, *, to: Group | None = None, **content: Any) -> dict[str, Any]:
        """Send anything: `photo=[…], caption="…"`. Writing to a bot starts it, and ends a block."""
        with self.world.lock:
            if to is None:
                self.blocked.discard(bot.id)
                self.started.add(bot.id)
            self.met.add(bot.id)
            chat = self.chat if to is None else to.chat
            message = {**self.world.message(chat), "from": self.user, **content}
            return bot.update(chat["id"], "message", message)

    def edits(self, text: str, bot: Bot) -> dict[str, Any]:
        with self.world.lock:
            now = int(time.time())
            message = {**self.world.message(self.chat), "from": self.user, "edit_date": now, "text": text}
            return bot.update(self.id, "edited_message", message)

    def blocks(self, bot: Bot) -> dict[str, Any]:
        with self.world.lock:
            self.blocked.add(bot.id)
            return self.world.membership(bot, self.chat, self.user, "member", "kicked")

    def unblocks(self, bot: Bot) -> dict[str, Any]:
        with self.world.lock:
            self.blocked.discard(bot.id)
            return self.world.membership(bot, self.chat, self.user, "kicked", "member")

    def received(self, bot: Bot) -> list[str]:
        """The texts that reached this person from the bot, in order."""
        with self.world.lock:
            return [one.text for one in self.world.sent if (one.bot, one.chat_id) == (bot.username, self.id)]

    def saw_typing(self, bot: Bot) -> int:
        """How many signs of typing this person saw."""
        with self.world.lock:
            return sum(1 for one in self.world.actions if one == (bot.username, self.id, "typing"))


@dataclass
class Group:
    """A group, or a supergroup after `upgrade`."""

    world: World = field(repr=False)
    id: int
    title: str
    type: str = "group"
    bots: dict[int, str] = field(default_factory=dict)  # id -> status
    upgraded_to: int | None = None
    deleted: bool = False

    @property
    def chat(self) -> dict[str, Any]:
        return {"id": self.id, "type": self.type, "title": self.title}

    def adds(self, bot: Bot, by: Person, status: str = "member") -> dict[str, Any]:
        with self.world.lock:
            old = self.bots.get(bot.id, "left")
            self.bots[bot.id] = status
            return self.world.membership(bot, self.chat, by.user, old, status)

    def removes(self, bot: Bot, by: Person, status: str = "kicked") -> dict[str, Any]:
        with self.world.lock:
            old = self.bots.get(bot.id, "left")
            self.bots[bot.id] = status
            return self.world.membership(bot, self.chat, by.user, old, status)

    def upgrades(self, bot: Bot) -> Group:
        """Become a supergroup, which is a new chat: the old id only says where it went."""
        with self.world.lock:
            new = self.world.group(self.title, type="supergroup", id=-1_000_000_000_000 - abs(self.id))
            new.bots = dict(self.bots)
            self.upgraded_to = new.id
            service = {**self.world.message(self.chat), "from": bot.user, "migrate_to_chat_id": new.id}
            bot.update(self.id, "message", service)
            service = {**self.world.message(new.chat), "from": bot.user, "migrate_from_chat_id": self.id}
            bot.update(new.id, "message", service)
            return new

    def received(self) -> list[str]:
        with self.world.lock:
            return [one.text for one in self.world.sent if one.chat_id == self.id]


class World:
    """All of it."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        self.lock = RLock()
        self.deliver: Deliver = deliver or (lambda bot, chat_id, update: None)
        self.bots: dict[str, Bot] = {}  # by token
        self.chats: dict[int, Person | Group] = {}
        self.sent: list[Sent] = []
        self.actions: list[tuple[str, int, str]] = []  # bot, chat, action
        self.insecure_webhooks = False  # like a self-hosted server with --local: takes http:// too
        self.drop: Callable[[Bot], None] = lambda bot: None
        self._ids = count(1)
        self._messages = count(1)

    def bot(self, username: str = "", token: str = "", name: str = "Test bot") -> Bot:
        with self.lock:
            number = next(self._ids)
            token = (
                token or f"{7_000_000_000 + number}:{'AAFake-token_0123456789abcdefghijklmn'[:33]}{number:02}"
            )
            bot = Bot(self, int(token.split(":")[0]), token, username or f"test{number}_bot", name)
            self.bots[token] = bot
            return bot

    def person(self, first_name: str = "Ada", *, id: int | None = None, **more: Any) -> Person:
        with self.lock:
            person = Person(self, id or 1_000_000 + next(self._ids), first_name, **more)
            self.chats[person.id] = person
            return person

    def group(self, title: str = "Team", *, id: int | None = None, **more: Any) -> Group:
        with self.lock:
            group = Group(self, id or -(2_000_000 + next(self._ids)), title, **more)
            self.chats[group.id] = group
            return group

    def message(self, chat: dict[str, Any]) -> dict[str, Any]:
        """What every message begins with."""
        return {"message_id": next(self._messages), "date": int(time.time()), "chat": chat}

    def membership(
        self, bot: Bot, chat: dict[str, Any], by: dict[str, Any], old: str, new: str
    ) -> dict[str, Any]:
        body = {
            "chat": chat,
            "from": by,
            "date": int(time.time()),
            "old_chat_member": member(bot.user, old),
            "new_chat_member": member(bot.user, new),
        }
        return bot.update(chat["id"], "my_chat_member", body)


RIGHTS = (
    "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
    "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories",
)  # fmt: skip


def member(user: dict[str, Any], status: str) -> dict[str, Any]:
    """A ChatMember of this status."""
    more: dict[str, Any] = {}
    if status == "administrator":
        more = dict.fromkeys(RIGHTS, False) | {"can_manage_chat": True, "can_invite_users": True}
    elif status == "kicked":
        more = {"until_date": 0}
    return {"status": status, "user": user, **more}
