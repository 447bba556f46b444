"""Faults of database and broker: killed, cut off, emptied, locked, full; and bells that nobody rang."""

import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import redis

from chaos.nemesis.victims import Skipped, Victims
from tests.servers.processes import run
from tests.servers.switchboard import PYTHON

BALLAST = "ballast"
COPIES = 50


def kill_server(victims: Victims, target: str, seconds: float) -> None:
    """kill -9; the supervisor starts it again. PostgreSQL's children notice by themselves."""
    victims.kill(target, group=target == "rabbitmq")


def flushall(victims: Victims, target: str, seconds: float) -> None:
    with _redis(victims) as client:
        client.flushall()


def client_kill(victims: Victims, target: str, seconds: float) -> None:
    """CLIENT KILL of every connection, subscribers included."""
    with _redis(victims) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def copy_bells(victims: Victims, target: str, seconds: float) -> None:
    """Fifty bells for each task of the pipeline, whether it has work or not."""
    run([PYTHON, "-m", "chaos.nemesis.bells", str(COPIES)], env=victims.env)


def purge_broker(victims: Victims, target: str, seconds: float) -> None:
    """Throw away every bell in RabbitMQ, and what Redis remembers of them."""
    run([PYTHON, "-m", "chaos.nemesis.bells", "--purge"], env=victims.env)
    flushall(victims, target, seconds)


def cut_database(victims: Victims, target: str, seconds: float) -> None:
    """pg_terminate_backend on every connection."""
    with _postgres(victims) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [victims.known["database"]],
        )


def kill_backend(victims: Victims, target: str, seconds: float) -> None:
    """kill -9 of one of PostgreSQL's own processes: it cuts all connections and recovers as after a crash."""
    with _postgres(victims) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
            [victims.known["database"]],
        ).fetchone()
    if found is None:
        raise Skipped("nobody is connected")
    os.kill(found[0], signal.SIGKILL)


def lock_sqlite(victims: Victims, target: str, seconds: float) -> None:
    """Another process, this one, holds BEGIN IMMEDIATE."""
    path = victims.known["database_url"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def fill_disk(victims: Victims, target: str, seconds: float) -> None:
    """Fill the small disk on which the database lies to the last byte, and free it again."""
    if victims.known["no_disk"]:
        raise Skipped(victims.known["no_disk"])
    ballast = Path(victims.known["disk"]) / BALLAST
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(65536)):
                pass
        until = time.monotonic() + seconds
        while time.monotonic() < until:  # what the system gives back is taken at once
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            time.sleep(0.1)
    finally:
        ballast.unlink(missing_ok=True)


def _redis(victims: Victims) -> redis.Redis:
    client: redis.Redis = redis.Redis.from_url(victims.known["redis_url"], socket_timeout=5)
    return client


def _postgres(victims: Victims) -> psycopg.Connection:
    port = victims.known["postgres"]["port"]
    return psycopg.connect(
        f"postgres://switchboard@127.0.0.1:{port}/postgres", autocommit=True, connect_timeout=5
    )
