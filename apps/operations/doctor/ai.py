"""AI accounts: their server answers, takes the key, and has the model. Only lists of models are asked for: free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from shlex import quote
from typing import Any

from django.conf import settings

from apps.conversations.models import AiAccount
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn
from apps.operations.doctor.outside import Reply, ask, host_of, side_by_side
from apps.reliability.encryption import DecryptionError

# Where a provider answers when the account names no address of its own.
ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
ANTHROPIC_VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask for one account; made with the database, asked without."""

    name: str
    provider: str
    base: str
    models: frozenset[str]
    at: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        if self.provider == "anthropic":
            return f"{self.base.removesuffix('/v1')}/v1/models?limit=1000"
        return f"{self.base}/models"


def check(asked: Settings) -> Iterator[Finding]:
    """Accounts of providers that we don't know how to ask are only named."""
    questions, others = [], []
    accounts = AiAccount.objects.filter(is_active=True, customer__is_active=True).defer("credentials")
    for account in accounts.select_related("customer").prefetch_related("uses").order_by("pk"):
        if account.provider not in ADDRESSES:
            others.append(f"{account.name} ({account.provider})")
            continue
        try:
            questions.append(_question(account))
        except DecryptionError:
            yield fail(account.name, "its key can't be decrypted", "See keys above: enter it again.")
    for question, reply in zip(questions, side_by_side(_ask, questions), strict=True):
        if reply.ahead is not None:
            asked.clocks.append((host_of(question.base), reply.ahead))
        yield _judge(question, reply)
    yield from _prices(questions)
    if others:
        yield note("others", f"not asked: {', '.join(others)}")
    if not questions and not others:
        yield ok("accounts", "none")


def _prices(questions: list[Question]) -> Iterator[Finding]:
    """Models of providers that take money, without a price in AI_PRICES."""
    priced = tuple(settings.AI_PRICES)
    paid = {model for one in questions if one.base == ADDRESSES[one.provider] for model in one.models}
    if missing := sorted(model for model in paid if not model.startswith(priced)):
        advice = (
            f'For a cost beside each reply: AI_PRICES={{"{missing[0]}": [2.5, 10]}} (USD per million tokens).'
        )
        yield note("prices", f"none known for {', '.join(missing)}", advice)


def _question(account: AiAccount) -> Question:
    key = str(account.credentials.get("api_key") or "")
    models = {use.model or account.model for use in account.uses.all()} or {account.model}
    if account.provider == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": ANTHROPIC_VERSION}
    else:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Question(
        name=f"{account.name} of {account.customer.name}",
        provider=account.provider,
        base=(account.base_url or ADDRESSES[account.provider]).rstrip("/"),
        models=frozenset(models - {""}),
        at=f"python manage.py provision --customer {quote(account.customer.name)} --ai {account.provider} "
        f"--ai-name {quote(account.name)}",
        headers=headers,
    )


def _ask(question: Question) -> Reply:
    return ask(question.url, headers=question.headers)


def _judge(question: Question, reply: Reply) -> Finding:
    name, where = question.name, host_of(question.base)
    if reply.problem:
        advice = "Is the server running, and is the address right, with its /v1? Can this machine reach it?"
        return fail(name, f"{where}: {reply.problem}", advice, f"{question.at} --ai-base-url URL")
    if reply.status in (401, 403):
        advice = "Make a key at the provider, with the right to list models, and enter it:"
        return fail(name, f"{where} refuses the key ({reply.status})", advice, f"{question.at} --ai-key -")
    if reply.status == 404:
        advice = "Most servers answer below /v1: is that missing in the address? If chats are answered, it is fine."
        return warn(name, f"{where} has no list of models (404)", advice, f"{question.at} --ai-base-url URL")
    if reply.status != 200:
        return warn(
            name, f"{where} answered {reply.status}", "Look at the provider's status page; try again later."
        )
    return _judge_models(question, reply.json())


def _judge_models(question: Question, listed: Any) -> Finding:
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        advice = "Is it an address of an API, and not of a web page?"
        return warn(question.name, f"{host_of(question.base)} answered something else than models", advice)
    known = {str(row.get("id")) for row in rows if isinstance(row, dict)}
    # Ollama lists `llama3.2:latest` and answers to `llama3.2`.
    missing = sorted(one for one in question.models if one not in known and f"{one}:latest" not in known)
    if not question.models:
        shown = ", ".join(sorted(known)[:5])
        advice = f"It has: {shown or 'none'}. Name one:"
        return fail(
            question.name,
            "the key is accepted, but no model is named",
            advice,
            f"{question.at} --ai-model NAME",
        )
    if missing and known:
        near = get_close_matches(missing[0], sorted(known), n=3) or sorted(known)[:5]
        advice = f"It lists {', '.join(near)}. A server of your own may have to fetch it first."
        return fail(
            question.name,
            f"there is no model {missing[0]}",
            advice,
            f"{question.at} --ai-model {quote(near[0])}",
        )
    return ok(
        question.name,
        f"{host_of(question.base)} accepts the key and has {', '.join(sorted(question.models))}",
    )
