"""Make an API key for a customer and print its secret, this once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts import services
from apps.accounts.models import Customer
from apps.accounts.scopes import SCOPES


class Command(BaseCommand):
    help = (
        "Make an API key for a customer. Its secret is the only line on standard output and is kept nowhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--customer", required=True, help="the customer's public id (a UUID) or exact name"
        )
        parser.add_argument("--name", required=True, help="what will use this key")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=sorted(SCOPES),
            help="may be given several times",
        )
        parser.add_argument("--expires-in-days", type=int, help="without it the key never expires")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["expires_in_days"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--expires-in-days: 1 to 36500.")
        try:
            key, secret = services.create_api_key(
                customer=_customer(options["customer"]),
                name=options["name"],
                scopes=options["scope"],
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stderr.write(
            f"Made {key} for {key.customer}: {', '.join(key.scopes)}. Its secret, shown this once:"
        )
        self.stdout.write(secret)


def _customer(named: str) -> Customer:
    try:
        found = list(Customer.objects.filter(public_id=UUID(named)))
    except ValueError:
        found = list(Customer.objects.filter(name=named)[:2])
    if not found:
        raise CommandError(f"There is no customer {named!r}.")
    if len(found) > 1:
        raise CommandError(f"More than one customer is called {named!r}: give the public id.")
    return found[0]
