"""Brokers of one's own."""

from collections.abc import Iterator

import pytest

from tests.servers.sqs import SqsServer


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServer]:
    server = SqsServer()
    yield server
    server.remove()


@pytest.fixture
def on_sqs(sqs_server: SqsServer, settings) -> SqsServer:
    """This process's settings name the SQS, which has no queue yet."""
    sqs_server.forget_all()
    for name, value in sqs_server.env.items():
        setattr(settings, name, value)
    settings.BROKER_IS_SQS = True
    settings.SQS_QUEUES = {name: sqs_server.env["SQS_QUEUE_PREFIX"] + name for name in settings.QUEUES}
    return sqs_server
