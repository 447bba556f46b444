"""Breakers over the API: a customer sees and resets those of its own accounts, and sees its providers'."""

import json
import uuid

import pytest
from structlog.testing import capture_logs

from apps.conversations.models import AiAccount
from apps.reliability import breaker
from apps.reliability.breaker import Outcome, State
from apps.reliability.outage import Outage
from tests.frontdoor.conftest import make_caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_outage(monkeypatch):
    monkeypatch.setattr(breaker, "_outage", Outage("breaker", "…"))


def name_of(caller):
    return f"channel:{caller.account.public_id}"


def broken(*names):
    for name in names:
        breaker.record(Outcome((name,), failed=5))


def reset(caller, name, **body):
    headers = {"authorization": f"Bearer {caller.secret}"}
    path = f"/api/v1/breakers/{name}/reset"
    return caller.client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def listed(caller):
    answer = caller.get("/breakers")
    assert answer.status_code == 200, answer.content
    return {one["name"]: one for one in answer.json()["breakers"]}


def test_ones_own_accounts_and_the_providers_they_use(caller):
    mine = AiAccount.objects.create(
        customer=caller.customer, name="own", provider="openai", base_url="http://ollama:11434/v1"
    )
    stranger = make_caller()
    theirs = AiAccount.objects.create(customer=stranger.customer, name="theirs", provider="openai")
    broken(name_of(caller), f"ai:{mine.public_id}", "service:ai:ollama:11434", "service:chat:widget")
    broken(name_of(stranger), f"ai:{theirs.public_id}", "service:ai:api.openai.com", "service:rpc:ton")
    assert set(listed(caller)) == {
        name_of(caller), f"ai:{mine.public_id}", "service:ai:ollama:11434", "service:chat:widget",
    }  # fmt: skip
    assert set(listed(stranger)) == {
        name_of(stranger), f"ai:{theirs.public_id}", "service:ai:api.openai.com", "service:chat:widget",
    }  # fmt: skip


def test_what_is_said_of_one(caller):
    assert listed(caller) == {}
    broken(name_of(caller))
    breaker.record(Outcome(("service:chat:widget",), ok=3, failed=1))
    found = listed(caller)
    account = found[name_of(caller)]
    assert account.pop("since").endswith("Z")
    assert 0 < account.pop("seconds") <= 30
    assert account == {
        "name": name_of(caller), "scope": "account", "kind": "chat", "state": "open", "failures": 0, "calls": 0,
    }  # fmt: skip
    assert found["service:chat:widget"] == {
        "name": "service:chat:widget", "scope": "service", "kind": "chat", "state": "closed", "since": None,
        "seconds": 0.0, "failures": 1, "calls": 4,
    }  # fmt: skip


def test_a_reset_closes_it_and_is_on_record(caller):
    broken(name_of(caller))
    with capture_logs() as logs:
        answer = reset(caller, name_of(caller), reason="new token")
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert breaker.state(name_of(caller)).state is State.CLOSED
    [line] = [line for line in logs if line["event"] == "breaker_reset"]
    assert (line["breaker"], line["customer"], line["reason"]) == (
        name_of(caller),
        caller.customer.pk,
        "new token",
    )
    assert "test key" in line["by"]
    assert caller.secret not in repr(line)
    assert reset(caller, name_of(caller)).status_code == 200  # once more does no harm


def test_others_breakers_do_not_exist(caller):
    stranger = make_caller()
    broken(name_of(stranger))
    strange = reset(caller, name_of(stranger))
    unknown = reset(caller, f"channel:{uuid.uuid4()}")
    assert (strange.status_code, unknown.status_code) == (404, 404)
    assert strange.content == unknown.content
    assert breaker.state(name_of(stranger)).state is State.OPEN
    for name in ("k", f"widget:{caller.account.public_id}", "service:rpc:ton", "ai:", "channel:x", "%00"):
        assert reset(caller, name).status_code == 404, name


def test_a_name_that_only_looks_like_that_of_ones_own_account_is_none(caller):
    broken(name_of(caller))
    own = str(caller.account.public_id)
    for name in (f"channel:{own.upper()}", f"channel:{own.replace('-', '')}", f"channel:x:{own}"):
        assert reset(caller, name).status_code == 404, name
    assert breaker.state(name_of(caller)).state is State.OPEN


def test_a_providers_breaker_is_the_operators(caller):
    broken("service:chat:widget")
    answer = reset(caller, "service:chat:widget")
    assert answer.status_code == 403
    assert "operator" in answer.json()["detail"]
    assert breaker.state("service:chat:widget").state is State.OPEN


def test_scopes(caller):
    reader = make_caller(caller.account, scopes=["breakers:read"])
    assert reader.get("/breakers").status_code == 200
    assert reset(reader, name_of(caller)).status_code == 403
    other = make_caller(caller.account, scopes=["messages:read"])
    assert other.get("/breakers").status_code == 403
    assert make_caller(caller.account).client.get("/api/v1/breakers").status_code == 401


@pytest.mark.parametrize("body", [{"reason": 3}, {"reason": "x" * 1001}, {"why": "x"}, {"reason": "\x00"}])
def test_a_body_that_makes_no_sense(caller, body):
    assert reset(caller, name_of(caller), **body).status_code == 422


def test_without_redis_nothing_is_known(caller, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert reset(caller, name_of(caller)).status_code == 503
    answer = caller.get("/breakers")
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
