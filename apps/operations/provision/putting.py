"""One row made, changed or left alone, so that it has the values asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from apps.operations.provision.report import Done
from apps.operations.provision.wanted import ProvisionError
from apps.reliability.encryption import DecryptionError, EncryptedJSONField, ciphertext

AnyModel = TypeVar("AnyModel", bound=Model)


def only(rows: QuerySet[AnyModel], where: str, what: str) -> AnyModel | None:
    """The one row, or None. Raises ProvisionError when there are several: nobody could say which is meant."""
    found = list(rows[:2])
    if len(found) > 1:
        raise ProvisionError(where, f"there are several {what}; rename the others in the admin first")
    return found[0] if found else None


def put(row: AnyModel, values: Mapping[str, Any], where: str) -> tuple[AnyModel, Done]:
    """Give `row` these values and save it if that changes anything; a row without a key is created.

    Raises ProvisionError with the model's own words.
    """
    is_new = row.pk is None
    changed = tuple(name for name, value in values.items() if is_new or getattr(row, name) != value)
    for name in changed:
        setattr(row, name, values[name])
    if not changed and not is_new:
        return row, Done("unchanged")
    try:
        row.full_clean(exclude={"credentials"})
    except ValidationError as problem:
        words = [
            f"{name}: {' '.join(found)}" if name != "__all__" else " ".join(found)
            for name, found in problem.message_dict.items()
        ]
        raise ProvisionError(where, "; ".join(words)) from None
    if is_new:
        row.save(force_insert=True)
        return row, Done("created", changed)
    row.save(update_fields=changed)
    return row, Done("updated", changed)


def stored_credentials(row: Model) -> dict[str, Any] | None:
    """The credentials as they are stored, {} where there are none, None if no present key opens them."""
    if row.pk is None:
        return {}
    manager = type(row)._base_manager
    token = (
        manager.filter(pk=row.pk).annotate(token=ciphertext("credentials")).values_list("token", flat=True)
    )
    try:
        found: dict[str, Any] = EncryptedJSONField.decode(token.get())
    except DecryptionError:
        return None
    return found
