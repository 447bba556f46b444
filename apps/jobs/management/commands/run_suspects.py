"""The quarantine child of a worker. Not for people: see apps/jobs/quarantine.py."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.jobs.quarantine import serve


class Command(BaseCommand):
    help = "Run jobs that are suspected of killing their worker, one at a time (started by a worker)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        serve(sys.stdin, sys.stdout)
