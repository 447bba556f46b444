"""What every test gets: a database file of its own run, an empty Redis, and the environment for child processes."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
import structlog
from django.conf import settings
from django.db import connections

from apps.reliability import short_memory
from tests import environment
from tests.figures import figure, pytest_terminal_summary
from tests.scheduling import pytest_xdist_make_scheduler

__all__ = ["figure", "pytest_terminal_summary", "pytest_xdist_make_scheduler"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file, so that worker processes see what the test wrote; one file for each xdist worker."""
    entry = connections["default"].settings_dict
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        entry["TEST"]["NAME"] = str(environment.directory() / f"test-{environment.worker_number()}.sqlite3")


def database_url() -> str:
    """DATABASE_URL of the test database itself, for child processes. Only inside a test that uses the database."""
    name = connections["default"].settings_dict["NAME"]
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}"))


@pytest.fixture
def child_environment() -> dict[str, str]:
    """The environment for a process (worker, server, beat) that shares this test's database, Redis and broker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return {**kept, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "project.settings"}


@pytest.fixture(scope="session")
def _redis_of_the_run() -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes remember for two seconds (accounts, chatbots) is asked anew each time in the test's own."""
    monkeypatch.setattr(short_memory, "FRESH_SECONDS", 0.0)
    short_memory.forget_all()


@pytest.fixture(autouse=True)
def _nothing_left_over(_redis_of_the_run: "redis.Redis") -> Iterator[None]:
    """No bell key, limit or bound log value of an earlier test reaches this one."""
    _redis_of_the_run.flushdb()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
