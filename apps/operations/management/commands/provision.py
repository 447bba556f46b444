"""Set up customers, plans, chatbots, channel accounts, AI accounts and API keys (apps/operations/provision/)."""

import json
import sys
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from apps.operations.provision import options as command_line
from apps.operations.provision.applying import apply
from apps.operations.provision.reading import located, parse, read
from apps.operations.provision.report import Report, accounts_of
from apps.operations.provision.sources import Sources
from apps.operations.provision.wanted import ProvisionError, Setup

Result = tuple[dict[str, Any], Report]


class Command(BaseCommand):
    help = (
        "Create or update customer, plan, chatbot, channel account, AI account and API key, from options or from a "
        "TOML file (docs/examples/setup.toml). Safe to repeat: what exists under its name is kept, what is not "
        "mentioned stays as it is. All or nothing. Prints JSON with ids, made secrets and webhook addresses on "
        "standard output; what it did, in words and without secrets, on standard error."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--file", metavar="PATH", help="a TOML file in place of the options; - is standard input"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would change, and change nothing"
        )
        parser.add_argument(
            "--rotate-key",
            action="store_true",
            help="make the API keys anew and revoke the old ones of these names",
        )
        parser.add_argument(
            "--set-webhook", action="store_true", help="and register the webhooks of Telegram accounts there"
        )
        command_line.add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found, report = (
                self._from_options(options) if options["file"] is None else self._from_file(options)
            )
        except ProvisionError as problem:
            raise CommandError(f"{problem}\nNothing was changed.") from None
        except DatabaseError as problem:
            raise CommandError(
                f"The database refused: {problem}\nNothing was changed. Try: python manage.py doctor"
            ) from None
        for line in report.lines:
            self.stderr.write(line)
        problems = self._set_webhooks(found) if options["set_webhook"] and not options["dry_run"] else []
        if options["dry_run"]:
            self.stderr.write("Nothing was changed: this was a dry run.")
        self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))
        if problems:
            raise CommandError("\n".join(problems))

    def _set_webhooks(self, found: dict[str, Any]) -> list[str]:
        """Register the webhook of each Telegram account of this run; returns what went wrong. The set-up stands."""
        problems = []
        for account in accounts_of(found):
            if account["channel"] != "telegram":
                continue
            try:
                call_command("telegram_webhook", "set", account["id"], stdout=StringIO(), stderr=self.stderr)
            except CommandError as problem:
                problems.append(
                    f"Everything is set up, but the webhook of {account['id']} is not set: {problem}"
                )
            account["webhook_is_set"] = not problems
        return problems

    def _from_options(self, options: dict[str, Any]) -> Result:
        for name in command_line.written_openly(options):
            self.stderr.write(
                f"note       {name} stands on the command line, and `ps` shows it: use env:NAME or -"
            )
        return _apply(read(command_line.tables(options), Sources(Path.cwd())), options)

    def _from_file(self, options: dict[str, Any]) -> Result:
        if any(options.get(name) is not None for name in ("customer", "plan", *command_line.NEEDS)):
            raise ProvisionError("--file", "takes the place of the options: write them into the file")
        text, name, sources = _open(options["file"])
        tables = parse(text, name)
        try:
            return _apply(read(tables, sources), options)
        except ProvisionError as problem:
            raise located(problem, text, name) from None


def _apply(setup: Setup, options: dict[str, Any]) -> Result:
    return apply(setup, dry_run=options["dry_run"], rotate_keys=options["rotate_key"])


def _open(path: str) -> tuple[str, str, Sources]:
    """Text, name for messages, and where the file's own paths begin."""
    if path == "-":
        return sys.stdin.read(), "standard input", Sources(Path.cwd(), ask=_nothing_left)
    try:
        return Path(path).read_text(encoding="utf-8"), path, Sources(Path(path).absolute().parent)
    except (OSError, UnicodeDecodeError) as problem:
        raise ProvisionError(path, f"can't be read: {problem}") from None


def _nothing_left(prompt: str) -> str:
    raise ProvisionError(prompt, "can't be read from standard input, where the file itself comes from")
