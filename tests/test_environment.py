"""The test run itself: processes that a test starts see what the test sees, and nothing else of this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from pytest_socket import SocketConnectBlockedError

from tests import environment


@pytest.mark.django_db(transaction=True)
def test_a_child_process_sees_the_rows_of_the_test(child_environment):
    get_user_model().objects.create_user("visible")
    code = (
        "import django; django.setup(); from django.contrib.auth import get_user_model as user; "
        "print(user().objects.get().username)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=child_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "visible", done.stderr


@pytest.mark.django_db
def test_the_embedded_database_is_a_file_of_this_run():
    if connection.vendor == "sqlite":
        assert Path(str(connection.settings_dict["NAME"])).parent == environment.directory()
    else:
        assert str(connection.settings_dict["NAME"]).startswith("test_")


def test_settings_come_from_the_run_and_not_from_this_machine():
    assert settings.SECRET_KEY == environment.SECRET_KEY
    assert settings.ENCRYPTION_KEYS == [environment.ENCRYPTION_KEY]
    assert os.fspath(settings.ENV_FILE) == os.devnull


def test_the_network_is_off():
    # pytest-socket warns before it raises, and warnings are errors here.
    with socket.socket() as outside, pytest.raises((SocketConnectBlockedError, UserWarning)):
        outside.connect(("192.0.2.1", 443))
