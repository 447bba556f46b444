"""Where a job that was running in two crashes runs alone: one at a time, in a child process of the worker.

If the child dies with it, or it overruns, nobody else is hurt and there is no doubt who it was: poison. A bystander
simply completes. The child lives on from suspect to suspect; its parent tells it ids on its standard input.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess  # nosec B404 - our own interpreter, no shell
import sys
import threading
import time
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

import structlog
from django.db import DatabaseError, IntegrityError, connection

from apps.jobs import ledger
from apps.jobs.connections import drop_if_broken, is_away
from apps.jobs.life import DatabaseAway
from apps.jobs.models import Job
from apps.jobs.task import get_task
from apps.reliability import patience

if TYPE_CHECKING:
    from apps.jobs.crew import Crew

log = structlog.get_logger(__name__)

START_WITHIN = 30.0
SLACK = 5.0
ORPHAN_SECONDS = 3.0
"""How long a child whose parent is gone may go on with its job."""
DONE = "done"
READY = "ready"
GONE = "gone"


class Quarantine:
    """The parent's side."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._child: subprocess.Popen[str] | None = None
        self._busy = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether a suspect runs: a worker that stops waits for it."""
        return self._busy.locked()

    def feed(self) -> None:
        """Take one suspect after the other, in a thread of its own; returns at once."""
        if self._busy.locked() or ledger.next_suspect(list(self.crew.lines) or [""]) is None:
            return
        threading.Thread(target=self._run, name="quarantine", daemon=True).start()

    def _run(self) -> None:
        if not self._busy.acquire(blocking=False):
            return
        try:
            while not self.crew.stopping:
                job_id = ledger.next_suspect(list(self.crew.lines))
                if job_id is None or not self._try_alone(job_id):
                    return
        except Exception:
            log.exception("quarantine_error")
        finally:
            connection.close()
            self._busy.release()

    def _try_alone(self, job_id: int) -> bool:
        """Run it in the child; False where there is none, so that the next try is the sweeper's, a second later."""
        task = get_task(Job.objects.values_list("task", flat=True).get(pk=job_id))
        child = self._child_that_listens()
        why = "its process died with it, alone"
        if child is None or child.stdin is None:
            return False
        try:
            child.stdin.write(f"{job_id} {self.crew.worker_id}\n")
            child.stdin.flush()
            answer = _answer(child, task.time_limit + SLACK)
            if answer == DONE:
                return True
            if answer != GONE:
                why = f"it ran beyond its {task.time_limit:g} s, alone"
        except BrokenPipeError:
            log.debug("quarantine_pipe", job=job_id)
        if (
            self.crew.stopping
        ):  # its parent ends it: nobody's crash; it is taken back when this worker has ended
            return False
        self.close()
        self._judge(job_id, why)
        return True

    def _judge(self, job_id: int, why: str) -> None:
        from apps.jobs.taking_back import blame

        row = ledger.running(job_id, worker=self.crew.worker_id)
        if row is not None:
            blame([row], why, worker=self.crew.worker_id)

    def _child_that_listens(self) -> subprocess.Popen[str] | None:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "django", "run_suspects"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            if _answer(self._child, START_WITHIN) != READY:
                log.error("quarantine_no_child", code=self._child.poll())
                self.close()
                return None
        return None if self.crew.stopping else self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._child = None


def _answer(child: subprocess.Popen[str], within: float) -> str:
    """Return the child's next word for us, GONE when it died, "" when `within` seconds are over."""
    until = time.monotonic() + within
    out: IO[str] | None = child.stdout
    while out is not None and (left := until - time.monotonic()) > 0:
        readable, _, _ = select.select([out], [], [], left)
        if readable:
            line = out.readline()
            if not line:
                return GONE
            if line.startswith("quarantine:"):
                return line.removeprefix("quarantine:").strip()
    return ""


def serve(lines: IO[str], answers: IO[str]) -> None:
    """The child's side: run the jobs whose ids come in, one at a time. The process ends with its parent."""
    from apps.jobs.drain import run_one

    patience.by_default(patience.WORKER)
    told: SimpleQueue[str | None] = SimpleQueue()
    over = threading.Event()
    threading.Thread(target=_listen, args=(lines, told, over), name="listener", daemon=True).start()
    _say(answers, READY)
    try:
        while (line := told.get()) is not None:
            job_id, worker = line.split()
            try:
                drop_if_broken()
                with contextlib.redirect_stdout(sys.stderr):  # what a task prints is not for the parent
                    run_one(int(job_id), worker=int(worker))
            except (DatabaseAway, DatabaseError) as error:
                if not isinstance(error, DatabaseAway | IntegrityError) and not is_away(error):
                    raise  # an outcome that can't be written would come back for ever
                # Not the suspect's doing. It comes back when its lease is over.
                log.exception("quarantine_database", job=job_id)
                connection.close()
            _say(answers, DONE)
    finally:
        over.set()


def _listen(lines: IO[str], told: SimpleQueue[str | None], over: threading.Event) -> None:
    for line in lines:
        told.put(line)
    told.put(None)
    # The parent is gone. A job that never ends would run for ever: nobody is left to judge it.
    if not over.wait(ORPHAN_SECONDS):
        os._exit(1)


def _say(answers: IO[str], word: str) -> None:
    answers.write(f"quarantine:{word}\n")
    answers.flush()
