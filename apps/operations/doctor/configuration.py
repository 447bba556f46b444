"""The settings, as Django's checks and ours see them."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import ERROR, WARNING, run_checks

from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn

CHECK = "python manage.py check --deploy"


def check(asked: Settings) -> Iterator[Finding]:
    """What would stop the boot fails; what Django advises against is a warning."""
    # Deployment checks speak about https above all: where it is off on purpose, one line says it.
    serious = [
        message
        for message in run_checks(include_deployment_checks=settings.HTTPS and not settings.DEBUG)
        if message.level >= WARNING
    ]
    for message in serious:
        made = fail if message.level >= ERROR else warn
        yield made(str(message.id), str(message.msg), str(message.hint or "See what it says."), CHECK)
    if not serious:
        yield ok("checks", "the settings pass Django's checks and ours")
    if settings.DEBUG:
        yield note(
            "DEBUG", "is on: error pages show source code", "Where strangers can reach it: DEBUG=false"
        )
    if not settings.HTTPS:
        yield note(
            "HTTPS",
            "is off: passwords and API keys travel as they are",
            "Only where no other machine can reach the server; else HTTPS=true behind a proxy that speaks TLS.",
        )
