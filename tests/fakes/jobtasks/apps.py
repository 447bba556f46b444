"""A process that is started before it is needed waits here, with its imports behind it.

START_WHEN=/path/to/a/file    goes on when the file is there
"""

import os
from pathlib import Path
from threading import Event

from django.apps import AppConfig


class JobTasks(AppConfig):
    name = "tests.fakes.jobtasks"

    def ready(self) -> None:
        gate = os.environ.get("START_WHEN")
        while gate and not Path(gate).exists():
            Event().wait(0.02)
