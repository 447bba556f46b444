"""Look at everything that can be wrong, and say what to do about it (apps/operations/doctor/)."""

import json
import os
import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.operations.doctor import showing
from apps.operations.doctor.catalogue import CHECKS
from apps.operations.doctor.examination import examine
from apps.operations.doctor.finding import Level, Settings

NAMES = [check.name for check in CHECKS]


class Command(BaseCommand):
    help = (
        "Check settings, database, Redis, broker, workers, keys, chatbots, web, webhooks, AI accounts and clocks, and "
        "say what to do about what is wrong. Changes nothing, sends no message, costs nothing. Exit status 1 if "
        "something failed."
    )
    # What Django would stop at is the first thing to be told.
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="a list of findings, for programs")
        parser.add_argument(
            "--only", action="append", metavar="CHECK", help=f"one of {', '.join(NAMES)}; several times"
        )
        parser.add_argument(
            "--deadline", type=float, default=25.0, metavar="SECONDS", help="for all together (25)"
        )
        parser.add_argument("--url", default="", help="where the web server is asked; default: PUBLIC_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        only = options["only"] or NAMES
        if unknown := sorted(set(only) - set(NAMES)):
            raise CommandError(f"There is no check {unknown[0]!r}. Known: {', '.join(NAMES)}.")
        if not 1 <= options["deadline"] <= 600:
            raise CommandError("--deadline: 1 to 600 seconds.")
        counts: Counter[Level] = Counter()
        found: list[dict[str, Any]] = []
        chosen = [check for check in CHECKS if check.name in only]
        for name, findings in examine(
            chosen, Settings(base_url=options["url"]), deadline=options["deadline"]
        ):
            counts.update(finding.level for finding in findings)
            found += [finding.as_json(name) for finding in findings]
            if not options["json"]:
                for line in showing.family(name, findings, colour=self._is_coloured(options)):
                    self.stdout.write(line)
        self.stdout.write(
            json.dumps(found, indent=2, ensure_ascii=False) if options["json"] else showing.summary(counts)
        )
        if counts[Level.FAIL]:
            sys.exit(1)

    def _is_coloured(self, options: dict[str, Any]) -> bool:
        """Only on a terminal, and not against the person's wish (https://no-color.org)."""
        if options.get("force_color"):
            return True
        wished = not options.get("no_color") and "NO_COLOR" not in os.environ
        return wished and self.stdout.isatty()
