"""Write docs/reference/configuration.md anew (`make docs`), or say whether it is up to date."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.operations.configuration_page import PAGE, configuration_page

ROOT = Path(__file__).resolve().parents[4]


class Command(BaseCommand):
    help = "Write the configuration reference from the settings, .env.example and the checks."
    requires_system_checks: list[str] = []  # it reads files, and needs no right settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; status 1 if the page is out of date"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        page, path = configuration_page(ROOT), ROOT / PAGE
        is_current = path.is_file() and path.read_text(encoding="utf-8") == page
        if options["check"]:
            if not is_current:
                raise CommandError(f"{PAGE} is out of date: make docs")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        self.stdout.write(f"{PAGE}: {'as it was' if is_current else 'written'}")
