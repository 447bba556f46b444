"""The servers of a set-up (tests/servers), each kept running by the supervisor; the database on a disk of its own where
one may be mounted, so that it can be filled."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.supervisor import Server
from tests.servers.postgres import PostgresServer
from tests.servers.processes import run
from tests.servers.rabbitmq import RabbitServer
from tests.servers.setups import Setup

DISK_MEGABYTES = {"embedded": 96, "postgres": 384}


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[str]:
    """A tmpfs of this size at `directory`; yields why there is none, or "". Mounting needs root on Linux."""
    directory.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "chaos", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        yield "" if mounted.returncode == 0 else f"no tmpfs: {mounted.stderr.strip()[:200]}"
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(directory)], capture_output=True, check=False)


def _alive(pid: int | None) -> int | None:
    """This pid, if there is such a process and it is no zombie."""
    if pid is None:
        return None
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None
    return None if state == "Z" else pid


def postmaster(server: PostgresServer) -> int | None:
    try:
        return _alive(int((server.data / "postmaster.pid").read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _start_postgres(server: PostgresServer) -> None:
    """After kill -9 its children need a moment to notice; until they are gone it refuses to start."""
    run(
        [str(server.pg_ctl), "start", "-D", str(server.data), "-w", "-t", "30", "-l", str(server.log)],
        user=server.user,
    )


class Servers:
    """`kept`: for the supervisor. `disk`: where the database lies; `no_disk`: why it can't be filled."""

    def __init__(self, name: str, directory: Path, disk: Path, no_disk: str) -> None:
        self.disk, self.no_disk = disk, no_disk
        self.postgres: PostgresServer | None = None
        self.rabbit: RabbitServer | None = None
        if "postgres" in name:
            self.postgres = PostgresServer(disk)
        if "rabbitmq" in name:
            self.rabbit = RabbitServer()
        self.setup = Setup(name, disk, self.postgres, self.rabbit)

    def kept(self) -> list[Server]:
        redis = self.setup.redis
        found = [
            Server("redis", pid_of=lambda: _alive(redis_pid(self.setup)), start=redis.start),
        ]
        if postgres := self.postgres:
            found.append(
                Server(
                    "postgres", pid_of=lambda: postmaster(postgres), start=lambda: _start_postgres(postgres)
                )
            )
        if rabbit := self.rabbit:

            def start() -> None:
                rabbit._process.sweep_away()
                rabbit.start()

            found.append(Server("rabbitmq", pid_of=lambda: _alive(rabbit._process.pid), start=start))
        return found

    def remove(self) -> None:
        if self.postgres:
            with suppress(Exception):
                self.setup.redis.remove()
            with suppress(Exception):
                self.postgres.remove()
        else:
            with suppress(Exception):
                self.setup.remove()
        if self.rabbit:
            self.rabbit.remove()


def redis_pid(setup: Setup) -> int | None:
    server = setup.redis
    process = getattr(server, "_process", None)
    if process is not None:
        return int(process.pid)
    return int(server._server.process.pid)  # type: ignore[union-attr]
