"""The three set-ups that Switchboard must survive on: which database, which Redis, which broker.

embedded            SQLite and the server in the box
postgres-redis      PostgreSQL, Redis for everything else
postgres-rabbitmq   PostgreSQL, RabbitMQ for the bells, Redis for bell keys and live streams
"""

from pathlib import Path

from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import EmbeddedServer, RedisServer

NAMES = ("embedded", "postgres-redis", "postgres-rabbitmq")
DATABASE = "switchboard"


class Setup:
    """The servers of one set-up, started and owned by the test."""

    def __init__(
        self, name: str, directory: Path, postgres: PostgresServer | None, rabbit: RabbitServer | None
    ) -> None:
        self.name, self.postgres, self.rabbit = name, postgres, rabbit
        self.redis = EmbeddedServer() if name == "embedded" else RedisServer()
        if postgres is None:
            self.database = DATABASE
            self.database_url = f"sqlite:///{directory / 'switchboard.sqlite3'}"
        else:
            self.database = f"{DATABASE}_{name.replace('-', '_')}"
            self.database_url = postgres.create_database(self.database)

    @property
    def broker_url(self) -> str:
        return self.rabbit.url if self.rabbit else self.redis.broker_url

    def kill_broker(self) -> float:
        """kill -9 of whatever carries the bells; the moment of it."""
        return self.rabbit.kill9() if self.rabbit else self.redis.kill9()

    def start_broker(self) -> None:
        (self.rabbit or self.redis).start()

    def flush(self, queues: list[str]) -> None:
        """FLUSHALL, and where the bells are in RabbitMQ they are thrown away too."""
        if self.rabbit:
            self.rabbit.flush(queues)
        self.redis.flushall()

    def remove(self) -> None:
        self.redis.remove()
        if self.postgres:
            self.postgres.terminate_connections(self.database)
            self.postgres.execute(f'DROP DATABASE "{self.database}"')
