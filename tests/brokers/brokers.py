"""The four brokers, with the same handles for a test. Each has a Redis beside it, or is one."""

import base64
import json
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery
from kombu import Queue

from project import addresses, sqs
from tests.servers.processes import Process
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import EmbeddedServer, RedisServer
from tests.servers.sqs import PREFIX, REGION, SqsServer
from tests.waiting import wait_until

NAMES = ("embedded", "redis", "rabbitmq", "sqs")


@dataclass(frozen=True)
class Message:
    """A bell as the broker keeps it: every byte of it, and what is in it."""

    raw: bytes
    headers: dict[str, Any]
    body: Any

    @property
    def everything(self) -> bytes:
        return self.raw + json.dumps([self.headers, self.body]).encode()


class Broker(ABC):
    name: str
    can_be_asked = True
    """Whether it carries remote control and events."""
    redis_url: str
    broker_url: str

    @property
    def env(self) -> dict[str, str]:
        """What a process of ours needs to use it."""
        return {"BROKER_URL": self.broker_url}

    def transport_options(self) -> dict[str, Any]:
        return addresses.broker_options(self.broker_url)

    def stranger(self, queues: Iterable[str]) -> Celery:
        """Somebody who may publish on it, and is not us."""
        app = Celery("stranger", set_as_current=False)
        app.conf.update(
            broker_url=self.broker_url,
            broker_transport_options=self.transport_options(),
            task_queues=[Queue(name, routing_key=name, durable=True) for name in queues],
            task_default_exchange="switchboard",
            task_default_exchange_type="direct",
        )
        return app

    @abstractmethod
    def kill(self) -> None: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def fall_silent(self) -> None:
        """It keeps its connections, takes new ones, and answers nothing."""

    @abstractmethod
    def wake_up(self) -> None: ...

    @abstractmethod
    def take(self, queue: str) -> list[Message]:
        """Take all waiting bells out of the queue."""

    @abstractmethod
    def left_over(self, queue: str) -> int:
        """Bells that it would deliver, now or later, when no worker lives."""

    @abstractmethod
    def flush(self, queues: Iterable[str]) -> None:
        """Throw away all that is in these queues, and all bell keys."""

    def let_polls_end(self) -> None:  # noqa: B027 - only SQS keeps them
        """Until no worker that has ended still waits for a bell here."""

    @abstractmethod
    def remove(self) -> None: ...


class RedisBroker(Broker):
    def __init__(self, name: str) -> None:
        self.name = name
        self.server: EmbeddedServer | RedisServer = EmbeddedServer() if name == "embedded" else RedisServer()
        self.redis_url, self.broker_url = self.server.url, self.server.broker_url

    def kill(self) -> None:
        self.server.kill9()

    def start(self) -> None:
        self.server.start()

    def _signal(self, number: int) -> None:
        if isinstance(self.server, EmbeddedServer):
            self.server._server.process.send_signal(number)
        else:
            self.server._process.signal(number)

    def fall_silent(self) -> None:
        self._signal(signal.SIGSTOP)

    def wake_up(self) -> None:
        self._signal(signal.SIGCONT)

    def take(self, queue: str) -> list[Message]:
        found = []
        with self.server.client() as client:
            while raw := client.rpop(queue):
                assert isinstance(raw, bytes)
                said = json.loads(raw)
                found.append(Message(raw, said["headers"], json.loads(base64.b64decode(said["body"]))))
        return found

    def left_over(self, queue: str) -> int:
        with self.server.client() as client:
            return int(client.llen(queue)) + int(client.hlen("unacked"))  # type: ignore[arg-type]

    def flush(self, queues: Iterable[str]) -> None:
        self.server.flushall()

    def remove(self) -> None:
        self.wake_up()
        self.server.remove()


class RabbitBroker(Broker):
    name = "rabbitmq"

    def __init__(self) -> None:
        self.server, self.redis = RabbitServer(), RedisServer()
        self.redis_url, self.broker_url = self.redis.url, self.server.url

    @property
    def _process(self) -> Process:
        return self.server._process

    def kill(self) -> None:
        self.server.kill9()

    def start(self) -> None:
        self.server.start()

    def fall_silent(self) -> None:
        self._process.signal_group(signal.SIGSTOP)

    def wake_up(self) -> None:
        self._process.signal_group(signal.SIGCONT)

    def take(self, queue: str) -> list[Message]:
        found = []
        with self.server.connection() as connection:
            channel = connection.channel()
            while message := channel.basic_get(queue, no_ack=True):
                body = message.body if isinstance(message.body, bytes) else message.body.encode()
                headers = message.headers
                raw = body + json.dumps([headers, message.properties], default=str).encode()
                found.append(Message(raw, headers, json.loads(body)))
        return found

    def left_over(self, queue: str) -> int:
        with self.server.connection() as connection:
            return int(connection.channel().queue_declare(queue, passive=True).message_count)

    def flush(self, queues: Iterable[str]) -> None:
        self.server.flush(list(queues))
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def remove(self) -> None:
        self.wake_up()
        self.server.remove()
        self.redis.remove()


class SqsBroker(Broker):
    name = "sqs"
    can_be_asked = False

    def __init__(self) -> None:
        self.server, self.redis = SqsServer(), RedisServer()
        self.redis_url = self.redis.url
        self.broker_url = sqs.broker(self.server.url, self.server.endpoint)

    @property
    def env(self) -> dict[str, str]:
        return self.server.env

    def transport_options(self) -> dict[str, Any]:
        from django.conf import settings

        names = sqs.queue_names([*settings.QUEUES, "survival-good", "survival-bad"], PREFIX)
        return sqs.options(region=REGION, endpoint=self.server.endpoint, base=self.server.base, names=names)

    def kill(self) -> None:
        self.server.kill9()

    def start(self) -> None:
        self.server.start()

    def fall_silent(self) -> None:
        self.server.fall_silent()

    def wake_up(self) -> None:
        self.server.wake_up()

    def take(self, queue: str) -> list[Message]:
        found: list[Message] = []
        where = self.server.address(queue)
        while True:
            answer = self.server.client.receive_message(
                QueueUrl=where, MaxNumberOfMessages=10, WaitTimeSeconds=0, MessageAttributeNames=["All"]
            )
            if not (messages := answer.get("Messages", [])):
                return found
            for message in messages:
                self.server.client.delete_message(QueueUrl=where, ReceiptHandle=message["ReceiptHandle"])
                said = json.loads(base64.b64decode(message["Body"]))
                raw = json.dumps(message).encode() + base64.b64decode(message["Body"])
                found.append(Message(raw, said["headers"], json.loads(base64.b64decode(said["body"]))))

    def left_over(self, queue: str) -> int:
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.server.client.get_queue_attributes(
            QueueUrl=self.server.address(queue), AttributeNames=list(counts)
        )
        return sum(int(found["Attributes"][name]) for name in counts)

    def flush(self, queues: Iterable[str]) -> None:
        for queue in queues:
            self.take(queue)  # purge_queue is let only once a minute
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def let_polls_end(self) -> None:
        wait_until(lambda: not self.server.abandoned_polls(), 40, "the polls of dead workers to end")

    def remove(self) -> None:
        self.wake_up()
        self.server.remove()
        self.redis.remove()


def make(name: str) -> Broker:
    """Start one. Skips the test (fails it under CI_REQUIRE_SERVICES=1) where its program is missing."""
    if name == "rabbitmq":
        return RabbitBroker()
    return SqsBroker() if name == "sqs" else RedisBroker(name)
