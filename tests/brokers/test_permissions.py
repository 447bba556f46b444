"""What docs/brokers.md says that a user needs is enough, and it is the page's own text that is tried."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from django.core.management import call_command

from apps.operations.brokers import sqs
from apps.operations.brokers.errors import BrokerError
from tests.brokers.brokers import RedisBroker
from tests.brokers.site import GOOD, Site
from tests.servers.processes import REPOSITORY
from tests.servers.sqs import REGION, SqsServer

PAGE = (REPOSITORY / "docs/brokers.md").read_text()


@pytest.fixture(scope="module")
def users() -> Iterator[tuple[SqsServer, list[str]]]:
    """A moto that judges by IAM, and the addresses of the page's two users: who works, who makes the queues.

    moto takes every call as one on the resource `*`, so this shows that the actions are enough, not the resources.
    """
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert len(policies) == 2
    server = SqsServer(let_in=3 * len(policies))
    iam: Any = boto3.client(
        "iam",
        region_name=REGION,
        endpoint_url=server.endpoint,
        aws_access_key_id="root",
        aws_secret_access_key="root",
    )
    urls = []
    for number, policy in enumerate(policies):
        for statement in policy["Statement"]:
            statement["Resource"] = "*"
        name = f"user{number}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="page", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        urls.append(f"sqs://{key['AccessKeyId']}:{quote(key['SecretAccessKey'], safe='')}@")
    iam.close()
    yield server, urls
    server.remove()


def test_the_policies_of_the_page_are_enough(users, settings, capsys):
    server, (worker, maker) = users
    for name, value in server.env.items():
        setattr(settings, name, value)
    settings.BROKER_IS_SQS = True
    settings.SQS_QUEUES = {name: f"tests-{name}" for name in settings.QUEUES}
    settings.BROKER_URL = worker
    with pytest.raises(BrokerError, match="AccessDenied"):
        sqs.ask("create_queue", QueueName="tests-maintenance")
    settings.BROKER_URL = maker
    call_command("create_queues")
    call_command("create_queues")
    assert "tests-maintenance: is there" in capsys.readouterr().out
    settings.BROKER_URL = worker
    sqs.stop_if_missing(settings.QUEUES)
    where = sqs.address("maintenance")
    sqs.ask("send_message", QueueUrl=where, MessageBody="bell")
    (bell,) = sqs.ask("receive_message", QueueUrl=where, WaitTimeSeconds=1)["Messages"]
    taken = {"QueueUrl": where, "ReceiptHandle": bell["ReceiptHandle"]}
    sqs.ask("change_message_visibility", **taken, VisibilityTimeout=30)
    sqs.ask("delete_message", **taken)


class UserOfRedis(RedisBroker):
    """A Redis that lets in the page's user only."""

    def __init__(self, rules: list[str]) -> None:
        super().__init__("redis")
        name, words = rules[0], [rule for rule in rules[1:] if not rule.startswith(">")]
        with self.server.client() as client:
            client.execute_command("ACL", "SETUSER", name, *words, ">acl-pw")
        self.redis_url = self.broker_url = self.server.url.replace("redis://", f"redis://{name}:acl-pw@")


@pytest.mark.survival
@pytest.mark.service
@pytest.mark.xdist_group("brokers")
def test_the_user_of_redis_is_let_do_what_is_needed(tmp_path, witness):
    rules = re.search(r"^ACL SETUSER (.+)$", PAGE, re.MULTILINE)
    assert rules
    broker = UserOfRedis(rules[1].split())
    site = Site(broker, f"sqlite:///{tmp_path / 'db.sqlite3'}", tmp_path, witness)
    try:
        site.prepare()
        with site.worker("one", queues=[GOOD, "maintenance"]) as worker:
            run = site.make()
            site.wait_heard(0)
            site.ledger.settled(30)
            assert site.marks(run) == [0]
            assert "pong" in site.celery("inspect", "ping", "--timeout", "10").stdout
            told = json.loads(site.home.manage("doctor", "--only", "redis", "--only", "broker", "--json"))
            assert not [one for one in told if one["level"] == "fail"], told
            log = worker.log.read_text()
        assert "NOPERM" not in log + site.hand.log.read_text()
    finally:
        site.close()
        broker.remove()
