"""Every way to be refused at the API: the right status, a reason a person can act on, and no row."""

import json
import logging
import uuid

import pytest
from django.db import OperationalError
from django.test import Client, override_settings

from apps.accounts.models import ApiKey
from apps.accounts.services import revoke_api_key
from apps.frontdoor import inbox
from apps.frontdoor.models import InboundEvent
from apps.jobs.models import IdempotencyKey, Job
from tests.factories.accounts import make_api_key
from tests.factories.conversations import ChannelAccountFactory
from tests.frontdoor.conftest import assert_problem, make_caller


@pytest.fixture(autouse=True)
def _no_row(db):
    """Nothing of what is refused here leaves a row."""
    yield
    assert not InboundEvent.objects.exists()
    assert not Job.objects.exists()
    assert not IdempotencyKey.objects.exists()


MALFORMED = {
    "nothing": b"",
    "half": b'{"account": ',
    "not json": b"account=1",
    "not utf-8": b'{"text": "\xff\xfe"}',
    "deep": b"[" * 100_000,
    "NUL": b'{"text": "\x00"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json(caller, body):
    assert_problem(caller.post(body), 400, "JSON")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"4", b"null", b"true"])
def test_json_that_is_no_object(caller, body):
    assert_problem(caller.post(body), 422)


