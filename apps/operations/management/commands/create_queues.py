"""`python manage.py create_queues`: every queue of the page on the broker that BROKER_URL names."""

from typing import Any

from django.core.checks import run_checks
from django.core.management.base import BaseCommand, CommandError

from apps.operations.brokers import queues
from apps.operations.brokers.errors import BrokerError
from apps.operations.checks import TAG, report

NOT_YET = f"{TAG}.E064"  # SQS_QUEUES_URL is what this command tells


class Command(BaseCommand):
    help = (
        "Make every queue of the page on the broker that BROKER_URL names: SQS and RabbitMQ; Redis needs none. "
        "What is there already is left, or set right."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = [one for one in run_checks(tags=[TAG]) if one.is_serious() and one.id != NOT_YET]
        if wrong:
            raise CommandError(f"The settings come first:\n{report(wrong)}")
        self.stdout.write(f"The broker is {queues.kind()}.")
        try:
            for line in queues.create_all():
                self.stdout.write(line)
        except BrokerError as error:
            raise CommandError(f"{error}\n{error.advice}") from None
