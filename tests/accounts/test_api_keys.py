"""The life of an API key: made, used, remembered for two seconds, revoked."""

import hashlib
import io
import re
import threading
from datetime import timedelta

import pytest
import structlog
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from apps.accounts import services
from apps.accounts.key_cache import MOST_KEYS, KeyCache
from apps.accounts.last_used import LastUsed
from apps.accounts.models import ApiKey
from apps.reliability.redaction import redact
from tests.accounts.conftest import HandClock
from tests.factories.accounts import CustomerFactory, make_api_key
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def test_a_new_key_opens_and_its_secret_is_kept_nowhere(clock: HandClock) -> None:
    key, secret = make_api_key(scopes=["messages:read"])
    assert re.fullmatch(rf"sb_{key.prefix}_[A-Za-z0-9_-]{{43}}", secret)
    assert services.authenticate_api_key(secret) == key
    assert key.has_scope("messages:read")
    assert not key.has_scope("messages:write")
    key.refresh_from_db()
    assert key.key_hash == hashlib.sha256(secret.encode()).hexdigest()
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    tail = secret.rsplit("_", 1)[1] if secret.count("_") == 2 else secret[12:]
    assert all(tail not in str(value) for value in row.values())


def test_a_secret_shows_in_no_text_of_a_key(capsys: pytest.CaptureFixture[str], clock: HandClock) -> None:
    key, secret = make_api_key()
    services.authenticate_api_key(secret)
    structlog.get_logger("test").warning("key used", key=key, given=secret, header=f"Bearer {secret}")
    logged = "".join(capsys.readouterr())
    for text in (repr(key), str(key), logged, repr(redact({"key": key, "text": f"it was {secret}."}))):
        assert secret[12:] not in text
        assert key.key_hash not in text


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("", ["messages:read"]),
        ("x", []),
        ("x", ["messages:everything"]),
        ("x", ["messages:read", "messages:read"]),
        ("x", "messages:read"),
        ("x", [["messages:read"]]),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(name: str, scopes: list[str]) -> None:
    with pytest.raises(ValidationError):
        services.create_api_key(customer=CustomerFactory.create(), name=name, scopes=scopes)
    assert not ApiKey.objects.exists()


def test_no_two_keys_share_a_prefix() -> None:
    key, _ = make_api_key()
    with pytest.raises(IntegrityError):
        ApiKey.objects.create(customer=key.customer, name="x", prefix=key.prefix, key_hash="0" * 64)


def test_the_right_prefix_with_another_tail_opens_nothing(clock: HandClock) -> None:
    _, secret = make_api_key()
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert services.authenticate_api_key(other) is None


@given(st.one_of(st.text(), st.from_regex(r"sb_[a-z0-9]{8}_[A-Za-z0-9_-]{43}")))
def test_whatever_a_stranger_sends_opens_nothing(secret: str) -> None:
    assert services.authenticate_api_key(secret) is None


def test_what_has_not_the_shape_of_a_key_costs_no_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        for secret in ("", "sb_", "x" * 100_000, "sb_ABCDEFGH_" + "x" * 43, "sb_abcdefgh_" + "\ud800" * 43):
            assert services.authenticate_api_key(secret) is None


