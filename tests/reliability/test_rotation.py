"""Changing the encryption key beside running workers, without losing a value."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings as SettingsWrapper

from apps.operations.management.commands import rotate_encryption_keys
from apps.reliability import rotation
from apps.reliability.encryption import decrypt, encrypt, encrypted_fields
from apps.reliability.rotation import Rotation, rotate
from tests.reliability.test_encryption import NEW, OLD, store, stored
from tests.reliability.vault import Vault


@given(st.lists(st.tuples(st.text(), st.booleans()), max_size=8))
def test_values_of_both_keys_end_under_the_first(values: list[tuple[str, bool]]) -> None:
    from django.test import override_settings

    with override_settings(ENCRYPTION_KEYS=[OLD]):
        tokens = [(n, encrypt(text)) for n, (text, old) in enumerate(values) if old]
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        tokens += [(n, encrypt(text)) for n, (text, old) in enumerate(values) if not old]
        found = Rotation()
        fresh = rotation._fresh(tokens, found)
    assert found.failed == []
    assert found.current == sum(not old for _, old in values)
    with override_settings(ENCRYPTION_KEYS=[NEW]):
        assert {n: decrypt(new) for n, _, new in fresh} == {
            n: text for n, (text, old) in enumerate(values) if old
        }


@pytest.fixture
def both_keys(settings: SettingsWrapper, vault: type[Vault]) -> list[Vault]:
    """Five rows of the old key; from here on the new one comes first."""
    settings.ENCRYPTION_KEYS = [OLD]
    rows = [vault.objects.create(secrets={"n": n}) for n in range(5)]
    vault.objects.create(secrets=None)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    return rows


def test_every_row_moves_to_the_new_key_and_a_second_run_changes_nothing(
    both_keys: list[Vault], settings: SettingsWrapper
) -> None:
    assert rotate(Vault, "secrets", batch=2) == Rotation(rotated=5)
    settings.ENCRYPTION_KEYS = [NEW]
    before = [stored(row.pk) for row in both_keys]
    assert [Vault.objects.get(pk=row.pk).secrets for row in both_keys] == [{"n": n} for n in range(5)]
    assert rotate(Vault, "secrets", batch=2) == Rotation(current=5)
    assert [stored(row.pk) for row in both_keys] == before


def test_what_is_saved_in_between_is_kept(
    both_keys: list[Vault], settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = rotation._fresh
    changes = [
        (both_keys[0], {"edited": "by a new process"}, NEW),
        (both_keys[0], {"edited": "by an old one"}, OLD),
    ]

    def somebody_saves(*args: Any) -> Any:
        judged = judge(*args)
        if changes:
            row, value, key = changes.pop()
            settings.ENCRYPTION_KEYS = [key]
            Vault.objects.filter(pk=row.pk).update(secrets=value)
            settings.ENCRYPTION_KEYS = [NEW, OLD]
        return judged

    monkeypatch.setattr(rotation, "_fresh", somebody_saves)
    found = rotate(Vault, "secrets")
    assert (found.rotated, found.current, found.failed) == (4, 1, [])
    settings.ENCRYPTION_KEYS = [NEW]
    assert Vault.objects.get(pk=both_keys[0].pk).secrets == {"edited": "by a new process"}
    assert Vault.objects.get(pk=both_keys[1].pk).secrets == {"n": 1}


def test_a_row_that_is_deleted_in_between_is_no_failure(
    both_keys: list[Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = rotation._fresh

    def somebody_deletes(*args: Any) -> Any:
        judged = judge(*args)
        Vault.objects.filter(pk=both_keys[2].pk).delete()
        return judged

    monkeypatch.setattr(rotation, "_fresh", somebody_deletes)
    assert rotate(Vault, "secrets") == Rotation(rotated=4)


def test_what_no_key_opens_is_left_alone_and_named(
    both_keys: list[Vault], settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(both_keys[1].pk, "tampered")
    monkeypatch.setattr(rotate_encryption_keys.apps, "get_models", lambda: [Vault])
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="1 stored secrets") as ended:
        call_command("rotate_encryption_keys", "--batch", "2", stdout=out, stderr=err)
    assert ended.value.returncode == 1
    assert "4 rotated, 0 already current, 1 failed" in out.getvalue()
    assert f"Vault {both_keys[1].pk}:" in err.getvalue()
    assert stored(both_keys[1].pk) == "tampered"
    settings.ENCRYPTION_KEYS = [NEW]
    assert Vault.objects.get(pk=both_keys[4].pk).secrets == {"n": 4}


@pytest.mark.django_db
def test_the_command_walks_every_model_and_says_what_it_did() -> None:
    out = io.StringIO()
    call_command("rotate_encryption_keys", stdout=out)
    from django.apps import apps

    for model, field in encrypted_fields(apps.get_models()):
        assert f"{model._meta.label}.{field}: 0 rotated" in out.getvalue()


def test_the_command_without_keys_gives_a_hint(
    vault: type[Vault], settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENCRYPTION_KEYS = []
    monkeypatch.setattr(rotate_encryption_keys.apps, "get_models", lambda: [Vault])
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS is empty"):
        call_command("rotate_encryption_keys")
