"""SQS on the loopback: moto's server, in a process of its own. It keeps queues in memory and checks no credentials.

A call that waits for a message waits as AWS's does. Not like AWS: a start is an empty account, so `start` makes the
queues anew that were there.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import Process, accepts, free_port, tail
from tests.waiting import wait_until

ACCOUNT = "123456789012"
REGION = "eu-central-1"
KEY, SECRET = "AKIA0123456789PLANTD", "planted/aws+secret-0123456789"
PREFIX = "tests-"


class SqsServer:
    """`env` is what a process of ours needs to use it."""

    def __init__(self, *, let_in: int | None = None) -> None:
        """`let_in`: how many calls need no permission; those after them are judged by IAM's policies."""
        self._moto_env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(let_in)} if let_in else None
        self.directory = Path(tempfile.mkdtemp(prefix="sbsq"))
        self.log = self.directory / "log"
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.endpoint}/{ACCOUNT}"
        self.url = f"sqs://{KEY}:{SECRET.replace('/', '%2F').replace('+', '%2B')}@"
        self.env = {
            "BROKER_URL": self.url,
            "SQS_REGION": REGION,
            "SQS_ENDPOINT_URL": self.endpoint,
            "SQS_QUEUES_URL": self.base,
            "SQS_QUEUE_PREFIX": PREFIX,
        }
        limits = Config(
            connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 1}
        )
        self.client: Any = boto3.client(
            "sqs",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=limits,
        )
        self._made: dict[str, dict[str, str]] = {}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = Process(command, log=self.log, env=self._moto_env)
        wait_until(lambda: accepts(self.port), 60, f"moto to answer\n{tail(self.log)}")
        for name, attributes in self._made.items():
            self.client.create_queue(QueueName=name, Attributes=attributes)

    def kill9(self) -> float:
        for url in self.client.list_queues().get("QueueUrls", []):
            kept = ("VisibilityTimeout", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds")
            found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=list(kept))["Attributes"]
            self._made[url.rpartition("/")[2]] = found
        return self._process.kill9()

    def fall_silent(self) -> None:
        self._process.signal(signal.SIGSTOP)

    def wake_up(self) -> None:
        self._process.signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            self.client.list_queues()
        except (BotoCoreError, ClientError):
            return False
        return True

    def abandoned_polls(self) -> int:
        """Calls that still wait for a message though their client is gone: they would swallow it (Linux)."""
        close_wait, port = "08", f":{self.port:04X}"
        table = Path("/proc/net/tcp")
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        return sum(line.split()[1].endswith(port) and line.split()[3] == close_wait for line in lines)

    def address(self, queue: str) -> str:
        return f"{self.base}/{PREFIX}{queue}"

    def forget_all(self) -> None:
        """Delete every queue."""
        for url in self.client.list_queues().get("QueueUrls", []):
            self.client.delete_queue(QueueUrl=url)
        self._made.clear()

    def remove(self) -> None:
        self._process.sweep_away()
        self.client.close()
        shutil.rmtree(self.directory, ignore_errors=True)
