"""The threads of one worker process, and the doors to them from Celery.

ledger threads   a handful, the only ones that hold database connections; claims, reads, writes
event loop       async calls, as many as there are places
call threads     sync calls
heartbeat        renews the one lease of all jobs of this process
sweeper          finds what is due though no bell rang, and what others left behind
watchman         notices a call that never ends and a loop that no longer turns
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from apps.jobs import bell, leases, ledger, life, stopping
from apps.jobs.claimed import ClaimedJob
from apps.jobs.connections import drop_if_broken, is_away
from apps.jobs.life import Ready
from apps.jobs.line import Line
from apps.jobs.planning import plan_for_a_crew
from apps.jobs.sweeper import Sweeper
from apps.jobs.task import registry
from apps.jobs.throttle import Throttle
from apps.jobs.watchman import Watchman
from apps.reliability import garbage, patience

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0
"""Between two tries to enter the ledger while the database is away."""


class Crew:
    def __init__(self, queues: Iterable[str]) -> None:
        self.queues = sorted(set(queues) & set(settings.QUEUES))
        self.lines = {
            task.name: Line(self, task) for task in registry().values() if task.queue in self.queues
        }
        self.worker_id = 0
        self.stopping = False
        self.stopped = threading.Event()
        threads = 1 if connection.vendor == "sqlite" else settings.LEDGER_THREADS
        self._ledger = ThreadPoolExecutor(threads, thread_name_prefix="ledger")
        self._calls = ThreadPoolExecutor(_sync_places(self.lines.values()), thread_name_prefix="call")
        self.loop = _new_loop()
        self.throttle = Throttle(self.queues)
        self._sweeper = Sweeper(self)
        self._stop_once = threading.Lock()

    # --- start -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Enter the ledger as a worker and begin."""
        patience.by_default(patience.WORKER)
        plan_for_a_crew()
        self.worker_id = leases.register(self.queues)
        self.throttle.refresh()
        connection.close()
        garbage.settle()
        for name, run in (
            ("loop", self.loop.run_forever),
            ("heartbeat", self._heartbeat),
            ("sweeper", self._sweeper.run),
            ("watchman", Watchman(self).run),
        ):
            threading.Thread(target=run, name=name, daemon=True).start()
        log.info("crew_started", worker=self.worker_id, tasks=sorted(self.lines))

    # --- where things run ------------------------------------------------------------------------

    def on_ledger(self, work: Callable[..., None], *args: Any) -> None:
        """Run `work` on a ledger thread."""
        try:
            self._ledger.submit(_logged, work, *args)
        except RuntimeError:  # the pool is closed: this process is on its way out
            log.debug("ledger_closed", work=getattr(work, "__name__", ""))

    def later(self, seconds: float, work: Callable[..., None], *args: Any) -> None:
        """Run `work` on a ledger thread after `seconds`."""
        self.loop.call_soon_threadsafe(lambda: self.loop.call_later(seconds, self.on_ledger, work, *args))

    def start_async(self, line: Line, ready: Sequence[Ready]) -> None:
        self.loop.call_soon_threadsafe(self._spawn, line, ready)

    def _spawn(self, line: Line, ready: Sequence[Ready]) -> None:
        for one in ready:
            if flight := line.flights.get(one.job.key):
                flight.begun = time.monotonic()
                flight.handle = self.loop.create_task(self._run_async(line, one))

    async def _run_async(self, line: Line, ready: Ready) -> None:
        try:
            outcome = await life.call_async(line.task, ready)
        except asyncio.CancelledError:
            self.on_ledger(self.hand_back, line, [ready.job])
            return
        line.finish([outcome])

    def start_sync(self, line: Line, ready: Ready) -> Future[None]:
        return self._calls.submit(_logged, self._run_sync, line, ready)

    def _run_sync(self, line: Line, ready: Ready) -> None:
        if self.stopping and not ready.marked:
            self.on_ledger(self.hand_back, line, [ready.job])
            return
        line.begun(ready.job)
        line.finish([life.call(line.task, ready)])

    # --- what lines ask of each other --------------------------------------------------------------

    def reserve(self, task: str) -> bool:
        line = self.lines.get(task)
        return line is not None and line.reserve()

    def give_back(self, task: str, places: int) -> None:
        self.lines[task].give_back(places)

    def hand_over(self, jobs: Sequence[ClaimedJob], holder: Line) -> None:
        """Take on jobs that a finishing transaction left to this worker."""
        holder.host.hold(len(jobs))
        by_task: dict[str, list[ClaimedJob]] = {}
        for job in jobs:
            by_task.setdefault(job.task, []).append(job)
        for task, mine in by_task.items():
            # Here and now: they are what somebody waits for; promoting lanes comes after.
            _logged(self.lines[task].admit, mine, holder)

    def wake_promoted(self, tasks: Iterable[str]) -> None:
        away = {
            (task, registry()[task].queue) for task in tasks if task in registry() and not self.wake(task)
        }
        for task, queue in away:
            bell.ring_others(task, queue)

    def wake(self, task: str) -> bool:
        line = self.lines.get(task)
        return line is not None and line.wake()

    def hand_back(self, line: Line, jobs: Sequence[ClaimedJob]) -> None:
        """Give up jobs whose call has not begun, or was cancelled and may be repeated: no attempt is spent."""
        try:
            ledger.hand_back(jobs)
        except DatabaseError as error:
            connection.close()
            log.warning("hand_back_failed", jobs=[job.id for job in jobs], error=str(error))
        line.release(jobs)

    # --- heartbeat, watchman -----------------------------------------------------------------------

    def _time_to_beat(self) -> bool:
        """Wait for the next beat; False when there is nothing left to keep."""
        if not self.stopped.wait(leases.HEARTBEAT):
            return True
        threading.Event().wait(leases.HEARTBEAT)
        # A send that outlasts the stop keeps its lease: taken back, it would be made twice.
        return any(line.flights for line in self.lines.values())

    def _heartbeat(self) -> None:
        with patience.of(patience.LEASE):
            while self._time_to_beat():
                try:
                    self._beat()
                except (
                    Exception
                ) as error:  # whatever it is: a thread that ends here costs the worker its lease
                    connection.close()
                    log.warning("heartbeat_failed", error=str(error))

    def _beat(self) -> None:
        drop_if_broken()
        if not ledger.heartbeat(self.worker_id, lease=leases.LEASE) and not self.stopped.is_set():
            # We were declared gone (stopped for longer than the lease). The fence keeps our old jobs from writing; new
            # ones are claimed under a new name.
            was, self.worker_id = self.worker_id, leases.register(self.queues)
            log.warning("lease_lost", was=was, now=self.worker_id)

    # --- stop ----------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Claim no more, let sends finish, hand the rest back (stopping.py). At most 20 s, and what the database takes.

        False where calls still run.
        """
        with self._stop_once:
            self.stopping = True
            return self.stopped.is_set() or stopping.stop(self)

    @property
    def is_idle(self) -> bool:
        return not self._sweeper.quarantine.is_busy and not any(
            line.in_flight for line in self.lines.values()
        )

    def end_quarantine(self) -> None:
        self._sweeper.quarantine.close()

    def cancel_repeatable(self) -> None:
        """On the loop: cut off what may be repeated."""
        for line in self.lines.values():
            for flight in list(line.flights.values()):
                if flight.begun is not None and not flight.marked and isinstance(flight.handle, asyncio.Task):
                    flight.handle.cancel()


def _sync_places(lines: Iterable[Line]) -> int:
    return sum(line.places for line in lines if line.task.call is not None and not line.task.is_async) or 1


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _logged(work: Callable[..., Any], *args: Any) -> None:
    try:
        work(*args)
    except Exception:
        log.exception("crew_error", work=getattr(work, "__qualname__", str(work)))


# --- the doors -------------------------------------------------------------------------------------

_crew: Crew | None = None


def current() -> Crew | None:
    """Return this process's crew, if it is a worker."""
    return _crew


def start(queues: Iterable[str]) -> None:
    """Make this process a worker of `queues`, as soon as the database can be reached."""
    global _crew
    crew = Crew(queues)
    if not crew.lines:
        return
    while _crew is None and not stopping.leaving.is_set():
        try:
            crew.start()
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("crew_waits", error=str(error).strip(), again_in=AGAIN_SECONDS)
            connection.close()
            stopping.leaving.wait(AGAIN_SECONDS)
        else:
            _crew = crew


def wake(task: str) -> bool:
    """Wake the task's line in this process; False if there is none or it has no room."""
    return _crew is not None and _crew.wake(task)


def answer(task: str) -> None:
    """Answer a bell: look for work and stay until what was claimed has ended, so that Celery sees it as active."""
    line = _crew.lines.get(task) if _crew else None
    if line is None:
        bell.silence(task)
        log.error(
            "bell_unanswered", task=task, hint="run this worker with -P threads and the task's queue in -Q"
        )
        return
    if not line.hot:  # a hot line looks by itself, and once more after it has let the bell ring again
        bell.silence(task)
        line.wake()
    line.host.stay()
