"""The room of those who run the house."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "apps.operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        from apps.operations import ai_checks, sqs_checks, telegram_checks
        from apps.operations.checks import register_all

        register_all()
        ai_checks.register_all()
        telegram_checks.register_all()
        sqs_checks.register_all()
