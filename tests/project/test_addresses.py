"""The environment's addresses in Django's and Celery's words."""

import os
from urllib.parse import urlsplit

import pytest
from kombu import Connection

from project import addresses


def test_sqlite_takes_the_write_lock_at_the_start():
    entry = addresses.database("sqlite:////var/lib/switchboard/db.sqlite3", "switchboard")
    assert entry["NAME"] == "/var/lib/switchboard/db.sqlite3"
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]


def test_postgresql_says_who_it_is_and_ends_forgotten_transactions():
    entry = addresses.database("postgresql://me:secret@db.example.com:5433/house?sslmode=require", "worker")
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("db.example.com", 5433, "house")
    assert entry["OPTIONS"]["application_name"] == "worker"
    assert entry["OPTIONS"]["sslmode"] == "require"
    assert "idle_in_transaction_session_timeout" in entry["OPTIONS"]["options"]


def test_a_database_we_do_not_serve_leaves_the_settings_loadable():
    assert addresses.database("oracle://scott@host/db", "x") == {"ENGINE": "django.db.backends.dummy"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://:pw@host:6379/3", "redis://:pw@host:6379/3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=5", "redis+socket:///run/redis.sock?virtual_host=5"),
        ("unix://:pw@/run/redis.sock?db=5", "redis+socket://:pw@/run/redis.sock?virtual_host=5"),
        ("amqp://guest:guest@host//", "amqp://guest:guest@host//"),
        ("", ""),
    ],
)
def test_broker(given, expected):
    assert addresses.celery_broker(given) == expected


def test_kombu_reads_the_socket_and_its_database():
    socket = urlsplit(os.environ["SWITCHBOARD_TEST_REDIS"])
    if socket.scheme != "unix":
        pytest.skip("this run has a Redis on a port")
    with Connection(addresses.celery_broker(f"unix://{socket.path}?db=5")) as connection:
        options = connection.default_channel.client.connection_pool.connection_kwargs
    assert (options["path"], options["db"]) == (socket.path, 5)


def test_a_publish_never_waits_longer_than_a_consumer_may():
    """kombu ends each BRPOP after a second, so the socket's timeout must be longer than that."""
    options = addresses.broker_options("redis://127.0.0.1/0")
    connection = Connection("redis://127.0.0.1:6379/0", transport_options=options)
    assert 2 * connection.transport.brpop_timeout < options["socket_timeout"]


def test_rabbitmq_gets_no_option_of_redis():
    assert set(addresses.broker_options("amqp://guest@host//")) == {"write_timeout"}
