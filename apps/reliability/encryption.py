"""Secrets at rest: text and JSON encrypted with keys from the environment, never with SECRET_KEY.

`ENCRYPTION_KEYS` is a list. The first key encrypts, all of them decrypt. To change a key:

1. put the new key first, keep the old one behind it, restart every process;
2. `manage.py rotate_encryption_keys` (safe to repeat, safe beside running workers);
3. when it says that nothing failed, take the old key away.

A value that no key opens raises DecryptionError; it never comes back as text. Plaintext found in an encrypted
column counts as tampering too.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from apps.reliability.errors import PermanentError

if TYPE_CHECKING:
    # Only the stubs know type parameters for fields.
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField

SHORTEST_KEY = 32
# What Fernet.generate_key() makes: 32 bytes in URL-safe base64. Any other long string is hashed to that.
READY_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class DecryptionError(PermanentError):
    """A stored value was tampered with, or the key that wrote it is no longer in ENCRYPTION_KEYS."""

    def __init__(self, message: str = "A stored secret can't be decrypted.") -> None:
        super().__init__(
            message,
            code="decryption_failed",
            advice="Put the key that wrote it back into ENCRYPTION_KEYS, or enter the secret again.",
        )


def encrypt(text: str) -> str:
    """`text` encrypted with the first key. Raises ImproperlyConfigured without usable keys."""
    return ciphers()[0].encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")


def decrypt(token: str) -> str:
    """The text that `encrypt` made `token` from. Raises DecryptionError if no key opens it."""
    try:
        return (
            MultiFernet(ciphers()).decrypt(token.encode("utf-8", "replace")).decode("utf-8", "surrogatepass")
        )
    except InvalidToken:
        # The token itself is left out of the message and of the chain: it may be plaintext.
        raise DecryptionError from None


def ciphers() -> tuple[Fernet, ...]:
    """One cipher for each of ENCRYPTION_KEYS, in its order. Raises ImproperlyConfigured with a hint."""
    return _ciphers(tuple(settings.ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _ciphers(keys: tuple[str, ...]) -> tuple[Fernet, ...]:
    if not keys:
        raise ImproperlyConfigured(
            "ENCRYPTION_KEYS is empty. Put a random string of at least 32 characters into it, as from: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return tuple(Fernet(_fernet_key(key, place)) for place, key in enumerate(keys, start=1))


def _fernet_key(key: str, place: int) -> bytes:
    if len(key) < SHORTEST_KEY:
        raise ImproperlyConfigured(
            f"Key {place} of ENCRYPTION_KEYS has {len(key)} characters; it needs at least {SHORTEST_KEY}."
        )
    raw = key.encode("utf-8", "surrogatepass")
    if READY_KEY.fullmatch(key):
        return raw
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest())


def ciphertext(field: str) -> Cast:
    """An expression for what stands in the column `field`, undecrypted.

    For bulk reads, where one bad row must not take its neighbours down: annotate with it, and turn each value
    into data with `EncryptedJSONField.decode`.
    """
    return Cast(field, output_field=models.TextField())


class EncryptedJSONField(_TextField):
    """A JSON object or array, encrypted as one text; None is NULL.

    Reading a row whose value can't be decrypted raises DecryptionError. Lookups other than `isnull` are
    refused. Forms leave the field out (an admin page that takes secrets brings its own write-only field), and
    serializers (`dumpdata`) write the ciphertext.
    """

    description = "JSON, encrypted"

    @staticmethod
    def encode(value: Any) -> str:
        """Ciphertext of a dict or list. Raises TypeError or ValueError for what is not JSON."""
        if not isinstance(value, dict | list):
            # A bare string would be mistaken for ciphertext when a fixture is loaded.
            raise TypeError(f"An encrypted JSON value is a dict or a list, not {type(value).__name__}.")
        return encrypt(json.dumps(value, separators=(",", ":"), allow_nan=False))

    @staticmethod
    def decode(token: str) -> Any:
        """The value `encode` made `token` from. Raises DecryptionError."""
        return json.loads(decrypt(token))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else self.decode(value)

    def to_python(self, value: Any) -> Any:
        return self.decode(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, Combinable):
            return value
        return self.encode(value)

    def value_to_string(self, obj: models.Model) -> str:
        return self.encode(self.value_from_object(obj))

    def formfield(self, *args: Any, **kwargs: Any) -> None:
        return None

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        raise FieldError(f"{self.name} is encrypted: it can't be searched ({lookup_name}), only read.")

    def get_transform(self, lookup_name: str) -> Any:
        raise FieldError(f"{self.name} is encrypted: it can't be searched ({lookup_name}), only read.")


def encrypted_fields(of: Iterable[type[models.Model]]) -> list[tuple[type[models.Model], str]]:
    """Every (model, field name) that keeps encrypted values; inherited fields once, where the column is."""
    return [
        (model, field.name)
        for model in of
        if not model._meta.proxy and model._meta.managed
        for field in model._meta.local_fields
        if isinstance(field, EncryptedJSONField)
    ]
