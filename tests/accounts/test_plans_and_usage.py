"""Priority by a plan's price, and what a customer used."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from apps.accounts import services
from apps.accounts.models import Customer, Plan, UsageRecord
from tests.factories.accounts import CustomerFactory, PlanFactory, UsageRecordFactory

START = datetime(2026, 5, 1, tzinfo=UTC)
NOTHING = {"messages": 0, "tokens_in": 0, "tokens_out": 0, "sends": 0}


@pytest.mark.parametrize(
    ("price", "priority"),
    [("0", 5), ("49.99", 5), ("50", 3), ("99.99", 3), ("100", 1), ("100.01", 1), ("99999999.99", 1)],
)
def test_priority_by_price(price: str, priority: int) -> None:
    plan = Plan(monthly_price=Decimal(price))
    assert plan.priority == priority
    assert Customer(plan=plan).priority == priority


def test_a_customer_without_a_plan_comes_last() -> None:
    assert Customer().priority == 5


@given(st.decimals(0, 10**7, places=2), st.decimals(0, 10**7, places=2))
def test_who_pays_more_never_waits_longer(one: Decimal, other: Decimal) -> None:
    less, more = sorted((one, other))
    assert Plan(monthly_price=more).priority <= Plan(monthly_price=less).priority


@pytest.mark.django_db
def test_a_negative_price_is_refused_by_form_and_database() -> None:
    with pytest.raises(ValidationError):
        Plan(name="x", monthly_price=Decimal(-1)).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanFactory.create(monthly_price=Decimal(-1))


@pytest.mark.django_db
def test_totals_of_a_span_that_includes_its_beginning_and_not_its_end() -> None:
    mine, other = CustomerFactory.create_batch(2)
    for customer, days, messages in (
        (mine, -1, 1),
        (mine, 0, 2),
        (mine, 29, 4),
        (mine, 30, 8),
        (other, 0, 16),
    ):
        UsageRecordFactory.create(
            customer=customer,
            created_at=START + timedelta(days=days),
            messages=messages,
            tokens_in=messages * 10,
            tokens_out=messages * 100,
            sends=messages,
        )
    span = (START, START + timedelta(days=30))
    assert mine.usage.totals(*span) == {"messages": 6, "tokens_in": 60, "tokens_out": 600, "sends": 6}
    assert UsageRecord.objects.totals(*span)["messages"] == 22
    assert mine.usage.totals(START - timedelta(days=9), START - timedelta(days=8)) == NOTHING


@pytest.mark.django_db
def test_usage_is_written_in_one_insert(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    customer = CustomerFactory.create()
    records = [UsageRecord(customer=customer, reference=f"m{n}", messages=1) for n in range(50)]
    with django_assert_num_queries(1):
        services.log_usage(records)
    with django_assert_num_queries(0):
        services.log_usage([])
    assert customer.usage.totals(START, START + timedelta(days=99_999))["messages"] == 50


@pytest.mark.django_db
def test_totals_of_one_customer_use_the_index() -> None:
    plan = UsageRecord.objects.filter(customer=1, created_at__gte=START).explain()
    if connection.vendor == "sqlite":
        assert "usage_by_customer_and_time" in plan
    indexes = {index.name for index in UsageRecord._meta.indexes}
    assert "usage_by_customer_and_time" in indexes
    assert not UsageRecord._meta.get_field("customer").db_index
