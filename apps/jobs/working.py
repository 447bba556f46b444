"""How a Celery worker becomes a crew: the signals of its life."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery.signals import celeryd_init, worker_ready, worker_shutdown, worker_shutting_down

from apps.jobs import crew
from apps.jobs.task import registry

log = structlog.get_logger(__name__)


def install() -> None:
    """Connect to Celery's signals. They do nothing in a process that is not a worker."""
    celeryd_init.connect(_check_pool, weak=False, dispatch_uid="jobs.check_pool")
    worker_ready.connect(_begin, weak=False, dispatch_uid="jobs.begin")
    worker_shutting_down.connect(_begin_to_stop, weak=False, dispatch_uid="jobs.begin_to_stop")
    worker_shutdown.connect(_stop, weak=False, dispatch_uid="jobs.stop")


def _check_pool(options: dict[str, Any] | None = None, **_: Any) -> None:
    pool = str((options or {}).get("pool") or "")
    if pool and pool != "None" and "thread" not in pool:  # a name or, by then, the class
        log.warning(
            "pool_unsuited", pool=pool, hint="queues with jobs are served by: celery worker -P threads"
        )


def _begin(sender: Any, **_: Any) -> None:
    queues = set(sender.app.amqp.queues.consume_from)
    if any(task.queue in queues for task in registry().values()):
        crew.start(queues)


def _begin_to_stop(**_: Any) -> None:
    # In a thread: this runs in the signal's handler, and bells' runs return when their jobs have ended.
    threading.Thread(target=crew.stop, name="stopping", daemon=True).start()


def _stop(**_: Any) -> None:
    crew.stop()
