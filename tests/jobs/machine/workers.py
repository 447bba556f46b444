"""A worker process, cut into the steps between which it may be stopped or killed.

claimed -> read -> marked -> called -> written, and after the commit the lanes are promoted. What it holds is in its
memory, so that a kill takes it along. Everything that touches a row is the ledger's own function.
"""

from dataclasses import dataclass, field

from apps.jobs import leases, ledger, life
from apps.jobs.claimed import ClaimedJob
from apps.jobs.life import Outcome, Ready
from apps.jobs.settling import settle
from apps.jobs.sharing import Ring
from apps.jobs.sweeper import Sweeper
from apps.jobs.taking_back import blame
from apps.jobs.task import get_task
from tests.jobs.machine.clock import VirtualClock
from tests.jobs.machine.upstream import TASKS

PLACES = 50
Key = tuple[int, int]


@dataclass
class Held:
    """A claim in this process's memory, and how far it has come."""

    job: ClaimedJob
    ready: Ready | None = None
    marked: bool = False
    """Read, and past the mark: its call may begin."""
    outcome: Outcome | None = None


@dataclass
class StubLine:
    """What the sweeper asks of a line."""

    flights: dict[Key, Held] = field(default_factory=dict)
    in_flight: int = 0
    places: int = PLACES


class NoQuarantine:
    """The child process is a rule of the machine."""

    def feed(self) -> None: ...

    def close(self) -> None: ...


class VirtualWorker:
    """Also its own crew: what the sweeper and a handover ask of one."""

    stopping = False

    def __init__(self, clock: VirtualClock, pid: int, *, visible: bool) -> None:
        self.clock, self.pid = clock, pid
        self.host = leases.host_identity() if visible else f"host-{pid}"
        self.dead = self.frozen = False
        self.held: dict[Key, Held] = {}
        self.owed: set[str] = set()
        """Lanes to promote: committed, but not promoted yet."""
        self.woken: set[str] = set()
        self.lines = {task: StubLine(self.held if task == TASKS[0] else {}) for task in TASKS}
        self.rings = {task: Ring() for task in TASKS}
        self.behind: set[str] = set()
        """Tasks of which the last claim came back full: the next one goes by fair shares."""
        self.worker_id = 0
        self.names: set[int] = set()
        self.register()
        self.sweeper = Sweeper(self)
        self.sweeper._quarantine = NoQuarantine()

    def register(self) -> None:
        self.worker_id = ledger.register_worker(
            host=self.host, hostname="h", pid=self.pid, process_start="1", queues="[]", lease=leases.LEASE
        )
        self.names.add(self.worker_id)

    # --- what is asked of a crew ------------------------------------------------------------------

    def wake(self, task: str) -> bool:
        self.woken.add(task)
        return True

    def wake_promoted(self, tasks) -> None:
        self.woken.update(tasks)

    def reserve(self, task: str) -> bool:
        return True

    def give_back(self, task: str, places: int) -> None: ...

    # --- the way of a job --------------------------------------------------------------------------

    def claim(self, task: str, places: int) -> list[ClaimedJob]:
        claim = self.rings[task].claim if task in self.behind else ledger.claim
        jobs, seen = claim(task, places=places, worker=self.worker_id)
        (self.behind.add if seen == places else self.behind.discard)(task)
        self.take_on(jobs)
        return jobs

    def take_on(self, jobs: list[ClaimedJob]) -> None:
        for job in jobs:
            job.claimed_at = self.clock.seconds  # a job that was handed over has it from the real clock
            self.held[job.key] = Held(job)

    def of_task(self, held: list[Held]) -> dict[str, list[Held]]:
        by_task: dict[str, list[Held]] = {}
        for one in held:
            by_task.setdefault(one.job.task, []).append(one)
        return by_task

    def read(self) -> None:
        unread = [one for one in self.held.values() if one.ready is None and one.outcome is None]
        for task, mine in self.of_task(unread).items():
            ready, over = life.begin(get_task(task), [one.job for one in mine])
            for one in ready:
                self.held[one.job.key].ready = one
            for outcome in over:
                self.held[outcome.job.key].outcome = outcome

    def mark(self) -> None:
        unmarked = [one for one in self.held.values() if one.ready and not one.marked and not one.outcome]
        kept = {one.job.key for one in life.mark([one.ready for one in unmarked], worker=self.worker_id)}
        for one in unmarked:
            if one.job.key in kept:
                one.marked = True
            else:
                del self.held[one.job.key]

    def callable(self) -> list[Held]:
        return [one for one in self.held.values() if one.marked and one.outcome is None]

    def call(self, one: Held) -> None:
        one.outcome = life.call(get_task(one.job.task), one.ready)

    def ended(self) -> list[Held]:
        return [one for one in self.held.values() if one.outcome]

    def write(self, held: list[Held], *, hand_over: bool) -> None:
        """Write these outcomes as groups, one a task."""
        for task, mine in self.of_task(held).items():
            taker = self if hand_over else None
            settled = settle(
                get_task(task), [one.outcome for one in mine], worker=self.worker_id, taker=taker
            )
            for one in mine:
                self.held.pop(one.job.key, None)
            self.take_on(settled.handed)
            self.owed |= settled.lanes

    def promote(self) -> None:
        self.woken.update(ledger.promote(self.owed))
        self.owed.clear()

    # --- giving up ---------------------------------------------------------------------------------

    def not_begun(self) -> list[Held]:
        """What may be handed back: its call has not begun, and nothing says that it is about to."""
        marked = {one.job.key for one in self.callable() if one.ready and one.ready.marked}
        return [one for one in self.held.values() if one.outcome is None and one.job.key not in marked]

    def hand_back(self) -> None:
        back = self.not_begun()
        ledger.hand_back([one.job for one in back])
        for one in back:
            del self.held[one.job.key]

    def overrun(self, one: Held) -> None:
        """Its watchman ends the process: what has not begun is handed back, the one that overran is blamed."""
        self.hand_back()
        blame([one.job], "a call ran beyond its time limit", worker=self.worker_id)
        self.die()

    def die(self) -> None:
        self.dead = True
        self.held.clear()
        self.owed.clear()

    # --- its other threads ---------------------------------------------------------------------------

    def beat(self) -> None:
        if not ledger.heartbeat(self.worker_id, lease=leases.LEASE):
            self.register()

    def tick(self) -> None:
        """Its sweeper's thread came by without doing anything."""
        if self.clock.seconds - self.sweeper._last_tick > 3.0:
            self.sweeper._seen_since = self.clock.seconds
        self.sweeper._last_tick = self.clock.seconds

    def sweep(self) -> None:
        self.tick()
        self.sweeper.wake_due()
        self.sweeper.round()
