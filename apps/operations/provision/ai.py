"""A customer's accounts with AI providers, and the order in which a chatbot asks them."""

from __future__ import annotations

from typing import Any

from apps.accounts.models import Customer
from apps.ai import registry as providers
from apps.conversations.models import AiAccount, Chatbot, ChatbotAi
from apps.operations.provision.putting import put, stored_credentials
from apps.operations.provision.report import Done, Report
from apps.operations.provision.tables import nearest
from apps.operations.provision.wanted import AiAccountWanted, AiStepWanted, ChatbotWanted, ProvisionError


def put_account(wanted: AiAccountWanted, customer: Customer, report: Report) -> dict[str, Any]:
    """The account by its name, made or updated."""
    row = customer.ai_accounts.filter(name=wanted.name).defer("credentials").first()
    values = dict(wanted.values)
    if row is None:
        if "provider" not in values:
            known = ", ".join(name for name in providers.names() if providers.get(name).needs_account)
            raise ProvisionError(wanted.where, f"a new AI account needs its provider: {known}")
        row = AiAccount(customer=customer, name=wanted.name)
    if "base_url" in values:
        values["base_url"] = values["base_url"].rstrip("/")
    values |= _new_credentials(row, wanted)
    account, done = put(row, values, wanted.where)
    report.note(f"AI account {account.name} ({account.provider}, {account.model or 'its own model'})", done)
    if not account.model:
        report.say(
            f"AI account {account.name} names no model: --ai-model, unless each chatbot's order names one"
        )
    return {
        "id": report.identity(account.public_id, done),
        "name": account.name,
        "outcome": done.outcome,
        "provider": account.provider,
        "base_url": account.base_url,
        "model": account.model,
    }


def _new_credentials(row: AiAccount, wanted: AiAccountWanted) -> dict[str, Any]:
    """What to store: given values over stored ones. Empty if that changes nothing."""
    if not wanted.credentials:
        return {}
    stored = stored_credentials(row) or {}
    credentials = {**stored, **wanted.credentials}
    row.credentials = stored
    return {"credentials": credentials} if credentials != stored else {}


def put_order(wanted: ChatbotWanted, chatbot: Chatbot, report: Report) -> list[str]:
    """Set whom the chatbot asks, first to last; returns the accounts' names in that order."""
    present = list(chatbot.ai_order.select_related("account").defer("account__credentials"))
    order = [AiStepWanted(account=step.account.name, model=step.model) for step in present]
    asked = list(order if wanted.ai is None else wanted.ai)
    if wanted.ai_also and wanted.ai_also not in [step.account for step in asked]:
        asked.append(AiStepWanted(account=wanted.ai_also))
        if len(asked) > 1:
            report.say(f"{chatbot.name} asks {wanted.ai_also} when {asked[-2].account} has failed")
    if asked != order:
        accounts = {one.name: one for one in chatbot.customer.ai_accounts.defer("credentials")}
        for step in asked:
            if step.account not in accounts:
                message = (
                    f"the customer has no AI account {step.account!r}; {nearest(step.account, accounts)}"
                )
                raise ProvisionError(f"{wanted.where} › ai", message, key="ai")
        chatbot.ai_order.all().delete()
        ChatbotAi.objects.bulk_create(
            ChatbotAi(chatbot=chatbot, account=accounts[step.account], position=place, model=step.model)
            for place, step in enumerate(asked, start=1)
        )
        names = ", then ".join(step.account for step in asked) or f"nobody but {chatbot.provider}"
        report.note(f"{chatbot.name} asks {names}", Done("updated", ("order of AI accounts",)))
    return [step.account for step in asked]
