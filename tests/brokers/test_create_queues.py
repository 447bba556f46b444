"""`manage.py create_queues` on each broker, and a worker that starts before it was run."""

import os
import subprocess
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from kombu import Connection, Queue

from apps.operations.brokers import sqs
from apps.operations.doctor import broker
from apps.operations.doctor.finding import Level, Settings
from tests.servers.processes import REPOSITORY
from tests.servers.switchboard import PYTHON


def create(capsys) -> str:
    call_command("create_queues")
    return capsys.readouterr().out


def looked_at():
    return {one.name: one for one in broker.check(Settings())}


def test_on_redis_there_is_nothing_to_make(capsys):
    assert "Nothing to make" in create(capsys)


def test_on_sqs_it_makes_each_queue_once_and_tells_the_setting(on_sqs, settings, capsys):
    settings.SQS_QUEUES_URL = ""
    told = create(capsys)
    assert [line for line in told.splitlines() if line.endswith(": made")] == [
        f"tests-{name}: made" for name in settings.QUEUES
    ]
    assert f"SQS_QUEUES_URL={on_sqs.base}" in told
    settings.SQS_QUEUES_URL = on_sqs.base
    told = create(capsys)
    assert told.count(": is there") == len(settings.QUEUES)
    assert "SQS_QUEUES_URL" not in told
    found = on_sqs.client.get_queue_attributes(QueueUrl=on_sqs.address("maintenance"), AttributeNames=["All"])
    assert found["Attributes"].items() >= sqs.ATTRIBUTES.items()
    seen = looked_at()
    assert seen["queues"].level is Level.OK
    assert "no Flower" in seen["remote control"].found


def test_on_sqs_it_sets_right_what_somebody_changed(on_sqs, capsys):
    create(capsys)
    on_sqs.client.set_queue_attributes(
        QueueUrl=on_sqs.address("maintenance"), Attributes={"VisibilityTimeout": "3", "DelaySeconds": "1"}
    )
    seen = looked_at()["tests-maintenance"]
    assert (seen.level, seen.command) == (Level.WARN, "python manage.py create_queues")
    assert "VisibilityTimeout is 3 instead of 900" in seen.found
    assert "tests-maintenance: set VisibilityTimeout 3 to 900" in create(capsys)
    assert "tests-maintenance: is there" in create(capsys)


def test_what_it_needs_comes_first(on_sqs, settings):
    settings.SQS_REGION = ""
    with pytest.raises(CommandError, match="SQS_REGION=eu-central-1"):
        call_command("create_queues")


def test_an_sqs_that_is_away_is_said(on_sqs, settings):
    settings.SQS_ENDPOINT_URL = "http://127.0.0.1:1"
    with pytest.raises(CommandError, match="name the right place"):
        call_command("create_queues")
    seen = looked_at()["reachable"]
    assert seen.level is Level.FAIL
    assert "Workers look for work by themselves" in seen.advice


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("AccessDenied", "lack sqs:GetQueueUrl"),
        ("com.amazonaws.sqs#AccessDeniedException", "lack sqs:GetQueueUrl"),
        ("InvalidClientTokenId", "does not take these credentials"),
        ("SignatureDoesNotMatch", "clock"),
        ("AWS.SimpleQueueService.QueueDeletedRecently", "minute"),
    ],
)
def test_what_sqs_refuses_is_told_with_what_to_do(on_sqs, monkeypatch, code, word):
    from botocore.exceptions import ClientError

    class Refusing:
        def get_queue_url(self, **_: str) -> None:
            said = {"Error": {"Code": code, "Message": "no, password=planted-secret"}}
            raise ClientError(said, "GetQueueUrl")  # type: ignore[arg-type]

    monkeypatch.setattr(sqs, "client", Refusing)
    with pytest.raises(CommandError, match=word) as refused:
        call_command("create_queues")
    assert "planted-secret" not in str(refused.value)


def test_no_credentials_anywhere(on_sqs, monkeypatch):
    from botocore.exceptions import NoCredentialsError

    class Nobody:
        def get_queue_url(self, **_: str) -> None:
            raise NoCredentialsError

    monkeypatch.setattr(sqs, "client", Nobody)
    with pytest.raises(CommandError, match="AWS_ACCESS_KEY_ID"):
        call_command("create_queues")


@pytest.mark.django_db
def test_a_worker_does_not_start_without_its_queues(on_sqs, child_environment):
    connections.close_all()
    command = [
        PYTHON,
        "-m",
        "celery",
        "-A",
        "project",
        "worker",
        "-P",
        "threads",
        "-c",
        "2",
        "-Q",
        "maintenance",
    ]
    told = subprocess.run(
        command,
        env={**child_environment, **on_sqs.env},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert told.returncode == 1
    assert f"{on_sqs.base}/tests-maintenance can't be read" in told.stderr
    assert "python manage.py create_queues" in told.stderr
    assert "Traceback" not in told.stderr
    assert "planted" not in told.stdout + told.stderr


@pytest.fixture
def rabbit_url(settings):
    if "TEST_RABBITMQ_URL" not in os.environ:
        pytest.skip("needs RabbitMQ: set TEST_RABBITMQ_URL")
    return os.environ["TEST_RABBITMQ_URL"]


@pytest.mark.service
class TestRabbit:
    """In a process of its own, since Celery reads its broker once."""

    def create(self, url: str, child_environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "manage.py", "create_queues"],
            env={**child_environment, "BROKER_URL": url},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    @pytest.mark.service
    @pytest.mark.django_db
    def test_it_declares_each_queue_and_again_changes_nothing(self, rabbit_url, child_environment):
        for _ in range(2):
            told = self.create(rabbit_url, child_environment)
            assert "maintenance: is there" in told.stdout, told.stderr
            assert told.returncode == 0

    @pytest.mark.service
    @pytest.mark.django_db
    def test_a_virtual_host_that_is_not_there(self, rabbit_url, child_environment):
        nowhere = urlsplit(rabbit_url)._replace(path="/no-such-host").geturl()
        told = self.create(nowhere, child_environment)
        assert told.returncode == 1
        assert "User, password and virtual host of BROKER_URL" in told.stderr
        assert "Traceback" not in told.stderr
        assert "guest:guest" not in told.stderr

    @pytest.mark.service
    @pytest.mark.django_db
    def test_nobody_there(self, child_environment, rabbit_url):
        told = self.create("amqp://me:planted-pw@127.0.0.1:1//", child_environment)
        assert told.returncode == 1
        assert "Is RabbitMQ running" in told.stderr
        assert "Traceback" not in told.stderr
        assert "planted-pw" not in told.stderr

    @pytest.mark.service
    @pytest.mark.django_db
    def test_a_queue_of_another_kind(self, rabbit_url, child_environment):
        with Connection(rabbit_url) as connection:
            channel = connection.channel()
            Queue("outgoing-messages")(channel).delete()
            Queue("outgoing-messages", durable=True, max_length=7)(channel).declare()
            try:
                told = self.create(rabbit_url, child_environment)
            finally:
                with Connection(rabbit_url) as again:
                    Queue("outgoing-messages")(again.channel()).delete()
        assert told.returncode == 1
        assert "rabbitmqctl delete_queue outgoing-messages" in told.stderr
        assert "Traceback" not in told.stderr
