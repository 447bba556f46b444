"""Encryption keys and what they open; API keys that programs need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from shlex import quote
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.utils import timezone

from apps.accounts.models import ApiKey, Customer
from apps.operations.checks import DEVELOPMENT
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn
from apps.reliability.encryption import ciphers, ciphertext, encrypted_fields

SOON = timedelta(days=7)
ROTATE = "python manage.py rotate_encryption_keys"


def check(asked: Settings) -> Iterator[Finding]:
    """Every stored secret is tried; none is shown."""
    yield from _own()
    yield from _stored()
    yield from _api_keys()


def _own() -> Iterator[Finding]:
    try:
        secret = settings.SECRET_KEY
    except ImproperlyConfigured:
        return  # the settings' own check says so
    if secret.startswith(DEVELOPMENT):
        yield note("SECRET_KEY", "is the one that everybody has", "Good for development only.")
    if secret in settings.ENCRYPTION_KEYS:
        advice = "Whoever learns one has both: make another SECRET_KEY."
        yield warn("SECRET_KEY", "is an encryption key as well", advice)


def _stored() -> Iterator[Finding]:
    try:
        first, every = ciphers()[0], MultiFernet(ciphers())
    except ImproperlyConfigured as error:
        yield fail("ENCRYPTION_KEYS", str(error), "Put the keys that wrote the stored secrets there.")
        return
    count, old, lost = 0, 0, []
    for model, field in encrypted_fields(apps.get_models()):
        for pk, token in _tokens(model, field):
            count += 1
            if not _opens(every, token):
                lost.append(f"{model._meta.verbose_name} {pk}")
            elif not _opens(first, token):
                old += 1
    if lost:
        shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        advice = (
            "Put the key that wrote them back into ENCRYPTION_KEYS, behind the first; or enter them again, in the "
            "admin or with manage.py provision."
        )
        yield fail("stored secrets", f"{len(lost)} of {count} open with no key: {shown}", advice)
    else:
        yield ok("stored secrets", f"all {count} open")
    if old:
        advice = "Write them anew before the old key is taken away:"
        yield note("old keys", f"{old} secrets are still under an older key", advice, ROTATE)


def _tokens(model: type[Model], field: str) -> Iterator[tuple[Any, bytes]]:
    rows = model._base_manager.exclude(**{f"{field}__isnull": True}).annotate(token=ciphertext(field))
    for pk, token in rows.order_by("pk").values_list("pk", "token").iterator(chunk_size=500):
        yield pk, token.encode("utf-8", "replace")


def _opens(cipher: Fernet | MultiFernet, token: bytes) -> bool:
    try:
        cipher.decrypt(token)
    except InvalidToken:
        return False
    return True


def _api_keys() -> Iterator[Finding]:
    now = timezone.now()
    usable = ApiKey.objects.usable(now)
    customers = Customer.objects.filter(is_active=True)
    without = customers.exclude(pk__in=usable.values("customer"))
    lost = without.filter(pk__in=ApiKey.objects.values("customer"))
    for name in lost.values_list("name", flat=True)[:20]:
        advice = "Its programs are refused. Make a new one:"
        made = f"python manage.py provision --customer {quote(name)} --api-key main"
        yield warn("API keys", f"all keys of {name} are revoked or expired", advice, made)
    never = list(without.exclude(pk__in=lost).values_list("name", flat=True)[:20])
    if never:
        advice = "Only programs that post messages need one:"
        made = f"python manage.py provision --customer {quote(never[0])} --api-key main"
        yield note("API keys", f"no key for {', '.join(never)}", advice, made)
    for key in usable.filter(expires_at__lte=now + SOON).select_related("customer")[:20]:
        advice = "Make its successor in time:"
        whose = f"--customer {quote(key.customer.name)} --api-key {quote(key.name)}"
        made = f"python manage.py provision {whose} --rotate-key"
        yield warn("API keys", f"{key} of {key.customer} expires on {key.expires_at:%Y-%m-%d}", advice, made)
    if not customers.exists():
        advice = "Set one up:"
        yield note(
            "customers", "none yet", advice, "python manage.py provision --file docs/examples/setup.toml"
        )
    elif usable.exists():
        yield ok("API keys", f"{usable.count()} usable")
