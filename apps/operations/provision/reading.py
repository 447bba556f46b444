"""From tables, as TOML has them, to what is wanted. Raises ProvisionError for whatever is not understood."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from apps.accounts.scopes import SCOPES
from apps.ai import registry as providers
from apps.channels import registry as channels
from apps.operations.provision.sources import Sources
from apps.operations.provision.tables import Table, nearest
from apps.operations.provision.wanted import (
    AiAccountWanted,
    AiStepWanted,
    ApiKeyWanted,
    ChannelAccountWanted,
    ChatbotWanted,
    CustomerWanted,
    PlanWanted,
    ProvisionError,
    Setup,
    Wanted,
)


def parse(text: str, name: str) -> dict[str, Any]:
    """The tables of the file `name`. Raises ProvisionError with the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ProvisionError(name, f"is not TOML: {problem}") from None


def located(problem: ProvisionError, text: str, name: str) -> ProvisionError:
    """The same error with the file's name, and the line where that is certain."""
    line = line_of(text, problem.key)
    return ProvisionError(f"{name}, line {line}" if line else name, str(problem))


def line_of(text: str, key: str) -> int | None:
    """The only line that sets `key` or opens a table of that name, from 1; None if there are several or none."""
    if not key:
        return None
    pattern = re.compile(
        rf"\s*(?:[\w.\"'-]*\.)?[\"']?{re.escape(key)}[\"']?\s*=|\s*\[\[?[\w.\s\"'-]*\b{re.escape(key)}\]"
    )
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if pattern.match(line)]
    return lines[0] if len(lines) == 1 else None


def read(values: Mapping[str, Any], sources: Sources) -> Setup:
    """What the tables ask for."""
    top = Table(values, "")
    setup = Setup(
        plans=_once([_plan(table) for table in top.tables("plans")]),
        customers=_once([_customer(table, sources) for table in top.tables("customers")]),
    )
    top.end()
    if not setup.plans and not setup.customers:
        raise ProvisionError("", "nothing is asked for: name at least a [[plans]] or [[customers]] entry")
    return setup


def _plan(table: Table) -> PlanWanted:
    name = table.name()
    price = table.take("monthly_price", float)
    table.end()
    values = {} if price is None else {"monthly_price": Decimal(str(price))}
    return PlanWanted(name=name, where=table.where, values=values)


def _customer(table: Table, sources: Sources) -> CustomerWanted:
    wanted = CustomerWanted(
        name=table.name(longest=200),
        where=table.where,
        values=table.given(is_active=bool),
        plan=table.take("plan", str, "").strip(),
        ai_accounts=_once([_ai_account(one, sources) for one in table.tables("ai_accounts")]),
        chatbots=_once([_chatbot(one, sources) for one in table.tables("chatbots")]),
        api_keys=_once([_api_key(one) for one in table.tables("api_keys")]),
    )
    table.end()
    return wanted


def _ai_account(table: Table, sources: Sources) -> AiAccountWanted:
    values = table.given(
        provider=str, base_url=str, model=str, options=dict, timeout_seconds=int, is_active=bool
    )
    credentials = _credentials(table, sources)
    if "provider" in values:
        provider = _known(table, "provider", values["provider"], providers)
        _check_names(table, credentials, provider.credential_names)
        if not provider.needs_account:
            raise table.error(
                "provider", f"{provider.name} needs no account: name it as the chatbot's provider"
            )
    wanted = AiAccountWanted(name=table.name(), where=table.where, values=values, credentials=credentials)
    table.end()
    return wanted


