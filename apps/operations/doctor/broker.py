"""The broker: reachable, and a message goes round."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from queue import Empty
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings

from apps.operations.doctor.finding import Finding, Settings, fail, ok
from apps.reliability.redaction import redact_text

SECONDS = 2
ADVICE = (
    "Is the server running, and is BROKER_URL right (empty: REDIS_URL)? Until it is there, running workers look "
    "for work by themselves, but none can be started."
)


def check(asked: Settings) -> Iterator[Finding]:
    """A queue of our own, made, written, read and removed: what bells need."""
    scheme = urlsplit(settings.BROKER_URL).scheme or "none"
    try:
        with current_app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=1, timeout=SECONDS)
            yield ok("reachable", "RabbitMQ" if scheme.startswith("amqp") else "Redis")
            yield _round(connection)
    except Exception as error:  # each transport has errors of its own
        yield fail("reachable", redact_text(f"{type(error).__name__}: {error}"), ADVICE)


def _round(connection: object) -> Finding:
    name = f"switchboard-doctor-{secrets.token_hex(8)}"
    queue = connection.SimpleQueue(  # type: ignore[attr-defined] # kombu is typed in part
        name,
        queue_opts={"durable": False, "auto_delete": True},
        exchange_opts={"durable": False},
        no_ack=True,
    )
    began = time.perf_counter()
    try:
        queue.put({"bell": name})
        answer = queue.get(timeout=SECONDS).payload
    except Empty:
        return fail("round", f"what was sent did not come back within {SECONDS} s", ADVICE)
    finally:
        queue.queue.delete()
        queue.close()
    if answer != {"bell": name}:
        return fail("round", "something else came back than was sent", ADVICE)
    return ok("round", f"a message went round in {(time.perf_counter() - began) * 1000:.0f} ms")
