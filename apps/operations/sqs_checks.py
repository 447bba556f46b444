"""What can be wrong with SQS as the broker, found at the start: packages, settings, names of queues."""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from apps.operations.checks import TAG

PACKAGES = ("boto3", "pycurl", "urllib3")
LONGEST_NAME = 80  # docs.aws.amazon.com: SQS quotas, "Queue name"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d+")
_AWS = re.compile(r"(?:.+\.)?sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?")


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"{TAG}.E{number:03}")


def check_sqs(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """SQS_REGION, SQS_ENDPOINT_URL, SQS_QUEUES_URL, SQS_QUEUE_PREFIX, where BROKER_URL is sqs:// (nowhere else)."""
    if not settings.BROKER_IS_SQS:
        return []
    found = [*_packages(), *_broker_url(), *_places(), *_names()]
    if settings.WORKER_EVENTS:
        hint = "Leave WORKER_EVENTS out; the admin's queue and job pages tell what Flower would."
        found.append(Warning("WORKER_EVENTS: SQS carries no events.", hint=hint, id=f"{TAG}.W060"))
    return found


def _packages() -> list[CheckMessage]:
    missing = []
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if not missing:
        return []
    hint = "Install what SQS needs: .venv/bin/pip install --require-hashes -r requirements-sqs.txt"
    return [_error(60, f"BROKER_URL is SQS, and not there: {', '.join(missing)}.", hint)]


def _broker_url() -> list[CheckMessage]:
    parts = urlsplit(settings.BROKER_URL)
    behind = parts.netloc.rpartition("@")[2] or parts.path.strip("/") or parts.query or parts.fragment
    if not behind and bool(parts.username) == bool(parts.password):
        return []
    hint = (
        "sqs:// alone (credentials are then found as every AWS program finds them: AWS_ACCESS_KEY_ID, a profile, a "
        "role), or sqs://key:secret@ with each / of the secret written as %2F and each + as %2B. A server that is "
        "not AWS's is SQS_ENDPOINT_URL."
    )
    return [_error(61, "BROKER_URL is neither sqs:// nor sqs://key:secret@.", hint)]


def _places() -> list[CheckMessage]:
    found = []
    if not _REGION.fullmatch(settings.SQS_REGION):
        hint = "The region of the queues: SQS_REGION=eu-central-1"
        problem = "is not set" if not settings.SQS_REGION else "is not the name of a region"
        found.append(_error(62, f"SQS_REGION {problem}.", hint))
    if settings.SQS_ENDPOINT_URL:
        parts = _split(settings.SQS_ENDPOINT_URL)
        if parts is None or parts.path or parts.query or "@" in parts.netloc:
            hint = "Scheme, host and port only: http://127.0.0.1:5000. Leave it out for AWS's own."
            found.append(_error(63, "SQS_ENDPOINT_URL is not an address.", hint))
    return [*found, *_queues_url()]


def _queues_url() -> list[CheckMessage]:
    parts = _split(settings.SQS_QUEUES_URL)
    if parts is None or not parts.path.strip("/") or parts.query or "@" in parts.netloc:
        hint = (
            "The queues' address without their names: SQS_QUEUES_URL=https://sqs.eu-central-1.amazonaws.com/"
            "123456789012. `python manage.py create_queues` makes them and prints it."
        )
        problem = "is not set" if not settings.SQS_QUEUES_URL else "is not the address of queues"
        return [_error(64, f"SQS_QUEUES_URL {problem}.", hint)]
    aws = _AWS.fullmatch(parts.hostname or "")
    if aws and _REGION.fullmatch(settings.SQS_REGION) and aws["region"] != settings.SQS_REGION:
        hint = "Both name a region; the queues are where SQS_QUEUES_URL says."
        problem = f"SQS_REGION is {settings.SQS_REGION}, SQS_QUEUES_URL is in {aws['region']}."
        return [_error(65, problem, hint)]
    return []


def _names() -> list[CheckMessage]:
    names = settings.SQS_QUEUES
    bad = sorted(name for name in names.values() if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME)
    if bad:
        hint = (
            f"Letters, digits, - and _, at most {LONGEST_NAME} with SQS_QUEUE_PREFIX. Bells need no order, so "
            "FIFO queues are not served."
        )
        return [_error(66, f"SQS takes no queue called {', '.join(bad)}.", hint)]
    if len(set(names.values())) < len(names):
        twice = sorted(name for name in names if list(names.values()).count(names[name]) > 1)
        return [
            _error(67, f"These are one queue on SQS: {', '.join(twice)}.", "Dots become dashes; rename one.")
        ]
    return []


def _split(url: str) -> SplitResult | None:
    """The parts of an http(s) address; None if it is none."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if good else None


def register_all() -> None:
    register(check_sqs, TAG)
