"""What a task declares. The ledger does the rest (apps/jobs/life.py tells the life of a job).

    class SendPostcard(JobTask):
        name, queue, batch = "delivery.send_postcard", "postcard-send", 50
        retry_backoff, max_retries = 1, 2

        def read(self, jobs): ...       # bulk: what the calls need; nothing is held afterwards
        async def call(self, item): ... # the outside world, one job; no database here
        def write(self, done): ...      # bulk: effects and next jobs, inside the finishing transaction
        def dead(self, jobs, reason): ...  # what follows from giving up, in the transaction that gives up

Each part may be left out. The options have Celery's names; Celery itself never sees them (it would wrap the
task in a retry of its own): it knows each task by an inner one that takes no arguments, the bell.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from apps.jobs.payloads import PayloadType

if TYPE_CHECKING:
    from apps.jobs.claimed import ClaimedJob
    from apps.jobs.endings import Ending
    from apps.jobs.enqueueing import Enqueued

_registry: dict[str, JobTask] = {}


def registry() -> Mapping[str, JobTask]:
    """Return every task that exists, by name."""
    return _registry


def get_task(name: str) -> JobTask:
    """Return the task called `name`. Raises LookupError, naming what to look at."""
    try:
        return _registry[name]
    except KeyError:
        raise LookupError(
            f"no task {name!r}; a task is a JobTask in the tasks.py of an installed app"
        ) from None


@dataclass(slots=True)
class Done:
    """A job whose call succeeded: what `write` gets."""

    job: ClaimedJob
    item: Any
    result: Any


class JobTask:
    """The base of every task. Subclassing registers it under its name."""

    name: ClassVar[str] = ""
    queue: ClassVar[str] = ""
    batch: ClassVar[int] = 50
    """The most jobs of one claim."""
    payload: ClassVar[type | None] = None
    autoretry_for: ClassVar[tuple[type[BaseException], ...]] = ()
    """Outside exceptions that are worth another try without being a bug of ours."""
    retry_backoff: ClassVar[float] = 1
    retry_backoff_max: ClassVar[float] = 900
    max_retries: ClassVar[int | None] = 2
    """None: until the job expires."""
    time_limit: ClassVar[float] = 60
    """Seconds for one `call`."""
    keep_result: ClassVar[bool] = False
    """Whether what `call` returned stays on the completed row."""

    payload_type: ClassVar[PayloadType]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.name:  # an abstract base of several tasks
            return
        if not cls.queue:
            raise TypeError(f"{cls.__name__}: a JobTask names its queue")
        there = _registry.get(cls.name)
        if there and type(there).__qualname__ != cls.__qualname__:
            raise TypeError(f"two tasks are called {cls.name!r}: {type(there)} and {cls}")
        cls.payload_type = PayloadType(cls.name, cls.payload)
        _registry[cls.name] = cls()
        from apps.jobs.bell import hang

        hang(cls.name)

    # --- the parts ------------------------------------------------------------------------------

    def read(self, jobs: list[ClaimedJob]) -> dict[int, Any | Ending]:
        """Return for each job's id the item its call needs, or an Ending. Without it the item is the payload."""
        return {job.id: job.data for job in jobs}

    call: Any = None
    """`def call(self, item)` (in a thread) or `async def call(self, item)` (on the event loop): plain data back."""

    def write(self, done: list[Done]) -> None:
        """Write the effects. Only jobs whose fence still matches are here. No outside calls."""

    def dead(self, jobs: list[ClaimedJob], reason: str) -> None:
        """Write what follows from giving up on these jobs."""

    def arrived(self, payloads: list[Any]) -> None:
        """Write what follows when an outcome that was unknown turns out to be a success, as a person says."""

    def repeatable(self, item: Any) -> bool:
        """Whether a call that was cut off may simply be made again."""
        return True

    def may_repeat(self, jobs: list[ClaimedJob]) -> set[int]:
        """Return the ids of those whose owner wants an unknown outcome to be tried again."""
        return set()

    # --- making jobs ----------------------------------------------------------------------------

    def delay(self, **payload: Any) -> Enqueued:
        """Enqueue a job with this payload."""
        return self.apply_async(kwargs=payload)

    def apply_async(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        **options: Any,
    ) -> Enqueued:
        """Enqueue a job; `countdown` (seconds) and `eta` become its `run_at`. Raises TypeError for what is refused."""
        from apps.jobs.enqueueing import enqueue, known_options

        if args:
            raise TypeError(f"{self.name}: a job's payload has names; pass kwargs")
        chosen = known_options(self.name, options)
        return enqueue(self.name, kwargs or {}, delay=countdown or 0.0, run_at=eta, **chosen)

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise TypeError(f"{self.name}: {what} is not for jobs; {instead}")

    def retry(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("retry()", "raise TransientError(retry_after=…) and the ledger retries")

    def s(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("a signature", "enqueue the next job by its name in write()")

    si = signature = subtask = chunks = map = starmap = s

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    def __repr__(self) -> str:
        return f"<JobTask {self.name}>"


def job_task(*, name: str, queue: str, **options: Any) -> Callable[[Callable[..., Any]], JobTask]:
    """Make a small task of a function: it gets the job's data as its `write`, once a job.

    It runs inside the finishing transaction, so it calls nothing outside.
    """

    def declare(function: Callable[..., Any]) -> JobTask:
        def write(self: JobTask, done: list[Done]) -> None:
            for one in done:
                function(one.item)

        members = {"name": name, "queue": queue, "write": write, "__doc__": function.__doc__, **options}
        type(function.__name__, (JobTask,), {"__module__": function.__module__, **members})
        return _registry[name]

    return declare
