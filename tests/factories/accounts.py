"""Accounts for tests."""

from decimal import Decimal

import factory
from factory.django import DjangoModelFactory

from apps.accounts import services
from apps.accounts.models import ApiKey, Customer, Plan, UsageRecord, User
from apps.accounts.scopes import SCOPES


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")
    is_active = True


class StaffFactory(UserFactory):
    """Somebody who may do everything in the admin."""

    is_staff = True
    is_superuser = True


class PlanFactory(DjangoModelFactory[Plan]):
    class Meta:
        model = Plan

    name = factory.Sequence(lambda n: f"Plan {n}")
    monthly_price = Decimal("49.00")


class CustomerFactory(DjangoModelFactory[Customer]):
    class Meta:
        model = Customer

    name = factory.Sequence(lambda n: f"Customer {n}")
    plan = factory.SubFactory(PlanFactory)


class UsageRecordFactory(DjangoModelFactory[UsageRecord]):
    class Meta:
        model = UsageRecord

    customer = factory.SubFactory(CustomerFactory)
    reference = factory.Sequence(lambda n: f"message {n}")


def make_api_key(customer: Customer | None = None, scopes: list[str] | None = None) -> tuple[ApiKey, str]:
    """A key made the way all keys are, and its secret; with every scope unless told."""
    return services.create_api_key(
        customer=customer or CustomerFactory.create(), name="test key", scopes=scopes or list(SCOPES)
    )