def test_within_two_seconds_a_key_is_not_looked_up_again(
    clock: HandClock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _, secret = make_api_key()
    with django_assert_num_queries(1):
        first = services.authenticate_api_key(secret)
        clock.move(1.99)
        again = services.authenticate_api_key(secret)
        assert again is not None
        assert again is first
        assert again.customer.priority == 5
    clock.move(0.02)
    with django_assert_num_queries(1):
        assert services.authenticate_api_key(secret) == again


def test_revoked_elsewhere_a_key_is_refused_after_two_seconds(clock: HandClock) -> None:
    key, secret = make_api_key()
    assert services.authenticate_api_key(secret)
    # Another process did it: its memory isn't ours.
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    clock.move(2.0)
    assert services.authenticate_api_key(secret) is None


def test_revoked_here_a_key_is_refused_at_once_and_the_first_time_stays(clock: HandClock) -> None:
    key, secret = make_api_key()
    assert services.authenticate_api_key(secret)
    assert services.revoke_api_key(key=key) is True
    assert services.authenticate_api_key(secret) is None
    first = key.revoked_at
    assert services.revoke_api_key(key=ApiKey.objects.get()) is False
    assert ApiKey.objects.get().revoked_at == first


def test_the_two_seconds_begin_when_the_database_was_asked() -> None:
    hand = HandClock()
    cache = KeyCache(clock=hand.monotonic)
    key = ApiKey(key_hash="a" * 64)
    asked_at = hand.monotonic()
    hand.move(1.5)  # a slow answer: somebody may have revoked the key meanwhile
    cache.keep(key, asked_at=asked_at)
    assert cache.get(key.key_hash) is key
    hand.move(0.5)
    assert cache.get(key.key_hash) is None


def test_the_memory_of_keys_is_bounded() -> None:
    cache = KeyCache(clock=lambda: 0.0)
    for number in range(MOST_KEYS + 1):
        cache.keep(ApiKey(key_hash=str(number)), asked_at=0.0)
    assert len(cache._kept) == 1


def test_an_inactive_customers_keys_are_refused(clock: HandClock) -> None:
    key, secret = make_api_key(CustomerFactory.create(is_active=False))
    assert services.authenticate_api_key(secret) is None
    type(key.customer).objects.update(is_active=True)
    assert services.authenticate_api_key(secret) == key


def test_an_expired_key_is_refused_even_from_memory(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    key, secret = services.create_api_key(
        customer=CustomerFactory.create(),
        name="x",
        scopes=["messages:read"],
        expires_at=now + timedelta(hours=1),
    )
    assert services.authenticate_api_key(secret) == key
    monkeypatch.setattr(services.timezone, "now", lambda: now + timedelta(hours=1))
    assert services.authenticate_api_key(secret) is None
    services.key_cache.clear()
    assert services.authenticate_api_key(secret) is None


def test_a_use_is_written_beside_the_request_and_once_a_minute(
    clock: HandClock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key, secret = make_api_key()
    noting = services.last_used
    services.authenticate_api_key(secret)
    key.refresh_from_db()
    assert key.last_used_at is None
    first = clock.now()
    assert noting.flush() == 1
    key.refresh_from_db()
    assert key.last_used_at == first
    for _ in range(58):
        clock.move(1)
        services.authenticate_api_key(secret)
    with django_assert_num_queries(0):
        assert noting.flush() == 0
    clock.move(2)
    services.authenticate_api_key(secret)
    with django_assert_num_queries(1):
        assert noting.flush() == 1


def test_a_use_never_moves_backwards(clock: HandClock) -> None:
    key, _ = make_api_key()
    noting = LastUsed(now=clock.now)
    noting.note(key)
    later = clock.now() + timedelta(hours=1)
    ApiKey.objects.update(last_used_at=later)
    noting.flush()
    assert ApiKey.objects.get().last_used_at == later


@pytest.mark.django_db(transaction=True)
def test_the_thread_writes_what_is_noted_before_it_ends(clock: HandClock) -> None:
    key, _ = make_api_key()
    noting = LastUsed(now=clock.now)
    noting.start()
    noting.start()
    assert sum(thread.name == "api-key-last-used" for thread in threading.enumerate()) == 1
    noting.note(key)
    noting.stop()
    wait_until(lambda: ApiKey.objects.get().last_used_at == clock.now(), what="the use is written")


def test_the_command_prints_the_secret_and_nothing_else(clock: HandClock) -> None:
    customer = CustomerFactory.create(name="Acme")
    for named in ("Acme", str(customer.public_id)):
        out, err = io.StringIO(), io.StringIO()
        call_command(
            "create_api_key",
            "--customer", named, "--name", "site", "--scope", "messages:read", "--scope", "messages:write",
            stdout=out, stderr=err,
        )  # fmt: skip
        secret = out.getvalue().strip()
        key = services.authenticate_api_key(secret)
        assert key is not None
        assert (key.customer, key.scopes) == (customer, ["messages:read", "messages:write"])
        assert secret not in err.getvalue()


def test_the_command_refuses_what_it_does_not_know() -> None:
    CustomerFactory.create_batch(2, name="Twin")
    for customer, scope, reason in (
        ("Nobody", "messages:read", "no customer"),
        ("Twin", "messages:read", "public id"),
        ("Twin", "everything", "invalid choice"),
    ):
        with pytest.raises(CommandError, match=reason):
            call_command("create_api_key", "--customer", customer, "--name", "x", "--scope", scope)
    assert not ApiKey.objects.exists()
