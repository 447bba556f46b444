"""The command line of `manage.py provision`, and the tables it stands for."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from typing import Any

from apps.ai import registry as providers
from apps.operations.provision.tables import nearest
from apps.operations.provision.wanted import ProvisionError

WHERE_FROM = (
    "env:NAME, @file, - (asked for, or a line of standard input), or the secret itself, which `ps` then shows"
)
# What an option is about; it makes sense only beside that one.
NEEDS = {
    "price": "plan",
    "system_prompt": "chatbot",
    "greeting": "chatbot",
    "fallback_message": "chatbot",
    "max_wait": "chatbot",
    "origin": "chatbot",
    "knowledge": "chatbot",
    "channel": "chatbot",
    "account_name": "channel",
    "credential": "channel",
    "option": "channel",
    "ai_name": "ai",
    "ai_base_url": "ai",
    "ai_model": "ai",
    "ai_key": "ai",
    "scope": "api_key",
    "chatbot": "customer",
    "ai": "customer",
    "api_key": "customer",
}


def add_options(parser: ArgumentParser) -> None:
    """All options but the ones of the run itself (--file, --dry-run …)."""
    add = parser.add_argument
    add("--customer", metavar="NAME")
    add("--plan", metavar="NAME", help="the customer's plan; made or updated if --price is given")
    add("--price", type=float, metavar="USD", help="of the plan, a month; decides the priority")
    add("--chatbot", metavar="NAME", help="one of the customer's chatbots, by its name")
    add("--system-prompt", metavar="TEXT|@FILE", help="what the AI is told about its role")
    add("--greeting", metavar="TEXT|@FILE")
    add("--fallback-message", metavar="TEXT|@FILE", help="sent when the AI doesn't answer in time")
    add("--max-wait", type=int, metavar="SECONDS", help="how long a person waits for the AI before that")
    add("--origin", action="append", metavar="URL", help="where the widget may be embedded; several times")
    add(
        "--knowledge",
        action="append",
        metavar="PATH",
        help="a Markdown file or a folder of them; several times",
    )
    add("--channel", metavar="NAME", help="an account of this channel for the chatbot: widget, telegram …")
    add("--account-name", metavar="NAME", help="which account, where the chatbot has several of the channel")
    add("--credential", action="append", metavar="NAME=VALUE", help=f"of the account; VALUE is {WHERE_FROM}")
    add("--option", action="append", metavar="NAME=VALUE", help="a setting of the account, no secret")
    add("--ai", metavar="PROVIDER", help="an AI account, asked after those that the chatbot asks already")
    add("--ai-name", metavar="NAME", help="of the AI account; default: the provider's name")
    add("--ai-base-url", metavar="URL", help="where it answers, for a server of your own")
    add("--ai-model", metavar="MODEL")
    add("--ai-key", metavar="VALUE", help=WHERE_FROM)
    add("--api-key", metavar="NAME", help="an API key of the customer; its secret is printed once")
    add("--scope", action="append", metavar="SCOPE", help="what the API key may do; default: everything")
    for wrong in ("--token", "--secret", "--bot-token"):
        add(wrong, help=SUPPRESS)


def tables(options: Mapping[str, Any]) -> dict[str, Any]:
    """The tables that stand for these options. Raises ProvisionError for those that don't fit together."""
    given = {name: value for name, value in options.items() if value is not None}
    for wrong in ("token", "secret", "bot_token"):
        if wrong in given:
            raise ProvisionError(
                "", f"{_flag(wrong)} is unknown; a channel's secrets are --credential NAME=VALUE"
            )
    for name, other in NEEDS.items():
        if name in given and other not in given:
            raise ProvisionError("", f"{_flag(name)} needs {_flag(other)} beside it")
    if "customer" not in given and "plan" not in given:
        raise ProvisionError(
            "", "say what to set up: --customer NAME … or --file setup.toml (--help shows all)"
        )
    found: dict[str, Any] = {}
    if "price" in given:
        found["plans"] = [{"name": given["plan"], "monthly_price": given["price"]}]
    if "customer" in given:
        found["customers"] = [_customer(given)]
    elif "price" not in given:
        raise ProvisionError("", "--plan needs --price or --customer beside it")
    return found


def _customer(given: Mapping[str, Any]) -> dict[str, Any]:
    customer = _renamed(given, customer="name", plan="plan")
    if "chatbot" in given:
        customer["chatbots"] = [_chatbot(given)]
    if "ai" in given and _needs_account(given["ai"]):
        account = _renamed(given, ai="provider", ai_base_url="base_url", ai_model="model")
        account["name"] = given.get("ai_name", given["ai"])
        if "ai_key" in given:
            names = providers.get(given["ai"]).credential_names
            account["credentials"] = {names[0] if names else "api_key": given["ai_key"]}
        customer["ai_accounts"] = [account]
    if "api_key" in given:
        customer["api_keys"] = [_renamed(given, api_key="name", scope="scopes")]
    return customer


def _chatbot(given: Mapping[str, Any]) -> dict[str, Any]:
    chatbot = _renamed(
        given,
        chatbot="name",
        system_prompt="system_prompt",
        greeting="greeting",
        fallback_message="fallback_message",
        max_wait="max_wait",
        origin="allowed_origins",
        knowledge="knowledge",
    )
    if "ai" in given:
        if _needs_account(given["ai"]):
            chatbot["ai_also"] = given.get("ai_name", given["ai"])
        else:
            chatbot["provider"] = given["ai"]
    if "channel" in given:
        account = _renamed(given, channel="channel", account_name="name")
        account["credentials"] = _pairs(given, "credential")
        if "option" in given:
            account["options"] = _pairs(given, "option")
        chatbot["accounts"] = [account]
    return chatbot


def written_openly(options: Mapping[str, Any]) -> list[str]:
    """The options whose secret stands on the command line itself, where `ps` and the shell's history show it."""
    found = [
        f"--credential {pair.partition('=')[0]}"
        for pair in options.get("credential") or ()
        if _is_open(pair.partition("=")[2])
    ]
    if options.get("ai_key") and _is_open(options["ai_key"]):
        found.append("--ai-key")
    return found


def _is_open(value: str) -> bool:
    return bool(value) and value != "-" and not value.startswith(("env:", "@"))


def _needs_account(provider: str) -> bool:
    if provider not in providers.names():
        raise ProvisionError("--ai", f"there is no {provider!r}; {nearest(provider, providers.names())}")
    return providers.get(provider).needs_account


def _renamed(given: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {key: given[option] for option, key in names.items() if option in given}


def _pairs(given: Mapping[str, Any], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given.get(option, ()):
        name, separator, value = pair.partition("=")
        if not separator or not name:
            # Not the pair itself: it may be a secret without its name.
            raise ProvisionError(_flag(option), "is written NAME=VALUE")
        if name in found:
            raise ProvisionError(_flag(option), f"names {name} twice")
        found[name] = value
    return found


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
