"""Every queue of the page, on the broker that is set."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, PreconditionFailed
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from apps.operations.brokers import sqs
from apps.operations.brokers.errors import BrokerError
from apps.reliability.redaction import redact_text

SECONDS = 5


def kind() -> str:
    """What the broker is: Redis, RabbitMQ or SQS."""
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme == "sqs":
        return "SQS"
    return "RabbitMQ" if scheme.startswith("amqp") else "Redis"


def create_all() -> Iterator[str]:
    """Make what is missing; says what it did, a line for each. Raises BrokerError."""
    if kind() == "SQS":
        yield from sqs.create_all()
    elif kind() == "RabbitMQ":
        yield from _declare_all()
    else:
        yield "Nothing to make: Redis makes its lists as bells come."


def _declare_all() -> Iterator[str]:
    """As a worker declares them at its start: durable classic queues, bound to one direct exchange."""
    queue = None
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=1, timeout=SECONDS)
            channel = connection.channel()
            for queue in current_app.amqp.queues.values():
                queue(channel).declare()
                yield f"{queue.name}: is there"
    except (AMQPError, OSError, OperationalError) as error:
        # kombu hides what happened while connecting behind an error of its own.
        raise _refusal(error.__cause__ or error, queue.name if queue else "") from None


def _refusal(error: BaseException, queue: str) -> BrokerError:
    said = redact_text(f"{type(error).__name__}: {error}")
    if isinstance(error, PreconditionFailed):
        return BrokerError(
            said,
            "The queue was made by somebody else, as another kind: when it is empty, `rabbitmqctl delete_queue "
            f"{queue}` and come back. The work is in the database, not there.",
        )
    if isinstance(error, AccessRefused | NotAllowed):
        advice = "User, password and virtual host of BROKER_URL; docs/brokers.md has the permissions."
        return BrokerError(said, advice)
    return BrokerError(said, "Is RabbitMQ running, and is BROKER_URL right?", away=True)
