"""Write every stored secret anew with the first of ENCRYPTION_KEYS (the steps: apps/reliability/encryption.py)."""

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from apps.reliability.encryption import encrypted_fields
from apps.reliability.rotation import rotate


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the first of ENCRYPTION_KEYS. Safe to repeat and beside running "
        "workers. Ends with status 1 if a value can't be decrypted with any key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=200, help="rows to a transaction (default 200)")

    def handle(self, *args: Any, **options: Any) -> None:
        batch = options["batch"]
        if batch < 1:
            raise CommandError("--batch: at least 1.")
        failed = 0
        for model, field in encrypted_fields(apps.get_models()):
            try:
                found = rotate(model, field, batch=batch)
            except ImproperlyConfigured as error:
                raise CommandError(str(error)) from None
            self.stdout.write(
                f"{model._meta.label}.{field}: {found.rotated} rotated, {found.current} already current, "
                f"{len(found.failed)} failed"
            )
            for pk in found.failed:
                self.stderr.write(f"{model._meta.label} {pk}: no key of ENCRYPTION_KEYS opens its {field}.")
            failed += len(found.failed)
        if failed:
            raise CommandError(
                f"{failed} stored secrets can't be decrypted and were left as they are. Put the key that wrote "
                "them back into ENCRYPTION_KEYS, or enter them again."
            )
