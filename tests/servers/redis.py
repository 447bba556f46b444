"""Private Redis-compatible servers: one on TCP as production has it (AOF, noeviction), and the one in the box."""

import shutil
import tempfile
import time
from pathlib import Path

import redis

from apps.operations import embedded_redis
from tests.servers.binaries import redis_program
from tests.servers.processes import Process, free_port, tail
from tests.waiting import wait_until


class RedisServer:
    def __init__(self) -> None:
        self.program = redis_program()
        self.directory = Path(tempfile.mkdtemp(prefix="sbrd"))
        self.log = self.directory / "log"
        self.port = free_port()
        self.url = self.broker_url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = Process(
            [
                *(
                    self.program,
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                    "--dir",
                    str(self.directory),
                ),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
            ],
            log=self.log,
        )
        wait_until(self.answers, 15, f"Redis to answer\n{tail(self.log)}")

    @property
    def data(self) -> Path:
        """Where what it was told lies on disk: a planted secret is looked for here too."""
        return self.directory

    def kill9(self) -> float:
        return self._process.kill9()

    def freeze(self) -> None:
        self._process.stop()

    def thaw(self) -> None:
        self._process.resume()

    def restart(self) -> None:
        self.kill9()
        self.start()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def flushall(self) -> None:
        with self.client() as client:
            client.flushall()

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def remove(self) -> None:
        self._process.sweep_away()
        shutil.rmtree(self.directory, ignore_errors=True)


class EmbeddedServer:
    """The server in the box, as `make demo` starts it, with the same handles as `RedisServer`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sbem"))
        self.start()
        self.url, self.broker_url = self._server.url, self._server.broker_url

    def start(self) -> None:
        self._server = embedded_redis.start(self.directory)

    @property
    def data(self) -> Path:
        return self.directory

    def kill9(self) -> float:
        moment = time.time()
        self._server.process.kill()
        self._server.process.wait(10)
        return moment

    def restart(self) -> None:
        self.kill9()
        self.start()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def flushall(self) -> None:
        with self.client() as client:
            client.flushall()

    def remove(self) -> None:
        self._server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
