"""What the demo's processes get to see: secrets made once, addresses, and settings for a machine of one's own."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.operations import embedded_redis
from apps.operations.ports import require_free

ROOT = Path(__file__).resolve().parents[3]
ADMIN = "admin"
# Whoever sets one of these in the environment means it, for the demo as well.
TAKEN_OVER = (
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "EXTRA_CHANNELS",
    "EXTRA_AI_PROVIDERS",
    "EXTRA_QUEUES",
)


class DemoError(Exception):
    """The demo can't start; the message says what to do."""


@dataclass(frozen=True)
class DemoEnvironment:
    """`variables` is the whole environment of the processes; `redis_directory` is None with a server of yours."""

    variables: dict[str, str]
    secrets: SecretsFile
    directory: Path
    redis_directory: Path | None

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.variables['PORT']}"

    @property
    def flower(self) -> str:
        return f"http://127.0.0.1:{self.variables['FLOWER_PORT']}"

    @property
    def taken_over(self) -> list[str]:
        """The servers and additions that came from outside, by the name of their variable."""
        own = {"REDIS_URL"} if self.redis_directory else set()
        return [name for name in TAKEN_OVER if self.variables.get(name) and name not in own]


class SecretsFile:
    """NAME=value lines that only this user can read; a secret is made when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
        self._values = {name.strip(): value.strip() for name, _, value in pairs}

    def get(self, name: str) -> str:
        """The value, or empty."""
        return self._values.get(name, "")

    def make(self, name: str, *, length: int = 48) -> str:
        """The value; made from `length` random bytes if there is none."""
        if not self.get(name):
            self.put(name, secrets.token_urlsafe(length))
        return self.get(name)

    def put(self, name: str, value: str) -> None:
        """Keeps the value: the file is replaced whole, and is never readable by others."""
        self._values[name] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "# Secrets of `make demo`, made on its first run. Not for production.\n"
        text += "".join(f"{key}={self._values[key]}\n" for key in self._values)
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(self.path)


def prepare(outside: Mapping[str, str], *, debug: bool) -> DemoEnvironment:
    """Everything the demo needs before its first process, from the environment outside.

    It keeps its things in VAR_DIR (default: var/ of the project): the secrets in demo.env, the rest in demo/.
    Raises PortTaken, EmbeddedServerError or DemoError, each saying what to do.
    """
    port, flower_port = _port(outside, "PORT", 8000), _port(outside, "FLOWER_PORT", 5555)
    if port == flower_port:
        raise DemoError(f"PORT and FLOWER_PORT are both {port}; choose two.")
    require_free(port, purpose="the web server", setting="PORT")
    require_free(flower_port, purpose="Flower", setting="FLOWER_PORT")
    var = Path(outside.get("VAR_DIR") or ROOT / "var").absolute()
    directory = var / "demo"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = SecretsFile(var / "demo.env")
    redis_directory = None if outside.get("REDIS_URL") else directory / "redis"
    own = {
        "ENV_FILE": os.devnull,  # a .env beside manage.py is for the real thing
        "VAR_DIR": str(directory),
        "DEBUG": str(debug).lower(),
        "HTTPS": "false",  # loopback only
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "LOG_FORMAT": outside.get("LOG_FORMAT", "console"),
        "WORKER_SOFT_SHUTDOWN_SECONDS": outside.get("WORKER_SOFT_SHUTDOWN_SECONDS", "5"),
        "WORKER_EVENTS": "true",  # for Flower: about 1 ms of CPU a bell
        "SECRET_KEY": kept.make("SECRET_KEY"),
        "ENCRYPTION_KEYS": kept.make("ENCRYPTION_KEYS"),
        "PORT": str(port),
        "FLOWER_PORT": str(flower_port),
        "FLOWER_BASIC_AUTH": f"{ADMIN}:{kept.make('FLOWER_PASSWORD', length=12)}",
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [outside.get("PYTHONPATH")])]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), outside.get("PATH", os.defpath)]),
    }
    if redis_directory:
        own["REDIS_URL"] = _embedded_redis(redis_directory)
    return DemoEnvironment({**outside, **own}, kept, directory, redis_directory)


def _embedded_redis(directory: Path) -> str:
    embedded_redis.command(directory)  # raises when no server is found, before anything has been started
    path = embedded_redis.socket_path(directory)
    if embedded_redis.answers(path):
        raise DemoError(f"The demo of this directory is running already: a server answers on {path}.")
    return f"unix://{path}"


def _port(outside: Mapping[str, str], name: str, default: int) -> int:
    given = outside.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 65536:
        raise DemoError(f"{name}={given} is not a port; choose a number from 1024 to 65535.")
    return int(given)
