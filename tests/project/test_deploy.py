"""The settings as a production would have them, in a process of their own: Django's own checks find nothing."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

PRODUCTION = {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "Jq0-x8Zt5nN3vB7mK2pL9sD4fG6hW1cR_yTuEoIaXbVz0MkQ-9fT2",
    "ENCRYPTION_KEYS": "uN4-b7Wc2Xr9Lk6Jd1Hs8Gf3Zp5Qm0Tv_yEoIaRxUwKnBs",
    "ALLOWED_HOSTS": "switchboard.example.com",
    "DATABASE_URL": "postgresql://switchboard:secret@db.example.com/switchboard",
    "REDIS_URL": "rediss://:secret@redis.example.com:6379/0",
    "BROKER_URL": "amqps://switchboard:secret@rabbit.example.com/switchboard",
}


def manage(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """manage.py with these settings and no others."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "VAR_DIR", "LANG") if name in os.environ}
    given = {name: value for name, value in {**kept, **PRODUCTION, **changes}.items() if value is not None}
    line = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        line, cwd=settings.BASE_DIR, env=given, capture_output=True, text=True, timeout=60, check=False
    )


def test_djangos_deployment_checks_find_nothing():
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ENCRYPTION_KEYS", "REDIS_URL"])
def test_what_is_required_stops_the_boot(missing):
    done = manage("check", **{missing: None})
    assert done.returncode == 1
    assert f"{missing} is not set" in done.stderr
    assert "HINT" in done.stderr


@pytest.mark.parametrize("url", ["mysql://somewhere/db", "nonsense"])
def test_a_database_we_do_not_serve_is_explained_and_not_a_traceback(url):
    done = manage("check", DATABASE_URL=url)
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_development_needs_nothing_but_redis():
    bare = {name: None for name in PRODUCTION} | {"ENV_FILE": os.devnull, "DEBUG": "true"}
    done = manage("check", **bare | {"REDIS_URL": "redis://127.0.0.1:6379/0"})
    assert done.returncode == 0, done.stderr


def test_no_key_is_written_into_a_complaint():
    done = manage("check", SECRET_KEY="short-and-secret", REDIS_URL=None)
    assert done.returncode == 1
    assert "short-and-secret" not in done.stderr + done.stdout
