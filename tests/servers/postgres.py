"""A private PostgreSQL: own directory, socket, port and user; fsync on, since surviving is the question."""

import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.servers.binaries import postgres_program
from tests.servers.processes import free_port, run, tail, unprivileged
from tests.waiting import wait_until

OWNER = "switchboard"


class PostgresServer:
    """`parent`: where its directory is made; the temporary directory if left out."""

    def __init__(self, parent: Path | None = None) -> None:
        self.pg_ctl = postgres_program("pg_ctl")
        self.user = unprivileged()
        self.directory = Path(
            tempfile.mkdtemp(prefix="sbpg", dir=parent)
        )  # short: a socket path has at most 107 bytes
        self.data, self.log = self.directory / "data", self.directory / "log"
        self.port = free_port()
        if self.user:
            os.chown(self.directory, *self.user)
        run(
            [
                str(postgres_program("initdb")),
                *("-D", str(self.data), "-U", OWNER, "-A", "trust", "-E", "UTF8"),
                *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
            ],
            user=self.user,
        )
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self.directory}'\nfsync = on\nsynchronous_commit = on\n"
                "max_connections = 100\nshared_buffers = 64MB\nlog_min_messages = warning\n"
            )
        self.start()

    def start(self) -> None:
        try:
            self._ctl("start", "-l", str(self.log))
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{tail(self.log)}") from error

    def stop(self, mode: str = "fast") -> None:
        """`fast` rolls back and closes; `immediate` is a crash followed by recovery at the next start."""
        self._ctl("stop", "-m", mode)

    def is_running(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        if self.is_running():
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgres://{OWNER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Create it and return its URL."""
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return self.url(name)

    def freeze(self) -> None:
        """SIGSTOP for the server and all its backends: connections stay open, and nobody answers."""
        for number in (signal.SIGSTOP, signal.SIGSTOP):  # once more for whoever was being forked
            for pid in self._processes():
                os.kill(pid, number)

    def thaw(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGCONT)

    def kill9(self) -> None:
        """SIGKILL for the server and all its backends, as when the machine's memory is full."""
        self.freeze()  # so that nobody is being forked meanwhile
        pids = self._processes()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids), 10, "PostgreSQL to be gone"
        )
        # Where nobody reaps it, the dead server looks alive to the next one.
        for lock in (self.data / "postmaster.pid", self.directory / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()

    def _processes(self) -> list[int]:
        """The server and its children (Linux)."""
        try:
            server = int((self.data / "postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return []
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent = entry.read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX" and server in (int(parent), int(entry.parent.name)):
                    found.append(int(entry.parent.name))
        return sorted(found)

    def terminate_connections(self, database: str) -> int:
        """pg_terminate_backend on every connection to that database; how many there were."""
        rows = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [database],
        )
        return len(rows)

    def connections(self, database: str) -> int:
        rows = self.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database])
        return int(rows[0][0])

    def execute(
        self, query: Any, parameters: Sequence[Any] = (), *, user: str = OWNER
    ) -> list[tuple[Any, ...]]:
        """One statement in the maintenance database."""
        with psycopg.connect(self.url("postgres"), user=user, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def wait_ready(self, deadline: float = 30.0) -> None:
        def answers() -> bool:
            try:
                return bool(self.execute("SELECT 1"))
            except psycopg.OperationalError:
                return False

        wait_until(answers, deadline, "PostgreSQL to answer")

    def _ctl(self, verb: str, *options: str) -> None:
        run([str(self.pg_ctl), verb, "-D", str(self.data), "-w", "-t", "60", *options], user=self.user)
