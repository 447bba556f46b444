"""Chatbots that can't answer: nobody to ask, nothing known, no account, a name that is gone from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from django.db.models import Exists, OuterRef, Prefetch

from apps.ai import registry as providers
from apps.channels import registry as channels
from apps.conversations.models import ChannelAccount, Chatbot, ChatbotAi
from apps.knowledge.models import KnowledgeItem
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn
from apps.reliability.encryption import DecryptionError


def check(asked: Settings) -> Iterator[Finding]:
    """Reads our own tables only."""
    steps = ChatbotAi.objects.select_related("account").defer("account__credentials")
    bots = (
        Chatbot.objects.filter(is_active=True, customer__is_active=True)
        .select_related("customer")
        .prefetch_related(Prefetch("ai_order", queryset=steps))
        .annotate(
            has_account=Exists(ChannelAccount.objects.filter(chatbot=OuterRef("pk"), is_active=True)),
            has_knowledge=Exists(KnowledgeItem.objects.filter(chatbot=OuterRef("pk"))),
        )
        .order_by("pk")
    )
    count, wrong = 0, 0
    for bot in bots:
        count += 1
        found = [*_of(bot)]
        wrong += bool(found)
        yield from found
    if count and not wrong:
        yield ok("chatbots", f"{count} active, each with an account and somebody to ask")
    elif not count:
        advice = "docs/examples/setup.toml shows all there is to set up."
        yield note("chatbots", "none active", advice, "python manage.py provision --help")
    yield from _accounts()


def _of(bot: Chatbot) -> Iterator[Finding]:
    name = f"chatbot {bot.name}"
    at = f"python manage.py provision --customer {quote(bot.customer.name)} --chatbot {quote(bot.name)}"
    order = list(bot.ai_order.all())
    usable = [step for step in order if step.account.is_active]
    unknown = {step.account.provider for step in usable} - set(providers.names())
    if order and not usable:
        yield fail(
            name,
            "all of its AI accounts are inactive",
            "Every question gets the fallback message: switch one on.",
        )
    elif not order and bot.provider not in providers.names():
        unknown = {bot.provider}
    elif not order and providers.get(bot.provider).needs_account:
        advice = "Every question gets the fallback message. Give it one:"
        made = f"{at} --ai {bot.provider} --ai-model NAME --ai-key -"
        yield fail(name, f"asks {bot.provider}, which needs an AI account, and has none", advice, made)
    if unknown:
        known = ", ".join(providers.names())
        yield fail(
            name, f"asks {', '.join(sorted(unknown))}, which is no AI provider here", f"Known: {known}."
        )
    if not order and bot.provider == "builtin" and not getattr(bot, "has_knowledge", True):
        advice = "It answers from its knowledge base alone. Give it texts:"
        yield warn(name, "knows nothing", advice, f"{at} --knowledge FOLDER")
    if not getattr(bot, "has_account", True):
        yield note(name, "has no active account on any channel", "Give it one:", f"{at} --channel widget")


def _accounts() -> Iterator[Finding]:
    rows = ChannelAccount.objects.filter(is_active=True, chatbot__is_active=True).defer("credentials")
    for account in rows.select_related("chatbot__customer").order_by("pk"):
        name = f"account {account} of {account.chatbot.name}"
        if account.channel not in channels.names():
            known = ", ".join(channels.names())
            advice = f"Known: {known}. Bring it back with EXTRA_CHANNELS, or switch the account off."
            yield fail(name, f"{account.channel} is no channel here", advice)
            continue
        try:
            problems = channels.get(account.channel).problems(account.credentials)
        except DecryptionError:
            continue  # the keys' check says so
        for problem in problems:
            yield fail(name, problem, "Enter it in the admin, or with manage.py provision --credential.")
