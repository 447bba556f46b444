"""The address that Celery uses is the settings', whatever the `celery` command makes of the environment."""

import subprocess

import pytest
from django.conf import settings

from project.celery import app
from tests.servers.processes import REPOSITORY
from tests.servers.switchboard import PYTHON


def test_reading_and_writing_have_the_settings_address(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://somewhere.else.example//")  # what --broker sets
    assert app.conf.broker_read_url == app.conf.broker_write_url == settings.CELERY_BROKER_URL


@pytest.mark.django_db
def test_a_command_of_celery_understands_a_unix_socket(child_environment):
    url = child_environment["REDIS_URL"]
    told = subprocess.run(
        [PYTHON, "-m", "celery", "-A", "project", "inspect", "ping", "--timeout", "0.5"],
        env={**child_environment, "BROKER_URL": url},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "No nodes replied" in told.stderr + told.stdout
    assert "Traceback" not in told.stderr