def _chatbot(table: Table, sources: Sources) -> ChatbotWanted:
    values = table.given(
        greeting=str,
        system_prompt=str,
        provider=str,
        provider_options=dict,
        max_wait=int,
        fallback_message=str,
        answer_each_message=bool,
        is_active=bool,
    )
    if table.has("allowed_origins"):
        values["allowed_origins"] = table.texts("allowed_origins")
    if "provider" in values:
        _known(table, "provider", values["provider"], providers)
    for key in ("greeting", "system_prompt", "fallback_message"):
        if key in values:
            values[key] = sources.text(values[key], f"{table.where} › {key}")
    wanted = ChatbotWanted(
        name=table.name(),
        where=table.where,
        values=values,
        ai=_order(table),
        ai_also=table.take("ai_also", str, ""),
        knowledge=sources.knowledge(table.texts("knowledge"), f"{table.where} › knowledge"),
        accounts=_accounts(table, sources),
    )
    table.end()
    return wanted


def _order(table: Table) -> tuple[AiStepWanted, ...] | None:
    """The names of AI accounts in the order in which they are asked; a table names another model as well."""
    if not table.has("ai"):
        table.take("ai", list)
        return None
    steps = []
    for step in table.take("ai", list):
        if isinstance(step, str):
            steps.append(AiStepWanted(account=step))
        elif isinstance(step, Mapping):
            inner = Table(step, f"{table.where} › ai")
            steps.append(AiStepWanted(account=inner.name("account"), model=inner.take("model", str, "")))
            inner.end()
        else:
            raise table.error("ai", 'must be a list of names of AI accounts, such as ["main", "reserve"]')
    return tuple(steps)


def _accounts(table: Table, sources: Sources) -> tuple[ChannelAccountWanted, ...]:
    found = [_account(one, sources) for one in table.tables("accounts", label="channel")]
    seen: set[tuple[str, str | None]] = set()
    for one in found:
        if (one.channel, one.name) in seen:
            raise ProvisionError(
                one.where, "stands there twice: give each account of a channel a name of its own"
            )
        seen.add((one.channel, one.name))
    return tuple(found)


def _account(table: Table, sources: Sources) -> ChannelAccountWanted:
    name = table.name("channel", longest=50)
    channel = _known(table, "channel", name, channels)
    credentials = _credentials(table, sources)
    _check_names(table, credentials, [one.name for one in channel.credentials])
    wanted = ChannelAccountWanted(
        channel=name,
        name=table.name() if table.has("name") else table.take("name", str),
        where=table.where,
        values=table.given(options=dict, debounce_seconds=float, on_unknown=str, is_active=bool),
        credentials=credentials,
    )
    table.end()
    return wanted


def _api_key(table: Table) -> ApiKeyWanted:
    scopes = table.texts("scopes") or list(SCOPES)
    for scope in scopes:
        if scope not in SCOPES:
            raise table.error("scopes", f"{scope!r} is unknown; {nearest(scope, SCOPES)}")
    days = table.take("expires_in_days", int)
    if days is not None and not 1 <= days <= 36_500:
        raise table.error("expires_in_days", "must be from 1 to 36500")
    wanted = ApiKeyWanted(
        name=table.name(), where=table.where, scopes=tuple(dict.fromkeys(scopes)), expires_in_days=days
    )
    table.end()
    return wanted


def _credentials(table: Table, sources: Sources) -> dict[str, Any]:
    written = table.take("credentials", dict, {})
    place = f"{table.where} › credentials"
    return {
        name: sources.secret(value, f"{place} › {name}") if isinstance(value, str) else value
        for name, value in written.items()
    }


def _check_names(table: Table, credentials: Mapping[str, Any], known: Sequence[str]) -> None:
    """A channel or provider that says which credentials it takes takes no others."""
    for name in credentials:
        if known and name not in known:
            raise ProvisionError(
                f"{table.where} › credentials › {name}", f"is unknown; {nearest(name, known)}", key=name
            )


def _known(table: Table, key: str, name: str, registry: Any) -> Any:
    if name not in registry.names():
        raise table.error(key, f"there is no {name!r}; {nearest(name, registry.names())}")
    return registry.get(name)


def _once(wanted: list[Any]) -> tuple[Any, ...]:
    seen: set[str] = set()
    for one in wanted:
        assert isinstance(one, Wanted)
        if one.name in seen:
            raise ProvisionError(one.where, "stands there twice")
        seen.add(one.name)
    return tuple(wanted)
