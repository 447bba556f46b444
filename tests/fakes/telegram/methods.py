"""The methods of the Bot API that the fake knows: name -> function(world, bot, parameters) -> result.

A method that can't do what it was asked raises `Refused` with the words of the real server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.telegram.markup import LONGEST_TEXT, CantParse, cleaned, read, units
from tests.fakes.telegram.world import Bot, Group, Person, Sent, Webhook, World, member

ACTIONS = frozenset(
    {
        "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
        "choose_sticker", "find_location", "record_video_note", "upload_video_note",
    }
)  # fmt: skip
DEFAULT_UPDATES_LEFT_OUT = ("chat_member", "message_reaction", "message_reaction_count")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_NUMBER = re.compile(r"-?\d+")
Parameters = dict[str, Any]
Method = Callable[[World, Bot, Parameters], Any]


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error_code": self.status, "description": self.description}
        return {**body, "parameters": self.parameters} if self.parameters else body


def bad(words: str, **parameters: Any) -> Refused:
    return Refused(400, f"Bad Request: {words}", **parameters)


def forbidden(words: str) -> Refused:
    return Refused(403, f"Forbidden: {words}")


def get_me(world: World, bot: Bot, parameters: Parameters) -> dict[str, Any]:
    can = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
    return {**bot.user, **can, "can_connect_to_business": False, "has_main_web_app": False}


def send_message(world: World, bot: Bot, parameters: Parameters) -> dict[str, Any]:
    text = cleaned(str(parameters.get("text") or ""))
    mode = str(parameters.get("parse_mode") or "")
    try:
        shown, entities = read(text, mode)
    except CantParse as error:
        raise bad(f"can't parse entities: {error}") from None
    stripped = shown.strip()
    if not stripped:
        raise bad("message text is empty")
    if units(stripped) > LONGEST_TEXT:
        raise bad("message is too long")
    chat = chat_for_writing(world, bot, parameters)
    message = {**world.message(chat.chat), "from": bot.user, "text": stripped}
    if entities:
        message["entities"] = entities
    found = tuple(entities)
    world.sent.append(Sent(bot.username, chat.id, message["message_id"], stripped, found, mode))
    return message


def send_chat_action(world: World, bot: Bot, parameters: Parameters) -> bool:
    chat = chat_for_writing(world, bot, parameters)
    action = str(parameters.get("action") or "")
    if action not in ACTIONS:
        raise bad("wrong parameter action in request")
    world.actions.append((bot.username, chat.id, action))
    return True


def set_webhook(world: World, bot: Bot, parameters: Parameters) -> bool:
    url = str(parameters.get("url") or "")
    if not url:
        return delete_webhook(world, bot, parameters)
    place = urlsplit(url)
    if place.scheme != "https" and not world.insecure_webhooks:
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if not place.hostname:
        raise bad("bad webhook: Failed to resolve host")
    secret = str(parameters.get("secret_token") or "")
    if secret and not _SECRET.fullmatch(secret):
        raise bad("secret token contains unallowed characters")
    allowed = parameters.get("allowed_updates") or []
    allowed = json.loads(allowed) if isinstance(allowed, str) else allowed
    most = int(parameters.get("max_connections") or 40)
    bot.webhook = Webhook(url, secret, tuple(allowed), max(1, min(most, 100)))
    if _yes(parameters.get("drop_pending_updates")):
        world.drop(bot)
    return True


def delete_webhook(world: World, bot: Bot, parameters: Parameters) -> bool:
    bot.webhook = None
    if _yes(parameters.get("drop_pending_updates")):
        world.drop(bot)
    return True


def get_webhook_info(world: World, bot: Bot, parameters: Parameters) -> dict[str, Any]:
    info: dict[str, Any] = {"url": "", "has_custom_certificate": False, "pending_update_count": bot.pending}
    if webhook := bot.webhook:
        info |= {"url": webhook.url, "max_connections": webhook.max_connections, "ip_address": "203.0.113.7"}
        if webhook.allowed_updates:
            info["allowed_updates"] = list(webhook.allowed_updates)
        if webhook.last_error:
            info["last_error_date"], info["last_error_message"] = webhook.last_error
    return info


def get_chat(world: World, bot: Bot, parameters: Parameters) -> dict[str, Any]:
    chat = _find(world, parameters)
    gifts = dict.fromkeys(
        [
            "unlimited_gifts",
            "limited_gifts",
            "unique_gifts",
            "premium_subscription",
            "gifts_from_channels",
        ],
        True,
    )
    return {**chat.chat, "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}


def get_chat_member(world: World, bot: Bot, parameters: Parameters) -> dict[str, Any]:
    chat = _find(world, parameters)
    user = str(parameters.get("user_id"))
    if isinstance(chat, Group) and user == str(bot.id):
        return member(bot.user, chat.bots.get(bot.id, "left"))
    raise bad("PARTICIPANT_ID_INVALID")


def chat_for_writing(world: World, bot: Bot, parameters: Parameters) -> Person | Group:
    """The chat, if the bot may write there. Raises Refused."""
    chat = _find(world, parameters)
    if isinstance(chat, Person):
        if bot.id not in chat.met:
            raise bad("chat not found")
        if chat.deactivated:
            raise forbidden("user is deactivated")
        if bot.id in chat.blocked:
            raise forbidden("bot was blocked by the user")
        if bot.id not in chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        return chat
    if chat.upgraded_to is not None:
        raise bad("group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat.upgraded_to)
    if chat.deleted:
        raise forbidden("the group chat was deleted")
    status = chat.bots.get(bot.id)
    if status == "kicked":
        raise forbidden(f"bot was kicked from the {chat.type} chat")
    if status not in ("member", "administrator"):
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    return chat


def _find(world: World, parameters: Parameters) -> Person | Group:
    named = str(parameters.get("chat_id") or "")
    if not named:
        raise bad("chat_id is empty")
    if not _NUMBER.fullmatch(named) or int(named) not in world.chats:
        raise bad("chat not found")
    return world.chats[int(named)]


def _yes(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1")


METHODS: dict[str, Method] = {
    "getme": get_me,
    "sendmessage": send_message,
    "sendchataction": send_chat_action,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
    "getchat": get_chat,
    "getchatmember": get_chat_member,
}
