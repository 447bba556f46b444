"""The admin's page of breakers: what is not closed or failing, whose it is, and a reset that leaves a trace."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from structlog.testing import capture_logs

from apps.conversations.models import AiAccount
from apps.reliability import breaker, limiter
from apps.reliability.breaker import Outcome, State
from apps.reliability.outage import Outage
from tests.factories.conversations import ChannelAccountFactory

pytestmark = pytest.mark.django_db
PAGE = "admin:monitoring_breaker_changelist"


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "…"))
    monkeypatch.setattr(limiter, "_outage", Outage("limiter", "…"))


@pytest.fixture
def account():
    return ChannelAccountFactory(name="front desk")


def name_of(account):
    return f"channel:{account.public_id}"


def broken(name):
    breaker.record(Outcome((name,), failed=5))
    assert breaker.state(name).state is State.OPEN


def shown(client):
    answer = client.get(reverse(PAGE))
    assert answer.status_code == 200
    return answer.context["breakers"], answer.context["holds"], answer.content.decode()


def reset(client, name, why=""):
    return client.post(f"{reverse('admin:monitoring_breaker_reset')}?name={name}", {"why": why})


def test_nothing_is_broken(staff):
    breakers, holds, page = shown(staff)
    assert (breakers, holds) == ([], [])
    assert "Every breaker is closed" in page


def test_what_is_open_or_failing_is_there_with_its_owner(staff, account):
    customer = account.chatbot.customer
    ai = AiAccount.objects.create(customer=customer, name="main AI", provider="openai")
    broken(name_of(account))
    broken("service:ai:api.example.com")
    breaker.record(Outcome((f"ai:{ai.public_id}",), ok=3, failed=1))
    breaker.record(Outcome(("channel:0b7c6f2e-1111-4222-8333-444455556666",), failed=1))
    limiter.hold(f"widget:{account.public_id}", 600)
    breakers, [hold], page = shown(staff)
    found = {line.name: line for line in breakers}
    first = found[name_of(account)]
    assert (first.kind, first.whose) == ("chat APIs", customer.name)
    assert first.state.startswith("open for ")
    assert "front desk" in first.who
    assert first.next_call.startswith("a probe in ")
    assert reverse("admin:conversations_channelaccount_change", args=[account.pk]) in page
    second = found[f"ai:{ai.public_id}"]
    assert (second.who, second.state, second.failures, second.next_call) == (
        "main AI",
        "failing",
        "1 of 4 calls",
        "now",
    )
    service = found["service:ai:api.example.com"]
    assert (service.who, service.whose, service.kind) == (
        "api.example.com",
        "all accounts",
        "AI providers and their accounts",
    )
    assert found["channel:0b7c6f2e-1111-4222-8333-444455556666"].whose == "an account that is gone"
    assert (hold.who, hold.whose) == (first.who, customer.name)
    assert [line.state[:7] for line in breakers] == ["open fo", "open fo", "failing", "failing"]


def test_a_reset_closes_it_and_says_who_and_why(staff, account):
    broken(name_of(account))
    page = staff.get(f"{reverse('admin:monitoring_breaker_reset')}?name={name_of(account)}")
    assert "front desk" in page.content.decode()
    assert breaker.state(name_of(account)).state is State.OPEN
    with capture_logs() as logs:
        assert reset(staff, name_of(account), "  a new\ntoken ").status_code == 302
    assert breaker.state(name_of(account)).state is State.CLOSED
    [entry] = LogEntry.objects.all()
    assert (entry.object_id, entry.change_message) == (name_of(account), "Reset. Reason: a new token")
    [line] = [line for line in logs if line["event"] == "breaker_reset"]
    assert (line["breaker"], line["reason"]) == (name_of(account), "a new token")


def test_an_operator_resets_a_provider_as_well(staff):
    broken("service:chat:telegram")
    assert reset(staff, "service:chat:telegram").status_code == 302
    assert breaker.state("service:chat:telegram").state is State.CLOSED


@pytest.mark.parametrize("name", ["", "k", "service:", "service:mail:x", "password"])
def test_a_name_that_is_none_is_not_there(staff, name):
    assert reset(staff, name).status_code == 404


def test_who_may_look_may_not_reset(who_may, account):
    broken(name_of(account))
    viewer = who_may("view_breaker")
    _, _, page = shown(viewer)
    assert "Reset…" not in page
    assert reset(viewer, name_of(account)).status_code == 403
    assert breaker.state(name_of(account)).state is State.OPEN
    assert who_may("view_job").get(reverse(PAGE)).status_code == 403
    assert viewer.post(reverse(PAGE)).status_code == 403


def test_without_redis_the_page_says_so(staff, settings, account):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    breaker.states()
    _, _, page = shown(staff)
    assert "Redis can" in page
    assert reset(staff, name_of(account)).status_code == 302
    assert LogEntry.objects.count() == 0
