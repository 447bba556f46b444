"""The queues on SQS: made by `manage.py create_queues`, looked for when a worker starts, asked by the doctor."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from django.conf import settings

from apps.operations.brokers.errors import BrokerError, QueueMissing
from apps.reliability.redaction import redact_text

log = structlog.get_logger(__name__)

ATTRIBUTES = {
    # How long a bell that a worker took and did not answer stays hidden. Bells are deleted as their run begins, so
    # this is for those of a worker that died, and for plain Celery tasks that wait for a slot.
    "VisibilityTimeout": "900",
    "MessageRetentionPeriod": "345600",  # four days; a bell is worth seconds, a plain Celery task perhaps more
    "ReceiveMessageWaitTimeSeconds": "20",  # for others who poll; workers say themselves how long they wait
}
REFUSED = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
    "MissingAuthenticationToken",
    "AuthFailure",
    "InvalidAccessKeyId",
)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "KMS.AccessDeniedException")


def client() -> Any:
    """A client with the settings' credentials, region and endpoint. Raises BrokerError without requirements-sqs.txt."""
    try:
        from apps.jobs.sqs_transport import sqs_client
    except ImportError as error:
        raise BrokerError(str(error), "pip install --require-hashes -r requirements-sqs.txt") from None
    parts = urlsplit(settings.BROKER_URL)
    key, secret = unquote(parts.username or ""), unquote(parts.password or "")
    return sqs_client(settings.SQS_REGION, settings.SQS_ENDPOINT_URL or None, key or None, secret or None)


def ask(operation: str, **parameters: Any) -> dict[str, Any]:
    """One call, by its name in boto (`get_queue_url`). Raises BrokerError, or QueueMissing."""
    made = client()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer: dict[str, Any] = getattr(made, operation)(**parameters)
    except ClientError as error:
        raise _refusal(error.response.get("Error", {}), operation) from None
    except BotoCoreError as error:
        raise _silence(error) from None
    return answer


def _refusal(said: dict[str, Any], operation: str) -> BrokerError:
    code = str(said.get("Code", "")).rpartition("#")[2]
    message = redact_text(f"{code}: {said.get('Message', '')}")
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return QueueMissing(message, "python manage.py create_queues")
    if code in DENIED:
        action = "sqs:" + "".join(part.capitalize() for part in operation.split("_"))
        return BrokerError(message, f"The credentials lack {action}: docs/brokers.md has the policy.")
    if code in REFUSED:
        return BrokerError(
            message,
            "AWS does not take these credentials: BROKER_URL=sqs://key:secret@ (/ written as %2F), or the "
            "environment's AWS_ACCESS_KEY_ID, profile or role. Is the clock of this machine right?",
        )
    if "QueueDeletedRecently" in code:
        return BrokerError(message, "SQS wants a minute between deleting a queue and making it anew.")
    return BrokerError(message, "See docs/brokers.md.")


def _silence(error: Exception) -> BrokerError:
    message = redact_text(f"{type(error).__name__}: {error}")
    if "Credential" in type(error).__name__:
        advice = (
            "Give BROKER_URL=sqs://key:secret@, or credentials where every AWS program finds them "
            "(AWS_ACCESS_KEY_ID, a profile, a role)."
        )
        return BrokerError(message, advice)
    where = (
        f"SQS_ENDPOINT_URL={settings.SQS_ENDPOINT_URL}"
        if settings.SQS_ENDPOINT_URL
        else f"SQS_REGION={settings.SQS_REGION}"
    )
    return BrokerError(
        message, f"Does {where} name the right place, and may this machine reach it?", away=True
    )


def create_all() -> Iterator[str]:
    """Make every queue of the page that is missing and set what differs; says what it did, a line for each.

    The last line is the setting that the workers need, where they don't have it. Raises BrokerError.
    """
    base = settings.SQS_QUEUES_URL
    for name in settings.SQS_QUEUES.values():
        try:
            url = ask("get_queue_url", QueueName=name)["QueueUrl"]
        except QueueMissing:
            url = ask("create_queue", QueueName=name, Attributes=ATTRIBUTES)["QueueUrl"]
            yield f"{name}: made"
        else:
            yield f"{name}: {_set_right(url)}"
        base = url.rpartition("/")[0]
    if base != settings.SQS_QUEUES_URL:
        yield f"Set this for web, workers and beat, and restart them:\nSQS_QUEUES_URL={base}"


def _set_right(url: str) -> str:
    wrong = _differing(url)
    if not wrong:
        return "is there"
    ask("set_queue_attributes", QueueUrl=url, Attributes={name: ATTRIBUTES[name] for name in wrong})
    return "set " + ", ".join(f"{name} {now} to {ATTRIBUTES[name]}" for name, now in wrong.items())


def _differing(url: str) -> dict[str, str | None]:
    """What of ATTRIBUTES is otherwise on the queue, as it is now."""
    now = ask("get_queue_attributes", QueueUrl=url, AttributeNames=list(ATTRIBUTES)).get("Attributes", {})
    return {name: now.get(name) for name, value in ATTRIBUTES.items() if now.get(name) != value}


def differences(queue: str) -> list[str]:
    """What is otherwise on the queue that the page calls `queue` than we would make it. Raises BrokerError."""
    return [
        f"{name} is {now} instead of {ATTRIBUTES[name]}" for name, now in _differing(address(queue)).items()
    ]


def address(queue: str) -> str:
    """Where the queue that the page calls `queue` is."""
    return f"{settings.SQS_QUEUES_URL}/{settings.SQS_QUEUES[queue]}"


def stop_if_missing(queues: Iterable[str]) -> None:
    """End the process if one of these queues isn't there or can't be read. Raises SystemExit.

    An SQS that is away stops nothing: a worker looks for work by itself until bells come again.
    """
    for queue in sorted(set(queues) & set(settings.SQS_QUEUES)):
        try:
            ask("get_queue_attributes", QueueUrl=address(queue), AttributeNames=["VisibilityTimeout"])
        except BrokerError as error:
            if error.away:
                log.warning("sqs_away", error=str(error), hint=error.advice)
                return
            said = (
                f"Switchboard can't start: {address(queue)} can't be read.\n  {error}\n      {error.advice}"
            )
            print(said, file=sys.stderr)  # noqa: T201 - logs may be elsewhere
            raise SystemExit(1) from None