CHANGES = {
    "empty text": ({"text": ""}, "text: it is empty"),
    "blank text": ({"text": " \n\t"}, "text: it is empty"),
    "NUL in the text": ({"text": "a\x00b"}, "text: it contains a NUL"),
    "lone surrogate in the text": ({"text": "a\ud800b"}, "text:"),
    "number for text": ({"text": 4}, "text:"),
    "null for text": ({"text": None}, "text:"),
    "no uuid": ({"account": "4711"}, "account:"),
    "number for account": ({"account": 4711}, "account:"),
    "contact is text": ({"contact": "ada"}, "contact:"),
    "contact without id": ({"contact": {"name": "Ada"}}, "contact.id:"),
    "contact id is a number": ({"contact": {"id": 4}}, "contact.id:"),
    "contact id is blank": ({"contact": {"id": "  "}}, "contact.id: it is empty"),
    "contact id too long": ({"contact": {"id": "a" * 256}}, "contact.id:"),
    "NUL in the contact id": ({"contact": {"id": "a\x00"}}, "contact.id:"),
    "lone surrogate in the contact id": ({"contact": {"id": "\udfff"}}, "contact.id:"),
    "name too long": ({"contact": {"id": "ada", "name": "a" * 256}}, "contact.name:"),
    "NUL in the name": ({"contact": {"id": "ada", "name": "\x00"}}, "contact.name:"),
    "unknown field": ({"txet": "Hello"}, "txet:"),
    "unknown field in contact": ({"contact": {"id": "ada", "nmae": ""}}, "contact.nmae:"),
    "surrogate in a field's name": ({"\ud800": 1}, ""),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_wrong_values_are_named(caller, change, reason):
    assert_problem(caller.post(caller.body(**change), idempotency_key="k"), 422, reason)


@pytest.mark.parametrize("field", ["account", "contact", "text"])
def test_missing_fields_are_named(caller, field):
    body = caller.body()
    del body[field]
    assert_problem(caller.post(body), 422, f"{field}: ")


def test_many_mistakes_make_a_short_reason(caller):
    reason = assert_problem(caller.post({f"field{number}": 1 for number in range(100)}), 422, "more")
    assert len(reason) < 1_000


def test_what_was_sent_is_not_repeated(caller):
    secret = "sk-planted-secret-0123456789"
    for body in (caller.body(text=secret * 1000), caller.body(account=secret), caller.body(contact=secret)):
        response = caller.post(body)
        assert response.status_code == 422
        assert secret.encode() not in response.content


def test_a_body_that_is_too_long(caller):
    assert_problem(caller.post(b'{"text": "' + b"a" * 10_000_000 + b'"}'), 413, "larger than")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_content_type(caller, kind):
    assert_problem(
        caller.post(json.dumps(caller.body()).encode(), content_type=kind), 415, "application/json"
    )


def test_a_charset_with_the_content_type_is_fine_and_checked_for(caller):
    response = caller.post(caller.body(text=""), content_type="application/json; charset=utf-8")
    assert_problem(response, 422)


KEYS = ["", "sb_", "nonsense", "sb_abcdefgh_" + "a" * 43, "sb_abcdefgh_" + "ü" * 43, "\x00", "a" * 5_000]


@pytest.mark.parametrize("secret", KEYS)
def test_a_wrong_key(caller, secret):
    assert_problem(caller.post(authorization=f"Bearer {secret}"), 401, "API key")
    assert_problem(caller.post(authorization=f"Basic {secret}"), 401, "API key")
    assert_problem(caller.post(authorization="", x_api_key=secret), 401, "API key")


def test_no_key(caller):
    response = caller.post(authorization="")
    assert_problem(response, 401, "Authorization")
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_key_that_ended(caller):
    revoke_api_key(key=ApiKey.objects.get())
    assert_problem(caller.post(), 401, "revoked")


def test_a_key_of_a_customer_that_is_switched_off(caller):
    caller.customer.is_active = False
    caller.customer.save()
    assert_problem(caller.post(), 401)


def test_a_key_without_the_scope(caller):
    reader = make_caller(caller.account, scopes=["messages:read"])
    assert_problem(reader.post(), 403, "messages:write")
    writer = make_caller(caller.account, scopes=["messages:write"])
    assert_problem(writer.get(f"/messages/{uuid.uuid4()}"), 403, "messages:read")
    assert_problem(writer.get(f"/conversations/{uuid.uuid4()}"), 403, "messages:read")


def test_an_unknown_account(caller):
    assert_problem(caller.post(caller.body(account=str(uuid.uuid4()))), 404, "account")


def test_an_account_of_somebody_else_looks_unknown(caller):
    strange = caller.post(caller.body(account=str(ChannelAccountFactory.create().public_id)))
    unknown = caller.post(caller.body(account=str(uuid.uuid4())))
    assert_problem(strange, 404)
    assert strange.content == unknown.content


@pytest.mark.parametrize("what", ["account", "chatbot"])
def test_an_account_that_is_switched_off(caller, what):
    thing = caller.account if what == "account" else caller.account.chatbot
    thing.is_active = False
    thing.save()
    assert_problem(caller.post(), 409, "switched off")


def test_another_method(caller):
    for method, path, allowed in (
        ("get", "/api/v1/messages", "POST"),
        ("delete", "/api/v1/messages", "POST"),
        ("put", f"/api/v1/messages/{uuid.uuid4()}", "GET"),
    ):
        response = caller.client.generic(method, path, b"{}", content_type="application/json")
        assert_problem(response, 405, allowed)
        assert allowed in response["Allow"]


@override_settings(DEBUG=True)
def test_another_path_even_while_debugging(caller):
    assert_problem(caller.client.get("/api/v1/nothing"), 404)
    assert_problem(caller.client.get("/api/v1/messages/4711"), 404)
    assert_problem(caller.post(b"{"), 400, "JSON")


def test_a_database_that_is_away(caller, monkeypatch):
    def away(*_):
        raise OperationalError(
            'connection to "10.0.0.5" failed: password authentication for "planted-secret"'
        )

    monkeypatch.setattr(inbox.group, "submit", away)
    response = caller.post(idempotency_key="k")
    reason = assert_problem(response, 503, "Nothing was stored")
    assert int(response["Retry-After"]) > 0
    assert "planted" not in reason


def test_a_bug_of_ours_says_nothing_about_itself(caller, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("the text was planted-secret-0815")

    monkeypatch.setattr(inbox.group, "submit", broken)
    with caplog.at_level(logging.ERROR):
        response = caller.post()
    assert_problem(response, 500, "our side")
    assert b"planted" not in response.content
    assert any("request_failed" in record.getMessage() for record in caplog.records)


def test_no_secret_in_a_log_line(caller, caplog):
    _, secret = make_api_key(scopes=["messages:read"])
    with caplog.at_level(logging.DEBUG), override_settings(DEBUG=True):
        caller.post(authorization=f"Bearer {secret}")
        caller.post(authorization=f"Token {secret}")
        caller.post(authorization=f"Bearer {secret}x")
        caller.post(caller.body(text=""))
        caller.post(b"{")
    assert secret not in caplog.text
    assert caller.secret not in caplog.text


def test_no_csrf_token_is_asked_for(caller):
    strict = Client(enforce_csrf_checks=True)
    response = strict.post(
        "/api/v1/messages",
        json.dumps(caller.body(text="")),
        content_type="application/json",
        headers={"authorization": f"Bearer {caller.secret}"},
    )
    assert_problem(response, 422)
