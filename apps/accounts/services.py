"""What can be done with accounts: make, check and revoke API keys, and log usage."""

import hashlib
import hmac
import json
import re
import secrets
import string
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from django.db import connection
from django.utils import timezone

from apps.accounts.key_cache import KeyCache
from apps.accounts.last_used import last_used
from apps.accounts.models import ApiKey, Customer, UsageRecord
from apps.reliability.prepared import preparing_cursor, records_sql

SECRET_SHAPE = re.compile(r"sb_([a-z0-9]{8})_[A-Za-z0-9_-]{43}", re.ASCII)
_PREFIX_LETTERS = string.ascii_lowercase + string.digits

key_cache = KeyCache()


def create_api_key(
    *, customer: Customer, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key; returns it with its secret, `sb_<prefix>_<43 characters>`, which nobody can ever see again.

    Raises ValidationError for an empty name, no scopes or an unknown one.
    """
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(8))
    secret = f"sb_{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        customer=customer,
        name=name,
        prefix=prefix,
        key_hash=_hash(secret),
        scopes=list(scopes),
        expires_at=expires_at,
    )
    key.full_clean()
    key.save(force_insert=True)
    return key, secret


def revoke_api_key(*, key: ApiKey) -> bool:
    """Close the door for good: here at once, in other processes within two seconds.

    Returns False if it was revoked already; the first time stays on record.
    """
    now = timezone.now()
    revoked = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key_cache.forget(key.key_hash)
    if revoked:
        key.revoked_at = now
    return bool(revoked)


def authenticate_api_key(secret: str) -> ApiKey | None:
    """The key that `secret` opens, with customer and plan loaded; None if it opens nothing (any more).

    Answers from memory for two seconds after the last look into the database. The key is shared between
    requests: read it, don't change it.
    """
    shape = SECRET_SHAPE.fullmatch(secret)
    if shape is None:
        return None
    key_hash = _hash(secret)
    return _usable(key_cache.get(key_hash) or _look_up(shape[1], key_hash))


def known_api_key(secret: str) -> ApiKey | None:
    """What `authenticate_api_key` says, if it can be said from memory; never asks the database."""
    return _usable(key_cache.get(_hash(secret)))


def _usable(key: ApiKey | None) -> ApiKey | None:
    if key is None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    last_used.note(key)
    return key


def _look_up(prefix: str, key_hash: str) -> ApiKey | None:
    asked_at = key_cache.clock()
    usable = ApiKey.objects.usable(timezone.now()).select_related("customer__plan")
    key = usable.filter(prefix=prefix).first()
    if key is None or not hmac.compare_digest(key.key_hash, key_hash):
        return None
    key_cache.keep(key, asked_at=asked_at)
    return key


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def log_usage(used: Sequence[UsageRecord]) -> None:
    """Write these in one INSERT, in the caller's transaction. Nothing used, no query."""
    if not used:
        return
    now = str(connection.ops.adapt_datetimefield_value(timezone.now()))
    rows = [{name: getattr(one, name) for name in USAGE} | {"created_at": now} for one in used]
    with preparing_cursor() as cursor:
        cursor.execute(_insert_usage(connection.vendor), {"rows": json.dumps(rows)})


USAGE = {
    "customer_id": "bigint",
    "reference": "text",
    "messages": "integer",
    "tokens_in": "integer",
    "tokens_out": "integer",
    "sends": "integer",
}


@cache
def _insert_usage(vendor: str) -> str:
    columns = USAGE | {"created_at": "timestamptz"}
    names = ", ".join(columns)
    records = records_sql(vendor, "%(rows)s", columns, "r")
    return f"INSERT INTO accounts_usagerecord ({names}) SELECT {names} FROM {records}"  # noqa: S608 - names of ours
