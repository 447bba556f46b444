"""The environment of a test run, set before Django reads its settings (loaded by `-p tests.environment`).

1. The database: an SQLite file in a temporary directory (worker processes must see it), or TEST_DATABASE_URL.
   TEST_EMBEDDED=1 keeps SQLite and the server in the box although services are named: `make test` runs once so.
2. Redis: TEST_REDIS_URL, or the server in the box, started once for the run. Each xdist worker gets a database of its
   own on it.
3. At the end the run says which services were left out. With CI_REQUIRE_SERVICES=1 a run fails if a test marked
   `service` was skipped.

A test marked `postgres` needs Django's own database to be PostgreSQL: it is skipped where none is named, and left to
the other run (deselected) where one is named but this run is on SQLite.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from apps.operations import embedded_redis

SERVICES = {
    "TEST_DATABASE_URL": "PostgreSQL",
    "TEST_REDIS_URL": "a Redis server of its own",
    "TEST_RABBITMQ_URL": "RabbitMQ",
}
# Planted, so that tests can look for them in logs and pages.
SECRET_KEY = "secret-key-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDE"
ENCRYPTION_KEY = "encryption-key-of-the-tests-0123456789-abcdefghij"

_directory: Path | None = None  # only in the process that made it
_server: embedded_redis.EmbeddedServer | None = None
_skipped_services: list[str] = []


def embedded() -> bool:
    """Whether this run stays on SQLite and the server in the box."""
    return os.environ.get("TEST_EMBEDDED", "") == "1"


def directory() -> Path:
    """The run's temporary directory; short, since a Unix socket's path must be."""
    return Path(os.environ["SWITCHBOARD_TEST_DIRECTORY"])


def worker_number() -> int:
    """0 for the only process, 1, 2, … for xdist's workers."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return int(name.removeprefix("gw")) + 1 if name else 0


def _redis_url(url: str) -> str:
    """`url` on the database of this xdist worker."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        number = int(parse_qs(parts.query).get("db", ["0"])[0]) + worker_number()
        return f"unix://{parts.path}?db={number % 16}"
    number = int(parts.path.strip("/") or 0) + worker_number()
    return urlunsplit(parts._replace(path=f"/{number % 16}"))


def _prepare() -> None:
    global _directory, _server
    if "SWITCHBOARD_TEST_DIRECTORY" not in os.environ:
        _directory = Path(tempfile.mkdtemp(prefix="sb-"))
        os.environ["SWITCHBOARD_TEST_DIRECTORY"] = str(_directory)
        redis_url = "" if embedded() else os.environ.get("TEST_REDIS_URL", "")
        if not redis_url:
            _server = embedded_redis.start(_directory / "redis", append_only=False)
            redis_url = _server.url
        os.environ["SWITCHBOARD_TEST_REDIS"] = redis_url
    sqlite = f"sqlite:///{directory() / 'unused.sqlite3'}"
    os.environ.update(
        ENV_FILE=os.devnull,
        VAR_DIR=str(directory() / "var"),
        DEBUG="false",
        HTTPS="false",
        SECRET_KEY=SECRET_KEY,
        ENCRYPTION_KEYS=ENCRYPTION_KEY,
        ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
        DATABASE_URL=(not embedded() and os.environ.get("TEST_DATABASE_URL")) or sqlite,
        REDIS_URL=_redis_url(os.environ["SWITCHBOARD_TEST_REDIS"]),
        BROKER_URL="",
        LOG_FORMAT="json",
    )


def _clean_up() -> None:
    """Also when pytest stops before there is a session: settings that don't load, a wrong option."""
    if _server is not None:
        _server.stop()
    if _directory is not None:
        shutil.rmtree(_directory, ignore_errors=True)


atexit.register(_clean_up)
_prepare()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests marked `postgres` to the run on PostgreSQL, or skip them where there is none."""
    if not os.environ["DATABASE_URL"].startswith("sqlite"):
        return
    elsewhere = [item for item in items if item.get_closest_marker("postgres")]
    if embedded() and os.environ.get("TEST_DATABASE_URL"):
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
        return
    for item in elsewhere:
        item.add_marker(pytest.mark.service)
        item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set TEST_DATABASE_URL"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "service" in report.keywords and not hasattr(report, "wasxfail"):
        _skipped_services.append(report.nodeid)


def _must_fail() -> bool:
    return bool(_skipped_services) and os.environ.get("CI_REQUIRE_SERVICES", "") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _must_fail() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = [f"{what} ({name})" for name, what in SERVICES.items() if not os.environ.get(name)]
    if missing:
        terminalreporter.section("left out")
        terminalreporter.line("Not set, so tests that need it were skipped: " + ", ".join(missing))
    if _must_fail():
        terminalreporter.section("services required")
        terminalreporter.line("CI_REQUIRE_SERVICES=1, but these tests were skipped:", red=True)
        for test in _skipped_services:
            terminalreporter.line(f"  {test}")
