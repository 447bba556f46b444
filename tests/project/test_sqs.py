"""SQS in Celery's words."""

from kombu import Connection
from kombu.transport.SQS import CHARS_REPLACE_TABLE

from project import sqs

NAMES = sqs.queue_names(["incoming-messages", "a.b", "a:c"], "prod-")


def test_queues_are_called_by_prefix_and_name():
    assert NAMES == {"incoming-messages": "prod-incoming-messages", "a.b": "prod-a-b", "a:c": "prod-a_c"}


def test_kombu_looks_for_a_queue_by_the_name_that_it_is_given():
    for character in map(chr, range(32, 127)):
        assert sqs.kombu_name(f"x{character}y") == f"x{character}y".translate(CHARS_REPLACE_TABLE)


def test_each_queue_has_its_address():
    base = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
    options = sqs.options(region="eu-central-1", endpoint="", base=base, names=NAMES)
    assert options["predefined_queues"]["a-b"] == {"url": f"{base}prod-a-b"}
    assert options["is_secure"] is True
    assert options["region"] == "eu-central-1"


def test_a_poll_ends_before_the_client_ends_it():
    """kombu's HTTP client gives up after 20 seconds; a longer poll would look like a server that is away."""
    from kombu.asynchronous.aws.connection import AsyncHTTPSConnection

    assert AsyncHTTPSConnection(http_client=object()).timeout >= sqs.WAIT_SECONDS + 3


def test_the_server_and_the_credentials():
    ours = sqs.broker("sqs://KEY:a%2Fb%2Bc@", "http://127.0.0.1:5000")
    connection = Connection(ours)
    assert (connection.hostname, connection.port) == ("127.0.0.1", 5000)
    assert (connection.userid, connection.password) == ("KEY", "a/b+c")
    theirs = Connection(sqs.broker("sqs://", ""))
    assert (theirs.hostname, theirs.userid, theirs.password) == (None, None, None)


def test_without_an_endpoint_it_is_aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from the environment")
    options = sqs.options(
        region="eu-central-1", endpoint="", base="https://sqs.eu-central-1.amazonaws.com/1", names=NAMES
    )
    with Connection(sqs.broker("sqs://", ""), transport_options=options) as connection:
        client = connection.channel().sqs(queue="a-b")
        assert client._endpoint.host == "https://sqs.eu-central-1.amazonaws.com"
        assert client._request_signer._credentials.access_key == "AKIA"


def test_a_process_has_one_client():
    options = sqs.options(
        region="eu-central-1", endpoint="http://127.0.0.1:1", base="http://127.0.0.1:1/1", names=NAMES
    )
    clients = set()
    for _ in range(2):
        with Connection(
            sqs.broker("sqs://k:s@", "http://127.0.0.1:1"), transport_options=options
        ) as connection:
            channel = connection.channel()
            clients |= {channel.sqs(queue="a-b"), channel.sqs(queue="incoming-messages")}
    assert len(clients) == 1
