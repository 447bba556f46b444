import json
import os
import time
from typing import Any

from celery.signals import task_received
from django.apps import AppConfig


class BellsConfig(AppConfig):
    name = "tests.fakes.bells"
    label = "bells"

    def ready(self) -> None:
        task_received.connect(write_down, weak=False)


def write_down(request: Any, **_: Any) -> None:
    heard = {
        "task": request.name,
        "queue": request.delivery_info.get("routing_key"),
        "redelivered": bool(request.delivery_info.get("redelivered")),
        "pid": os.getpid(),
        "at": time.time(),
    }
    with open(os.environ["BELLS_RECORD"], "a") as record:
        record.write(json.dumps(heard) + "\n")
