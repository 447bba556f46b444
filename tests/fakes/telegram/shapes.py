"""The types of the Bot API that the fake answers with: field -> what it holds, `?` where it may be missing.

Written from the documentation of Bot API 10.1 (11 June 2026). Only what the fake uses; `problems` names anything else.
A test compares them with what python-telegram-bot knows; with the published machine-readable description (api.json of
PaulSonOfLars/telegram-bot-api-spec) by hand: `python -m tests.fakes.telegram.shapes api.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Shape = dict[str, str]

USER: Shape = {
    "id": "Integer", "is_bot": "Boolean", "first_name": "String", "last_name": "String?", "username": "String?",
    "language_code": "String?", "can_join_groups": "Boolean?", "can_read_all_group_messages": "Boolean?",
    "supports_inline_queries": "Boolean?", "can_connect_to_business": "Boolean?", "has_main_web_app": "Boolean?",
}  # fmt: skip
CHAT: Shape = {
    "id": "Integer", "type": "String", "title": "String?", "username": "String?", "first_name": "String?",
    "last_name": "String?",
}  # fmt: skip
ADMINISTRATOR: Shape = {
    "status": "String", "user": "User", "can_be_edited": "Boolean", "is_anonymous": "Boolean",
    "can_manage_chat": "Boolean", "can_delete_messages": "Boolean", "can_manage_video_chats": "Boolean",
    "can_restrict_members": "Boolean", "can_promote_members": "Boolean", "can_change_info": "Boolean",
    "can_invite_users": "Boolean", "can_post_stories": "Boolean", "can_edit_stories": "Boolean",
    "can_delete_stories": "Boolean",
}  # fmt: skip
SHAPES: dict[str, Shape] = {
    "User": USER,
    "Chat": CHAT,
    "ChatFullInfo": {
        **CHAT,
        "accent_color_id": "Integer",
        "max_reaction_count": "Integer",
        "accepted_gift_types": "AcceptedGiftTypes",
    },
    "AcceptedGiftTypes": dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
        "Boolean",
    ),
    "Message": {
        "message_id": "Integer",
        "date": "Integer",
        "chat": "Chat",
        "from": "User?",
        "text": "String?",
        "entities": "Array of MessageEntity?",
        "edit_date": "Integer?",
        "migrate_to_chat_id": "Integer?",
        "migrate_from_chat_id": "Integer?",
    },
    "MessageEntity": {
        "type": "String",
        "offset": "Integer",
        "length": "Integer",
        "url": "String?",
        "language": "String?",
    },
    "WebhookInfo": {
        "url": "String",
        "has_custom_certificate": "Boolean",
        "pending_update_count": "Integer",
        "ip_address": "String?",
        "last_error_date": "Integer?",
        "last_error_message": "String?",
        "max_connections": "Integer?",
        "allowed_updates": "Array of String?",
    },
    "Update": {
        "update_id": "Integer",
        "message": "Message?",
        "edited_message": "Message?",
        "my_chat_member": "ChatMemberUpdated?",
    },
    "ChatMemberUpdated": {
        "chat": "Chat",
        "from": "User",
        "date": "Integer",
        "old_chat_member": "ChatMember",
        "new_chat_member": "ChatMember",
    },
    "ChatMemberMember": {"status": "String", "user": "User"},
    "ChatMemberLeft": {"status": "String", "user": "User"},
    "ChatMemberBanned": {"status": "String", "user": "User", "until_date": "Integer"},
    "ChatMemberAdministrator": ADMINISTRATOR,
}  # fmt: skip
MEMBERS = {
    "member": "ChatMemberMember",
    "left": "ChatMemberLeft",
    "kicked": "ChatMemberBanned",
    "administrator": "ChatMemberAdministrator",
}
# What each method answers.
RESULTS = {
    "getMe": "User",
    "sendMessage": "Message",
    "sendChatAction": "Boolean",
    "setWebhook": "Boolean",
    "deleteWebhook": "Boolean",
    "getWebhookInfo": "WebhookInfo",
    "getChat": "ChatFullInfo",
    "getChatMember": "ChatMember",
}
PLAIN: dict[str, type] = {"Integer": int, "String": str, "Boolean": bool}


def problems(value: Any, kind: str, where: str = "") -> list[str]:
    """What in `value` is not as the type `kind` says: missing and unknown fields, other types."""
    where = where or kind
    if kind in PLAIN:
        return [] if type(value) is PLAIN[kind] else [f"{where} is {value!r}, not a {kind}"]
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            return [f"{where} is not an array"]
        return [
            one
            for n, item in enumerate(value)
            for one in problems(item, kind.removeprefix("Array of "), f"{where}[{n}]")
        ]
    if not isinstance(value, dict):
        return [f"{where} is not an object"]
    shape = SHAPES[MEMBERS[value["status"]] if kind == "ChatMember" else kind]
    found = [f"{where}.{name} is unknown" for name in value if name not in shape]
    for name, holds in shape.items():
        if name in value:
            found += problems(value[name], holds.removesuffix("?"), f"{where}.{name}")
        elif not holds.endswith("?"):
            found.append(f"{where}.{name} is missing")
    return found


def differences(published: dict[str, Any]) -> list[str]:
    """Where these shapes differ from a machine-readable description of the Bot API (types with their fields, methods
    with what they return). By hand: `python -m tests.fakes.telegram.shapes api.json`."""
    found = []
    for name, shape in SHAPES.items():
        fields = {field["name"]: field for field in published["types"][name]["fields"]}
        for field, holds in shape.items():
            there = fields.get(field)
            if there is None:
                found.append(f"{name}.{field}: not there")
            elif holds.endswith("?") is there["required"]:
                here = "optional here, required" if there["required"] else "required here, not"
                found.append(f"{name}.{field}: {here} there")
            elif holds.removesuffix("?") not in there["types"]:
                found.append(f"{name}.{field}: {' or '.join(there['types'])} there")
        found += [
            f"{name}.{field}: required there, not here"
            for field, one in fields.items()
            if one["required"] and field not in shape
        ]
    for method, result in RESULTS.items():
        returns = published["methods"][method]["returns"]
        if result not in returns:
            found.append(f"{method}: returns {' or '.join(returns)} there")
    return found


if __name__ == "__main__":
    differing = differences(json.loads(Path(sys.argv[1]).read_text()))
    print("\n".join(differing) or "no difference")  # noqa: T201 - a command for people
    sys.exit(bool(differing))
