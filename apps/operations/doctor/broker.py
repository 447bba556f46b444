"""The broker: reachable, and a message goes round."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from celery import current_app
from django.conf import settings
from kombu import Connection, Producer, Queue

from apps.operations.brokers import sqs
from apps.operations.brokers.errors import BrokerError
from apps.operations.brokers.queues import kind
from apps.operations.doctor.finding import Finding, Settings, fail, note, ok, warn
from apps.reliability.redaction import redact_text

SECONDS = 2
LOOK_EVERY = 0.01
ADVICE = (
    "Is the server running, and is BROKER_URL right (empty: REDIS_URL)? Until it is there, running workers look "
    "for work by themselves, but none can be started."
)


def check(asked: Settings) -> Iterator[Finding]:
    """A queue of our own, made, written, read and removed: what bells need. On SQS the queues are looked at."""
    if kind() == "SQS":
        yield from _sqs()
        return
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=1, timeout=SECONDS)
            yield ok("reachable", kind())
            yield _round(connection)
    except Exception as error:  # each transport has errors of its own
        yield fail("reachable", redact_text(f"{type(error).__name__}: {error}"), ADVICE)


def _sqs() -> Iterator[Finding]:
    """Each queue is there and may be read. Nothing is sent: a queue can't be made for a moment, nor a bell be taken
    back from a worker that listens."""
    wrong: list[Finding] = []
    began = time.perf_counter()
    for queue, name in settings.SQS_QUEUES.items():
        try:
            differs = sqs.differences(queue)
        except BrokerError as error:
            if error.away:
                yield fail("reachable", str(error), f"{error.advice} Workers look for work by themselves.")
                return
            wrong.append(fail(name, str(error), error.advice))
        else:
            if differs:
                wrong.append(
                    warn(name, ", ".join(differs), "Set it right:", "python manage.py create_queues")
                )
    count = len(settings.SQS_QUEUES)
    took = (time.perf_counter() - began) * 1000 / count
    yield ok("reachable", f"SQS, {settings.SQS_REGION}: {took:.0f} ms a question")
    yield from wrong
    if not wrong:
        yield ok("queues", f"{count} queues can be read; {settings.SQS_QUEUES_URL}")
    yield note("remote control", "off: on SQS there is no Flower, no `celery inspect`, no events")


def _round(connection: Connection) -> Finding:
    name = f"switchboard-doctor-{secrets.token_hex(8)}"
    channel = connection.channel()
    # Ours alone, and gone with the connection; the default exchange leaves nothing behind.
    queue = Queue(name, durable=False, exclusive=True, auto_delete=True)(channel)
    queue.declare()
    began = time.perf_counter()
    try:
        Producer(channel).publish({"bell": name}, routing_key=name, serializer="json", delivery_mode=1)
        answer = _first(queue, until=time.monotonic() + SECONDS)
    finally:
        queue.delete()
    if answer is None:
        return fail("round", f"what was sent did not come back within {SECONDS} s", ADVICE)
    if answer != {"bell": name}:
        return fail("round", "something else came back than was sent", ADVICE)
    return ok("round", f"a message went round in {(time.perf_counter() - began) * 1000:.0f} ms")


def _first(queue: Any, *, until: float) -> Any:
    """The first message's body; None if none came in time."""
    pause = threading.Event()
    while (message := queue.get(no_ack=True)) is None:
        if time.monotonic() > until:
            return None
        pause.wait(LOOK_EVERY)
    return message.payload
