"""How a Celery worker becomes a crew: the signals of its life.

The crew begins before Celery connects to the broker: its sweeper finds work without one. It waits for the database, and
the worker with it. If it can't begin at all, the process ends: a worker without a crew would do nothing for ever.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery.signals import celeryd_after_setup, celeryd_init, worker_shutdown, worker_shutting_down

from apps.jobs import crew, stopping
from apps.jobs.task import registry

log = structlog.get_logger(__name__)

CANT_START = 70


def install() -> None:
    """Connect to Celery's signals. They do nothing in a process that is not a worker."""
    celeryd_init.connect(_check_pool, weak=False, dispatch_uid="jobs.check_pool")
    celeryd_after_setup.connect(_begin, weak=False, dispatch_uid="jobs.begin")
    worker_shutting_down.connect(_begin_to_stop, weak=False, dispatch_uid="jobs.begin_to_stop")
    worker_shutdown.connect(_stop, weak=False, dispatch_uid="jobs.stop")


def _check_pool(options: dict[str, Any] | None = None, **_: Any) -> None:
    pool = str((options or {}).get("pool") or "")
    if pool and pool != "None" and "thread" not in pool:  # a name or, by then, the class
        log.warning(
            "pool_unsuited", pool=pool, hint="queues with jobs are served by: celery worker -P threads"
        )


def _begin(instance: Any, **_: Any) -> None:
    queues = set(instance.app.amqp.queues.consume_from)
    if not any(task.queue in queues for task in registry().values()):
        return
    stopping.hear()
    try:
        crew.start(queues)
    except Exception as error:
        log.exception("crew_did_not_start")
        raise SystemExit(CANT_START) from error  # Celery swallows any other exception of a signal's receiver


def _begin_to_stop(**_: Any) -> None:
    stopping.begin()


def _stop(**_: Any) -> None:
    stopping.stop_and_leave()
