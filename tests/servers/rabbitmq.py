"""A private RabbitMQ: own node name, cookie, ports, port mapper and directories, no plugins.

It takes seconds to start, so one serves a whole session; `flush` empties it between tests.
"""

import os
import secrets
import shutil
import tempfile
from pathlib import Path

import amqp

from tests.servers.binaries import epmd_program, rabbitmq_program
from tests.servers.processes import Process, free_port, tail
from tests.waiting import wait_until


class RabbitServer:
    def __init__(self) -> None:
        self.program = rabbitmq_program()
        self.directory = Path(tempfile.mkdtemp(prefix="sbmq"))
        self.log = self.directory / "log"
        self.port, epmd_port = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        (self.directory / "plugins").write_text("[].\n")
        (self.directory / "env.conf").write_text("")
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file = false\nlog.console = true\n"
            "log.console.level = warning\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n"
        )
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        self.env = {
            **inherited,
            "HOME": str(self.directory),  # the cookie lies there
            "RABBITMQ_NODENAME": f"sb{secrets.token_hex(4)}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "logs"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.directory / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -start_epmd false",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._epmd = Process([epmd_program()], log=self.directory / "epmd.log", env=self.env)
        self.start()

    def start(self) -> None:
        self._process = Process([str(self.program)], log=self.log, env=self.env, cwd=self.directory)

        def answers() -> bool:
            if not self._process.alive:
                raise RuntimeError(f"RabbitMQ ended at once:\n{tail(self.log)}")
            return self.answers()

        wait_until(answers, 90, "RabbitMQ to answer")

    def kill9(self) -> float:
        """The start script has become (exec) the Erlang machine, or is its parent: the group goes together."""
        moment = self._process.kill9()
        self._process.sweep_away()
        return moment

    def restart(self) -> None:
        self.kill9()
        self.start()

    def answers(self) -> bool:
        try:
            with self.connection():
                return True
        except (OSError, amqp.AMQPError):
            return False

    def connection(self) -> amqp.Connection:
        return amqp.Connection(
            host=f"127.0.0.1:{self.port}", connect_timeout=5, read_timeout=10, write_timeout=10
        )

    def flush(self, queues: list[str]) -> int:
        """Throw away every message in these queues; how many there were."""
        gone = 0
        with self.connection() as connection:
            for queue in queues:
                channel = connection.channel()
                try:
                    gone += channel.queue_purge(queue)
                    channel.close()
                except amqp.NotFound:
                    continue
        return gone

    def remove(self) -> None:
        self._process.sweep_away()
        self._epmd.sweep_away()
        shutil.rmtree(self.directory, ignore_errors=True)
