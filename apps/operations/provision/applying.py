"""Make it so: a whole set-up in one transaction. What exists under its name is updated, the rest is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import ApiKey, Customer, Plan
from apps.accounts.services import create_api_key, revoke_api_key
from apps.operations.provision import ai, chatbots
from apps.operations.provision.putting import only, put
from apps.operations.provision.report import Report
from apps.operations.provision.tables import nearest
from apps.operations.provision.wanted import (
    ApiKeyWanted,
    CustomerWanted,
    PlanWanted,
    ProvisionError,
    Setup,
)

LOCK = 0x5357_4244
"""Any number that nobody else locks: two set-ups at once would both make what is missing."""


@transaction.atomic
def apply(setup: Setup, *, dry_run: bool = False, rotate_keys: bool = False) -> tuple[dict[str, Any], Report]:
    """Do all of it, or nothing. Returns the JSON and the lines for people.

    `rotate_keys` makes a new API key for each that is asked for and revokes those of the same name.
    Raises ProvisionError, which says what to do.
    """
    if connection.vendor == "postgresql":  # SQLite has one writer at a time anyway
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    report = Report(dry_run=dry_run)
    plans = [_plan(wanted, report) for wanted in setup.plans]
    customers = [_customer(wanted, report, rotate_keys) for wanted in setup.customers]
    if dry_run:
        transaction.set_rollback(True)
    return {
        "dry_run": dry_run,
        "changed": report.is_changed,
        "plans": plans,
        "customers": customers,
    }, report


def _plan(wanted: PlanWanted, report: Report) -> dict[str, Any]:
    row = Plan.objects.filter(name=wanted.name).first()
    if row is None and "monthly_price" not in wanted.values:
        raise ProvisionError(
            wanted.where, "a new plan needs a monthly_price (--price), in USD; 0 is a price too"
        )
    plan, done = put(row or Plan(name=wanted.name), wanted.values, wanted.where)
    report.note(f"plan {plan.name}, {plan.monthly_price:.2f} USD a month", done)
    return {
        "name": plan.name,
        "outcome": done.outcome,
        "monthly_price": f"{plan.monthly_price:.2f}",
        "priority": plan.priority,
    }


def _customer(wanted: CustomerWanted, report: Report, rotate_keys: bool) -> dict[str, Any]:
    row = only(Customer.objects.filter(name=wanted.name), wanted.where, f"customers called {wanted.name}")
    values = dict(wanted.values)
    if wanted.plan:
        values["plan"] = _named_plan(wanted)
    customer, done = put(row or Customer(name=wanted.name), values, wanted.where)
    report.note(f"customer {customer.name}", done)
    if not customer.is_active:
        report.say(f"customer {customer.name} is inactive: its API keys are refused (is_active = true)")
    ai_accounts = [ai.put_account(one, customer, report) for one in wanted.ai_accounts]
    return {
        "id": report.identity(customer.public_id, done),
        "name": customer.name,
        "outcome": done.outcome,
        "plan": customer.plan.name if customer.plan else None,
        "ai_accounts": ai_accounts,
        "chatbots": [chatbots.put_chatbot(one, customer, report) for one in wanted.chatbots],
        "api_keys": [_api_key(one, customer, report, rotate_keys) for one in wanted.api_keys],
    }


def _named_plan(wanted: CustomerWanted) -> Plan:
    plan = Plan.objects.filter(name=wanted.plan).first()
    if plan is None:
        known = nearest(wanted.plan, Plan.objects.values_list("name", flat=True))
        message = (
            f"there is no plan {wanted.plan!r}; {known} (a new one needs its price: --price, or [[plans]])"
        )
        raise ProvisionError(f"{wanted.where} › plan", message, key="plan")
    return plan


def _api_key(wanted: ApiKeyWanted, customer: Customer, report: Report, rotate: bool) -> dict[str, Any]:
    """A key is made once; its secret is kept nowhere, so a repetition can't show it."""
    usable = list(ApiKey.objects.usable(timezone.now()).filter(customer=customer, name=wanted.name))
    if not customer.is_active:  # `usable` leaves out all of an inactive customer's
        usable = list(ApiKey.objects.filter(customer=customer, name=wanted.name, revoked_at=None))
    if usable and not rotate:
        key, secret, outcome = usable[0], None, "exists"
        report.lines.append(f"exists     API key {key}: its secret was shown when it was made (--rotate-key)")
        if sorted(key.scopes) != sorted(wanted.scopes):
            report.say(f"API key {key} may do {', '.join(key.scopes)}; --rotate-key makes one as asked for")
    else:
        for old in usable:
            revoke_api_key(key=old)
        days = wanted.expires_in_days
        key, secret = create_api_key(
            customer=customer,
            name=wanted.name,
            scopes=wanted.scopes,
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        outcome = "rotated" if usable else "created"
        report.is_changed = True
        shown = wanted.name if report.dry_run else str(key)
        report.lines.append(
            f"{outcome:<9}  API key {shown}" + (", the old one is refused now" if usable else "")
        )
    return {
        "name": key.name,
        "outcome": outcome,
        "prefix": None if report.dry_run and secret else key.prefix,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "secret": report.secret(secret) if secret else None,
    }
