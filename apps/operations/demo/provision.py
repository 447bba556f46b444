"""The example customer of the demo, and the person who may look at everything. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from apps.accounts import scopes
from apps.accounts.models import Customer, Plan, User
from apps.accounts.services import authenticate_api_key, create_api_key
from apps.conversations.models import ChannelAccount, Chatbot
from apps.knowledge.services import import_texts
from apps.operations.provision.sources import title_of

CHATBOT = "Ask Switchboard"
GREETING = "Hello! I have read the documentation of Switchboard. What would you like to know about it?"


@dataclass(frozen=True)
class Example:
    """What the demo made or found. `api_key` is the secret."""

    chatbot: str
    account: str
    api_key: str


def documentation(root: Path) -> list[tuple[str, str]]:
    """Title and text of each page of the project's own documentation."""
    # Not what the examples of set-ups know: it is about nobody.
    below = (page for page in (root / "docs").rglob("*.md") if "examples" not in page.parts)
    found = [root / "README.md", *sorted(below)]
    texts = [(page, page.read_text(encoding="utf-8")) for page in found if page.is_file()]
    return [(title_of(page, text), text) for page, text in texts]


@transaction.atomic
def provision_demo(
    *, admin_name: str, admin_password: str, api_key: str, texts: list[tuple[str, str]]
) -> Example:
    """Makes what is missing, puts right what was changed: customer, chatbot and what it knows, web account, API key
    (`api_key` if it still opens the door, else a new one) and the admin's user with this password."""
    plan, _ = Plan.objects.get_or_create(name="Demo", defaults={"monthly_price": 100})
    customer, _ = Customer.objects.update_or_create(
        name="Example customer", defaults={"plan": plan, "is_active": True}
    )
    chatbot, _ = Chatbot.objects.update_or_create(
        customer=customer,
        name=CHATBOT,
        defaults={"greeting": GREETING, "provider": "builtin", "is_active": True},
    )
    account, _ = ChannelAccount.objects.update_or_create(
        chatbot=chatbot, channel="widget", name="Chat page", defaults={"is_active": True}
    )
    import_texts(chatbot, texts)
    _keep_admin(admin_name, admin_password)
    secret = _working_key(customer, api_key)
    return Example(str(chatbot.public_id), str(account.public_id), secret)


def _working_key(customer: Customer, secret: str) -> str:
    key = authenticate_api_key(secret) if secret else None
    if key is not None and key.customer_id == customer.pk:
        return secret
    wanted = [scopes.MESSAGES_READ, scopes.MESSAGES_WRITE]
    return create_api_key(customer=customer, name="make demo", scopes=wanted)[1]


def _keep_admin(name: str, password: str) -> None:
    user, _ = User.objects.get_or_create(username=name)
    user.is_active = user.is_staff = user.is_superuser = True
    if not user.check_password(password):
        user.set_password(password)
    user.save()
