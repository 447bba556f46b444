"""The Celery app: worker pools, queues, beat, remote control, events. What must not be lost is in apps.jobs."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# Celery's own run of Django's checks loads every view into the worker and ignores what they say; ours is below.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("switchboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Being connected is the point: Celery leaves logging to the settings."""


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_wrong_settings(**_: Any) -> None:
    """A worker or a beat on wrong settings must not start."""
    from apps.operations.checks import stop_if_wrong

    stop_if_wrong()
