"""Rewrite stored secrets with the first of ENCRYPTION_KEYS, beside running workers.

1. Read a batch of ciphertexts in the order of their keys, without decrypting through the model.
2. What the first key opens is left alone, so a second run changes nothing.
3. What another key opens is encrypted anew and written with `WHERE column = <what was read>`: a row that
   somebody saved in between keeps that newer value, is read again and judged again.
4. What no key opens is left as it is and reported by its primary key.
"""

from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.db import models, transaction
from django.db.models import Value
from django.db.models.lookups import Exact

from apps.reliability.encryption import ciphers, ciphertext

# Somebody would have to save the same row this often within a few milliseconds each.
MOST_TRIES = 10


@dataclass
class Rotation:
    """What one run found: rows rewritten, rows that had the first key already, primary keys no key opens."""

    rotated: int = 0
    current: int = 0
    failed: list[Any] = field(default_factory=list)


def rotate(model: type[models.Model], field_name: str, *, batch: int = 200) -> Rotation:
    """Bring every value of `field_name` under the first key, each batch in a transaction of its own.

    Raises ImproperlyConfigured without usable keys; values that can't be decrypted don't raise, they are in
    `failed`.
    """
    ciphers()
    found = Rotation()
    rows = (
        model._base_manager.exclude(**{f"{field_name}__isnull": True})
        .annotate(found_token=ciphertext(field_name))
        .order_by("pk")
    )
    last: Any = None
    while True:
        page = rows if last is None else rows.filter(pk__gt=last)
        tokens = list(page.values_list("pk", "found_token")[:batch])
        if not tokens:
            return found
        last = tokens[-1][0]
        _rotate_rows(model, field_name, tokens, found)


def _rotate_rows(
    model: type[models.Model], field_name: str, tokens: list[tuple[Any, str]], found: Rotation
) -> None:
    for _ in range(MOST_TRIES):
        fresh = _fresh(tokens, found)
        overtaken: list[Any] = []
        with transaction.atomic():
            for pk, old, new in fresh:
                written = (
                    model._base_manager.filter(Exact(ciphertext(field_name), Value(old)), pk=pk)
                    .order_by()
                    .update(**{field_name: Value(new, output_field=models.TextField())})
                )
                if written:
                    found.rotated += 1
                else:
                    overtaken.append(pk)
        if not overtaken:
            return
        tokens = list(
            model._base_manager.filter(pk__in=overtaken, **{f"{field_name}__isnull": False})
            .annotate(found_token=ciphertext(field_name))
            .values_list("pk", "found_token")
        )
    found.failed += [pk for pk, _ in tokens]


def _fresh(tokens: list[tuple[Any, str]], found: Rotation) -> list[tuple[Any, str, str]]:
    """(pk, old ciphertext, new ciphertext) of what needs the first key; counts the others."""
    first, every = ciphers()[0], MultiFernet(ciphers())
    fresh = []
    for pk, old in tokens:
        raw = old.encode("utf-8", "replace")
        if _opens(first, raw):
            found.current += 1
        elif _opens(every, raw):
            fresh.append((pk, old, every.rotate(raw).decode("ascii")))
        else:
            found.failed.append(pk)
    return fresh


def _opens(cipher: Fernet | MultiFernet, token: bytes) -> bool:
    try:
        cipher.decrypt(token)
    except InvalidToken:
        return False
    return True
