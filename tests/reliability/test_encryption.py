"""Secrets at rest: what comes back is what went in, or nothing comes back at all."""

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import connection, models, transaction
from django.forms import modelform_factory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings as SettingsWrapper

from apps.reliability.encryption import DecryptionError, EncryptedJSONField, decrypt, encrypt
from tests.reliability.vault import Vault

OLD = "an old key of the tests, long enough to be one"
NEW = "a new key of the tests, long enough to be one"
PLANTED = "planted-secret-4711"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
json_documents = st.lists(json_values, max_size=5) | st.dictionaries(st.text(), json_values, max_size=5)
any_text = st.text(st.characters(exclude_categories=()))


@given(any_text)
def test_text_comes_back(text: str) -> None:
    token = encrypt(text)
    assert token.isascii()
    assert decrypt(token) == text
    assert encrypt(text) != token


@given(json_documents)
def test_json_comes_back_with_its_types(value: Any) -> None:
    assert EncryptedJSONField.decode(EncryptedJSONField.encode(value)) == value


@given(st.text(min_size=1), st.data())
def test_one_changed_character_fails_closed(text: str, data: st.DataObject) -> None:
    token = encrypt(text)
    place = data.draw(st.integers(0, len(token.rstrip("=")) - 2))
    letter = data.draw(st.sampled_from("ABCabc012-_").filter(lambda one: one != token[place]))
    with pytest.raises(DecryptionError):
        decrypt(token[:place] + letter + token[place + 1 :])


@given(any_text)
def test_plaintext_is_never_taken_for_ciphertext(text: str) -> None:
    with pytest.raises(DecryptionError):
        decrypt(text)


def test_an_error_shows_neither_value_nor_key(settings: SettingsWrapper) -> None:
    with pytest.raises(DecryptionError) as caught:
        decrypt(PLANTED)
    error = caught.value
    assert PLANTED not in repr((str(error), error.__dict__, error.__cause__))
    assert error.code == "decryption_failed"
    settings.ENCRYPTION_KEYS = [NEW, PLANTED]
    with pytest.raises(ImproperlyConfigured, match="Key 2") as wrong:
        encrypt("x")
    assert PLANTED not in str(wrong.value)


def test_every_key_decrypts_and_the_first_encrypts(settings: SettingsWrapper) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    token = encrypt("x")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert decrypt(token) == "x"
    fresh = encrypt("y")
    settings.ENCRYPTION_KEYS = [NEW]
    assert decrypt(fresh) == "y"
    with pytest.raises(DecryptionError):
        decrypt(token)


def test_a_ready_fernet_key_is_taken_as_it_is(settings: SettingsWrapper) -> None:
    ready = Fernet.generate_key()
    settings.ENCRYPTION_KEYS = [ready.decode()]
    assert Fernet(ready).decrypt(encrypt("x").encode()) == b"x"


def test_no_key_is_a_clear_error(settings: SettingsWrapper) -> None:
    settings.ENCRYPTION_KEYS = []
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS is empty"):
        encrypt("x")


def stored(pk: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT secrets FROM {Vault._meta.db_table} WHERE id = %s", [pk])
        return cursor.fetchone()[0]


def store(pk: int, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Vault._meta.db_table} SET secrets = %s WHERE id = %s", [text, pk])


def test_the_database_holds_ciphertext_only(vault: type[Vault]) -> None:
    made = vault.objects.create(secrets={"token": PLANTED, "n": 1})
    assert PLANTED not in stored(made.pk)
    assert vault.objects.get(pk=made.pk).secrets == {"token": PLANTED, "n": 1}
    assert vault.objects.values_list("secrets", flat=True).get() == {"token": PLANTED, "n": 1}
    vault.objects.filter(pk=made.pk).update(secrets=[1, "two"])
    made.refresh_from_db()
    assert made.secrets == [1, "two"]
    vault.objects.bulk_update([vault(pk=made.pk, secrets={"bulk": PLANTED})], ["secrets"])
    assert PLANTED not in stored(made.pk)
    assert vault.objects.get().secrets == {"bulk": PLANTED}


def test_none_is_null(vault: type[Vault]) -> None:
    made = vault.objects.create(secrets=None)
    assert stored(made.pk) is None
    assert list(vault.objects.filter(secrets__isnull=True)) == [made]
    assert vault.objects.get().secrets is None


@pytest.mark.parametrize("value", ["text", 1, b"x", {"x": object()}, {"x": float("nan")}])
def test_what_is_not_a_json_document_is_refused(vault: type[Vault], value: Any) -> None:
    with pytest.raises((TypeError, ValueError)), transaction.atomic():
        vault.objects.create(secrets=value)
    assert not vault.objects.exists()


@pytest.mark.parametrize("text", ['{"token": "plain"}', "", "gAAAAAgarbage"])
def test_a_row_that_was_tampered_with_is_not_read(vault: type[Vault], text: str) -> None:
    made = vault.objects.create(secrets={})
    store(made.pk, text)
    with pytest.raises(DecryptionError):
        vault.objects.get(pk=made.pk)
    assert vault.objects.defer("secrets").get() == made


@pytest.mark.parametrize(
    "asked",
    ["secrets", "secrets__exact", "secrets__contains", "secrets__in", "secrets__gt", "secrets__token"],
)
def test_lookups_are_refused(vault: type[Vault], asked: str) -> None:
    with pytest.raises(FieldError, match="encrypted"):
        list(vault.objects.filter(**{asked: {}}))


def test_forms_and_fixtures_show_no_secret(vault: type[Vault]) -> None:
    made = vault.objects.create(secrets={"token": PLANTED})
    assert "secrets" not in modelform_factory(vault, fields="__all__").base_fields
    fixture = serializers.serialize("json", [made])
    assert PLANTED not in fixture
    value = json.loads(fixture)[0]["fields"]["secrets"]
    assert vault._meta.get_field("secrets").to_python(value) == {"token": PLANTED}


def test_a_migration_can_write_the_field_down() -> None:
    _, path, args, kwargs = Vault._meta.get_field("secrets").deconstruct()
    assert path == "apps.reliability.encryption.EncryptedJSONField"
    assert isinstance(EncryptedJSONField(*args, **kwargs), models.TextField)
