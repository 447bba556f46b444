"""The admin pages of the accounts, as a person in a browser sees them."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services
from apps.accounts.models import ApiKey, Customer, UsageRecord
from tests.accounts.conftest import HandClock
from tests.factories.accounts import (
    CustomerFactory,
    PlanFactory,
    UsageRecordFactory,
    UserFactory,
    make_api_key,
)

pytestmark = pytest.mark.django_db


def page(client: Client, name: str, *args: object) -> str:
    response = client.get(reverse(f"admin:accounts_{name}", args=args))
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("model", ["user", "plan", "customer", "apikey", "usagerecord"])
def test_lists_and_forms_open(staff: Client, model: str) -> None:
    key, _ = make_api_key()
    used = UsageRecordFactory.create(customer=key.customer, reference="message 1")
    pk = {
        "user": int(staff.session["_auth_user_id"]),
        "plan": key.customer.plan_id,
        "customer": key.customer_id,
        "apikey": key.pk,
        "usagerecord": used.pk,
    }[model]
    page(staff, f"{model}_changelist")
    page(staff, f"{model}_change", pk)
    staff.get(reverse(f"admin:accounts_{model}_changelist"), {"q": "message 1"})


def test_a_secret_is_shown_exactly_once(staff: Client, clock: HandClock) -> None:
    customer = CustomerFactory.create()
    made = staff.post(
        reverse("admin:accounts_apikey_add"),
        {
            "customer": customer.pk,
            "name": "site",
            "scopes": ["messages:read"],
            "expires_at_0": "",
            "expires_at_1": "",
        },
        follow=True,
    )
    found = re.findall(r"sb_[a-z0-9]{8}_[\w-]{43}", made.content.decode())
    assert len(found) == 1
    secret = found[0]
    key = services.authenticate_api_key(secret)
    assert key is not None
    assert (key.customer, key.name, key.scopes) == (customer, "site", ["messages:read"])
    for name, args in (
        ("apikey_changelist", ()),
        ("apikey_change", (key.pk,)),
        ("apikey_history", (key.pk,)),
    ):
        text = page(staff, name, *args)
        assert secret not in text
        assert key.key_hash not in text
    text = page(staff, "apikey_change", key.pk)
    assert f"sb_{key.prefix}_…" in text
    assert "messages:read" in text


def test_a_key_without_a_scope_is_refused(staff: Client) -> None:
    customer = CustomerFactory.create()
    answer = staff.post(reverse("admin:accounts_apikey_add"), {"customer": customer.pk, "name": "site"})
    assert answer.status_code == 200
    assert not ApiKey.objects.exists()


def test_only_the_name_of_a_key_can_be_edited(staff: Client) -> None:
    key, _ = make_api_key(scopes=["messages:read"])
    staff.post(
        reverse("admin:accounts_apikey_change", args=[key.pk]),
        {
            "name": "renamed",
            "scopes": ["messages:write"],
            "customer": CustomerFactory.create().pk,
            "key_hash": "0",
        },
    )
    after = ApiKey.objects.get()
    assert after.name == "renamed"
    assert (after.scopes, after.customer, after.key_hash) == (["messages:read"], key.customer, key.key_hash)
    assert staff.post(reverse("admin:accounts_apikey_delete", args=[key.pk])).status_code == 403


def test_keys_are_revoked_by_action(staff: Client, clock: HandClock) -> None:
    key, secret = make_api_key()
    other, _ = make_api_key()
    assert services.authenticate_api_key(secret)
    answer = staff.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk]},
        follow=True,
    )
    assert "1 revoked" in answer.content.decode()
    assert services.authenticate_api_key(secret) is None
    assert "Revoked." in page(staff, "apikey_history", key.pk)
    other.refresh_from_db()
    assert other.revoked_at is None


def test_who_may_only_look_can_revoke_nothing(client: Client) -> None:
    viewer = UserFactory.create(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(viewer)
    key, _ = make_api_key()
    client.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk]},
        follow=True,
    )
    key.refresh_from_db()
    assert key.revoked_at is None


def test_customers_show_their_counts(staff: Client) -> None:
    customer = CustomerFactory.create(plan=PlanFactory.create(monthly_price=100))
    make_api_key(customer)
    make_api_key(customer)
    revoked, _ = make_api_key(customer)
    services.revoke_api_key(key=revoked)
    for _ in range(3):
        UsageRecordFactory.create(customer=customer, messages=7, tokens_in=100, tokens_out=11)
    UsageRecordFactory.create(customer=customer, messages=7, created_at=timezone.now() - timedelta(days=31))
    text = page(staff, "customer_changelist")
    shown = dict(re.findall(r'class="field-(\w+)[^>]*>([^<]*)<', text))
    assert (shown["keys"], shown["messages_month"], shown["tokens_month"]) == ("2", "21", "333")
    assert shown["priority"] == "1"


def test_a_customer_with_keys_can_not_be_deleted_by_hand(staff: Client) -> None:
    key, _ = make_api_key()
    staff.post(reverse("admin:accounts_customer_delete", args=[key.customer_id]), {"post": "yes"})
    assert Customer.objects.filter(pk=key.customer_id).exists()


def test_usage_is_read_only(staff: Client) -> None:
    used = UsageRecordFactory.create(messages=3)
    for name, args in (("add", ()), ("delete", (used.pk,))):
        url = reverse(f"admin:accounts_usagerecord_{name}", args=args)
        assert staff.post(url, {"messages": 9}).status_code == 403
    url = reverse("admin:accounts_usagerecord_change", args=[used.pk])
    assert staff.post(url, {"messages": 9}).status_code == 403
    assert UsageRecord.objects.get().messages == 3
