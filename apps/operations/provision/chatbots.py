"""A customer's chatbots: what they know, whom they ask, and the accounts on which people reach them."""

from __future__ import annotations

import secrets
from typing import Any

from apps.accounts.models import Customer
from apps.channels import registry as channels
from apps.channels.base import Channel
from apps.conversations.models import ChannelAccount, Chatbot
from apps.knowledge.services import Imported, import_texts
from apps.operations.provision import ai
from apps.operations.provision.putting import only, put, stored_credentials
from apps.operations.provision.report import Done, Report, public_address, webhook_address
from apps.operations.provision.tables import nearest
from apps.operations.provision.wanted import ChannelAccountWanted, ChatbotWanted, ProvisionError

SECRET_BYTES = 32  # 43 characters of A-Z a-z 0-9 _ -, which every provider takes


def put_chatbot(wanted: ChatbotWanted, customer: Customer, report: Report) -> dict[str, Any]:
    """The chatbot by its name within the customer, with all that belongs to it."""
    found = customer.chatbots.filter(name=wanted.name)
    row = only(found, wanted.where, f"chatbots called {wanted.name}")
    chatbot, done = put(row or Chatbot(customer=customer, name=wanted.name), wanted.values, wanted.where)
    report.note(f"chatbot {chatbot.name}", done)
    return {
        "id": report.identity(chatbot.public_id, done),
        "name": chatbot.name,
        "outcome": done.outcome,
        "provider": chatbot.provider,
        "ai": ai.put_order(wanted, chatbot, report),
        "knowledge": _knowledge(wanted, chatbot, report),
        "accounts": [_put_account(one, chatbot, report) for one in wanted.accounts],
    }


def _knowledge(wanted: ChatbotWanted, chatbot: Chatbot, report: Report) -> dict[str, int] | None:
    if not wanted.knowledge:
        return None
    counted = import_texts(chatbot, wanted.knowledge)
    changed = counted.created or counted.updated or counted.deleted
    report.note(
        f"knowledge of {chatbot.name} from {len(wanted.knowledge)} texts",
        Done("updated", _pieces(counted)) if changed else Done("unchanged"),
    )
    return counted._asdict()


def _pieces(counted: Imported) -> tuple[str, ...]:
    return f"{counted.created} pieces new", f"{counted.updated} changed", f"{counted.deleted} gone"


def _put_account(wanted: ChannelAccountWanted, chatbot: Chatbot, report: Report) -> dict[str, Any]:
    """The account by channel and name, or the only one of its channel where no name was given."""
    channel = channels.get(wanted.channel)
    row = _find(wanted, chatbot) or ChannelAccount(
        chatbot=chatbot, channel=wanted.channel, name=wanted.name or ""
    )
    credentials = _credentials(row, wanted, channel)
    if problems := channel.option_problems(wanted.values.get("options") or {}):
        raise ProvisionError(f"{wanted.where} › options", "; ".join(problems), key="options")
    values = {**wanted.values, "credentials": credentials}
    account, done = put(row, values, wanted.where)
    report.note(f"account {account} of {chatbot.name}", done)
    shown = report.identity(account.public_id, done)
    address = webhook_address(account.channel, account.public_id) if channel.has_webhook and shown else None
    if channel.has_webhook and not address and shown:
        report.say("no webhook address, since PUBLIC_URL is not set: the https address of this installation")
    return {
        "id": shown,
        "channel": account.channel,
        "name": account.name,
        "outcome": done.outcome,
        "webhook": address,
        "chat_page": public_address(f"chat/{chatbot.public_id}")
        if channel.name == "widget" and shown
        else None,
        "secrets": {
            one.name: report.secret(str(credentials[one.name]))
            for one in channel.credentials
            if one.made and credentials.get(one.name)
        },
    }


def _find(wanted: ChannelAccountWanted, chatbot: Chatbot) -> ChannelAccount | None:
    of_channel = chatbot.accounts.filter(channel=wanted.channel).defer("credentials")
    if wanted.name is not None:
        return only(
            of_channel.filter(name=wanted.name),
            wanted.where,
            f"{wanted.channel} accounts called {wanted.name}",
        )
    found = list(of_channel[:10])
    if len(found) > 1:
        names = ", ".join(sorted(repr(one.name) for one in found))
        raise ProvisionError(wanted.where, f"say which account is meant with its name; there are {names}")
    return found[0] if found else None


def _credentials(row: ChannelAccount, wanted: ChannelAccountWanted, channel: Channel) -> dict[str, Any]:
    """Given values over stored ones, and what Switchboard makes itself made once. Raises ProvisionError."""
    stored = stored_credentials(row)
    row.credentials = stored or {}
    credentials = {**(stored or {}), **wanted.credentials}
    for one in channel.credentials:
        if one.made and not credentials.get(one.name):
            credentials[one.name] = secrets.token_urlsafe(SECRET_BYTES)
    if problems := channel.problems(credentials):
        lost = (
            "" if stored is not None else " (what was stored can't be decrypted with any of ENCRYPTION_KEYS)"
        )
        raise ProvisionError(f"{wanted.where} › credentials", "; ".join(problems) + lost, key="credentials")
    if channel.has_webhook:
        _refuse_a_twin(row, credentials, wanted, channel)
    return credentials


def _refuse_a_twin(
    row: ChannelAccount, credentials: dict[str, Any], wanted: ChannelAccountWanted, channel: Channel
) -> None:
    """The same credentials in two accounts are a slip in a name: a provider calls only one webhook."""
    own = {one.name: credentials.get(one.name) for one in channel.credentials if not one.made}
    if not own:
        return
    others = ChannelAccount.objects.filter(channel=wanted.channel).exclude(pk=row.pk).defer("credentials")
    for other in others.select_related("chatbot__customer"):
        theirs = stored_credentials(other) or {}
        if all(theirs.get(name) == value for name, value in own.items()):
            whose = f"{other.chatbot.name} of {other.chatbot.customer.name}"
            message = (
                f"these credentials are in use by account {other.name!r} of the chatbot {whose}, and a webhook "
                f"leads to one account only; {nearest(wanted.name or '', [other.name])}"
            )
            raise ProvisionError(wanted.where, message)
