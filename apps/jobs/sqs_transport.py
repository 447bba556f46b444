"""SQS for Celery: kombu's transport, with a server that may be away.

1. kombu 5.7 takes a poll that was cut off, or answered 5xx, for an empty list, and breaks on it; any other refusal
   ends the worker. Here a poll that failed is logged and made again after a second: the sweeper finds the work.
2. kombu makes a client for each queue of each connection, about a second of CPU each; here a process has one.
3. kombu polls ten queues at once and lets the others wait for their turn; here each queue has its own poll.
4. Declaring a queue asked SQS for its size, which nobody reads.

project/celery.py gives it to Celery under the name `sqs`.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import boto3
import structlog
from botocore.client import BaseClient
from botocore.config import Config
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from kombu.asynchronous.http import get_client
from kombu.transport import SQS
from kombu.transport.SQS.exceptions import UndefinedQueueException

from apps.reliability.redaction import redact_text

log = structlog.get_logger(__name__)

AGAIN_AFTER = 1.0
"""Seconds until a poll that failed is made again."""
COMPLAIN_EVERY = 10.0
FAILED = -1
"""In place of how many messages came."""


@lru_cache(maxsize=4)
def sqs_client(
    region: str, endpoint: str | None, key: str | None, secret: str | None, token: str | None = None
) -> BaseClient:
    """This process's client for these credentials; without any, boto looks for them as every AWS program does."""
    # The ringer must not be held: boto's own limits are a minute, and five tries. A failed send is a lost bell.
    limits = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
    session = boto3.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token, region_name=region
    )
    client: BaseClient = session.client("sqs", endpoint_url=endpoint, config=limits)
    return client


def _what_was_said(response: Any) -> str:
    said = response.read() or b""
    return redact_text(said.decode("utf-8", "replace") or str(response.reason))


class Polls(AsyncSQSConnection):
    """The long polls of one queue."""

    complain_at = 0.0  # of all queues: what is wrong with one is mostly wrong with all

    def _on_list_ready(self, parent: Any, markers: Any, operation: str, response: Any) -> Any:
        if response.status == self.STATUS_CODE_OK:
            return super()._on_list_ready(parent, markers, operation, response)  # type: ignore[misc]
        if time.monotonic() >= Polls.complain_at:
            Polls.complain_at = time.monotonic() + COMPLAIN_EVERY
            log.warning(
                "sqs_poll_failed",
                queue=parent,
                status=response.status,
                error=_what_was_said(response),
                hint="no bells come; the sweeper finds the work. `manage.py doctor` says what is wrong",
            )
        return None


class Channel(SQS.Channel):
    hub: Any
    _schedule_queue: Any

    def new_sqs_client(
        self, region: str, access_key_id: str, secret_access_key: str, session_token: str | None = None
    ) -> BaseClient:
        return sqs_client(
            region, self.endpoint_url, access_key_id or None, secret_access_key or None, session_token
        )

    def asynsqs(self, queue: str | None = None) -> Polls:
        """The polls of `queue`, which kombu names with its canonical name."""
        polls: dict[Any, Any] = self._predefined_queue_async_clients
        if queue not in polls:
            at_once = max(10, len(self.predefined_queues))
            polls[queue] = Polls(
                sqs_connection=self.sqs(queue=queue),
                region=self.region,
                http_client=get_client(max_clients=at_once),
            )
        found: Polls = polls[queue]
        return found

    def _on_messages_ready(self, url: str, queue: str, answer: Any) -> int:
        if answer is None:
            return FAILED
        came: int = super()._on_messages_ready(url, queue, answer)  # type: ignore[misc]
        return came

    def _loop1(self, queue: str, messages_fetched: int | None = None) -> None:
        if messages_fetched == FAILED:
            self.hub.call_later(AGAIN_AFTER, self._schedule_queue, queue)
        else:
            super()._loop1(queue, messages_fetched)  # type: ignore[misc]

    def _size(self, queue: str) -> int:
        return 0

    def _new_queue(self, queue: str, **more: Any) -> Any:
        if queue.endswith(".pidbox") or queue.startswith("celeryev"):
            raise UndefinedQueueException("SQS carries no remote control and no events (docs/brokers.md)")
        return super()._new_queue(queue, **more)


class Transport(SQS.Transport):
    Channel = Channel
