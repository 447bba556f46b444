"""Settings of SQS that can't work are found before anything starts."""

import sys

import pytest

from apps.operations import checks
from apps.operations.sqs_checks import check_sqs
from project import sqs

RIGHT = {
    "BROKER_URL": "sqs://AKIA:se%2Fcret@",
    "BROKER_IS_SQS": True,
    "SQS_REGION": "eu-central-1",
    "SQS_ENDPOINT_URL": "",
    "SQS_QUEUES_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012",
}


@pytest.fixture
def on_sqs(settings):
    for name, value in RIGHT.items():
        setattr(settings, name, value)
    return settings


def test_other_brokers_need_none_of_it(settings):
    assert settings.BROKER_IS_SQS is False
    settings.SQS_REGION = "nowhere"
    assert check_sqs() == []


def test_right(on_sqs):
    assert check_sqs() == []
    on_sqs.BROKER_URL = "sqs://"
    on_sqs.SQS_ENDPOINT_URL = "https://vpce-0123-abcd.sqs.eu-central-1.vpce.amazonaws.com"
    assert check_sqs() == []


@pytest.mark.parametrize(
    ("name", "value", "code", "word"),
    [
        ("BROKER_URL", "sqs://AKIA@", "E061", "%2F"),
        ("BROKER_URL", "sqs://AKIA:a/b@", "E061", "%2F"),
        ("BROKER_URL", "sqs://127.0.0.1:5000", "E061", "SQS_ENDPOINT_URL"),
        ("BROKER_URL", "sqs://AKIA:planted@/name", "E061", "SQS_ENDPOINT_URL"),
        ("SQS_REGION", "", "E062", "SQS_REGION=eu-central-1"),
        ("SQS_REGION", "Frankfurt", "E062", "SQS_REGION=eu-central-1"),
        ("SQS_ENDPOINT_URL", "127.0.0.1:5000", "E063", "http://127.0.0.1:5000"),
        ("SQS_ENDPOINT_URL", "http://127.0.0.1:5000/path", "E063", "http://127.0.0.1:5000"),
        ("SQS_QUEUES_URL", "", "E064", "create_queues"),
        ("SQS_QUEUES_URL", "https://sqs.eu-central-1.amazonaws.com", "E064", "create_queues"),
        ("SQS_QUEUES_URL", "https://sqs.us-east-1.amazonaws.com/123456789012", "E065", "SQS_QUEUES_URL"),
        ("SQS_QUEUES", {"maintenance": "my queues.maintenance"}, "E066", "Letters"),
        ("SQS_QUEUES", {"maintenance": "x" * 81}, "E066", "80"),
        ("SQS_QUEUES", {"orders": "orders.fifo"}, "E066", "FIFO"),
        ("SQS_QUEUES", sqs.queue_names(["a.b", "a-b"], "x-"), "E067", "dashes"),
        ("WORKER_EVENTS", True, "W060", "WORKER_EVENTS"),
    ],
)
def test_wrong(on_sqs, name, value, code, word):
    setattr(on_sqs, name, value)
    (found,) = check_sqs()
    assert found.id == f"switchboard.{code}"
    assert word in found.hint
    assert "planted" not in found.msg + found.hint


def test_a_package_that_is_missing_is_named_with_the_command(on_sqs, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycurl", None)
    (found,) = check_sqs()
    assert found.id == "switchboard.E060"
    assert "pycurl" in found.msg
    assert "requirements-sqs.txt" in found.hint


def test_the_start_stops(on_sqs, capsys):
    on_sqs.SQS_REGION = ""
    with pytest.raises(SystemExit):
        checks.stop_if_wrong()
    assert "switchboard.E062" in capsys.readouterr().err
