"""Bells: "there is work for you". A Celery message with a task's name and nothing in it.

A bell carries nothing that could be lost: if it never arrives, the sweeper finds the job. One thread per process
rings, so that no request waits for the broker. A key in Redis, whatever the broker, keeps at most one unanswered
bell per task; the worker that answers deletes it before it claims.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import structlog
from celery import Task, current_app, shared_task
from redis.exceptions import RedisError

from apps.reliability.outage import Outage
from apps.reliability.redis_client import redis_client

log = structlog.get_logger(__name__)

KEY = "switchboard:bell:"
KEY_SECONDS = 10
"""How long a bell that nobody answers keeps others from ringing."""
COMPLAIN_EVERY = 10.0


# Ledger threads silence bells: a Redis that is frozen may hold up one of them once, not each of them at every claim.
_outage = Outage("bell_keys", "bells ring more often than needed", probe=lambda: redis_client().ping())


class Bell(Task):
    """The inner Celery task of every JobTask: what a worker runs when the bell rings."""

    abstract = True
    ignore_result = True

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Enqueue a job: nobody makes a bell by hand, and beat's entries become rows."""
        from apps.jobs.task import get_task

        return get_task(self.name).apply_async(args, kwargs, **options)


def hang(name: str) -> None:
    """Register the bell of the task called `name` with Celery."""

    def answer(bell: Bell, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            # A bell carries nothing: whoever sent this is not us.
            log.error(
                "bell_refused", task=bell.name, reason="it carried arguments; jobs are made with enqueue()"
            )
            return
        from apps.jobs.crew import answer as look_for_work

        look_for_work(bell.name)

    shared_task(bind=True, base=Bell, name=name, typing=False)(answer)


class Ringer:
    """The thread that rings. Names put in while it is busy ring once."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._complain_at = 0.0

    def ring(self, bells: Iterable[tuple[str, str]]) -> None:
        """Ring for these (task, queue); returns at once."""
        with self._changed:
            self._names.update(bells)
            if self._pid != os.getpid() or not self._thread or not self._thread.is_alive():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._names:
                    self._changed.wait()
                names, self._names = self._names, set()
            for task, queue in names:
                self._publish(task, queue)

    def _publish(self, task: str, queue: str) -> None:
        try:
            if not _outage.quiet() and not redis_client().set(KEY + task, "1", nx=True, ex=KEY_SECONDS):
                return
        except RedisError as error:  # no key, so the bell may ring twice: an empty claim
            _outage.began(error)
        try:
            current_app.send_task(task, queue=queue, retry=False, ignore_result=True)
        except Exception as error:  # whatever the broker's library raises: the sweeper will find the job
            silence(task)  # the key would keep the next bell from ringing
            if time.monotonic() >= self._complain_at:
                self._complain_at = time.monotonic() + COMPLAIN_EVERY
                log.warning("bell_not_rung", task=task, error=str(error), hint="the sweeper finds the work")


_ringer = Ringer()


def ring_all(bells: Iterable[tuple[str, str]]) -> None:
    """Ring for these (task, queue): in this very process if it serves them and has room, else over the broker."""
    from apps.jobs.crew import wake

    if away := [bell for bell in bells if not wake(bell[0])]:
        _ringer.ring(away)


def ring_others(task: str, queue: str) -> None:
    """Ring for workers in other processes."""
    _ringer.ring([(task, queue)])


def silence(task: str) -> None:
    """Say that the bell of `task` is being answered. Called before the claim, so that none is missed."""
    if _outage.quiet():
        return  # a key that stays is over after KEY_SECONDS; until then the sweeper finds what comes
    try:
        redis_client().delete(KEY + task)
    except RedisError as error:
        _outage.began(error)
