"""The moves of the machine: each does one thing to the ledger, and says to the watch what may have changed by it."""

from apps.jobs import desk, ledger
from apps.jobs.enqueueing import NewJob, enqueue_many
from apps.jobs.models import Job
from apps.jobs.taking_back import blame
from tests.jobs.machine.clock import VirtualClock
from tests.jobs.machine.rules import (
    LIMBO,
    LIVE,
    LIVING,
    LOST,
    ORDER,
    WAITING,
    Step,
    Watch,
    as_stored,
    hold,
    rows_of,
)
from tests.jobs.machine.upstream import ECHO, TASKS, scene
from tests.jobs.machine.workers import Held, VirtualWorker

WORKERS = 3
IDLE_SECONDS = 31.0
"""Longer than any lease of a job here takes to be noticed, in a few rounds, and than the look for orphans waits."""


class World:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        clock.set(0.0)
        scene.reset()
        self.upstream = scene.upstream
        self.again: dict[int, bool] = {}
        self.watch = Watch(self.upstream, self.again)
        self.lost_lanes: set[str] = set()
        self.firsts: dict[str, list[int]] = {}
        self.missed_beats: set[VirtualWorker] = set()
        self._pids = iter(range(900_000, 10**9))
        self.living: set[int] = set()
        self.children: list[VirtualWorker] = []
        self.workers = [self._new_worker(visible=True) for _ in range(WORKERS)]
        self.look(Step("start"))

    def _new_worker(self, *, visible: bool) -> VirtualWorker:
        pid = next(self._pids)
        self.living.add(pid)
        return VirtualWorker(self.clock, pid, visible=visible)

    def process_start(self, pid: int) -> str | None:
        """Stands in for what the kernel says."""
        return "1" if pid in self.living else None

    def look(self, step: Step) -> None:
        self.watch.look(step, as_stored(self.clock.now))
        owed = {lane for worker in [*self.workers, *self.children] for lane in self._owing(worker)}
        parked = self.watch.parked_heads()
        self.lost_lanes &= parked
        hold(parked <= owed | self.lost_lanes, LIMBO, f"parked behind nobody: {parked - owed}")

    @staticmethod
    def _owing(worker: VirtualWorker) -> set[str]:
        return worker.owed | {one.job.lane for one in worker.ended() if one.job.lane}

    # --- making jobs -------------------------------------------------------------------------------

    def enqueue(self, task: str, count: int, *, again: bool, **options) -> None:
        made = enqueue_many([NewJob(task, {"again": again}, **options) for _ in range(count)])
        for one in made:
            # A job that stood there under the same key keeps its own payload, and so its owner's choice.
            self.again.setdefault(one.id, again)
        self.look(Step("enqueue"))
        rows = [self.watch.rows[one.id] for one in made]
        hold(all(row.status in LIVE for row in rows), LOST, f"enqueued {rows}")
        if options.get("dedupe_key"):
            new = all((row.status, row.fence) == ("pending", 0) for row in rows)
            hold(new, LOST, f"a change that a job which has begun would miss: {rows}")

    # --- the way of a job, in steps ------------------------------------------------------------------

    def claim(self, worker: VirtualWorker, task: str, places: int, *, answer_lost: bool = False) -> None:
        jobs = worker.claim(task, places)
        if answer_lost:  # committed, but the worker never heard of it; its sweeper knows of the trouble
            for job in jobs:
                del worker.held[job.key]
            worker.sweeper._seen_since = self.clock.seconds
        self.look(Step("claim", worker.worker_id))

    def read(self, worker: VirtualWorker) -> None:
        worker.read()
        self.look(Step("read"))

    def mark(self, worker: VirtualWorker) -> None:
        keys = set(worker.held)
        worker.mark()
        self.look(Step("mark", claims=keys))

    def call(self, worker: VirtualWorker, one: Held, answer: str) -> None:
        row = self.watch.rows[one.job.id]
        rightful = row.key == one.job.key and row.status == "processing"
        self.upstream.next_answer, self.upstream.next_is_rightful = answer, rightful
        first = one.job.id not in {call.job for call in self.upstream.calls}
        worker.call(one)
        if one.job.lane and first and rightful:
            before = self.firsts.setdefault(one.job.lane, [])
            hold(not before or before[-1] < one.job.id, ORDER, f"{one.job.id} after {before}")
            before.append(one.job.id)
        self.look(Step("call"))

    def write(
        self,
        worker: VirtualWorker,
        held: list[Held],
        *,
        hand_over: bool,
        unwritable: bool = False,
        answer_lost: bool = False,
    ) -> None:
        """`answer_lost`: committed, but the worker does not know, and will offer the same outcomes again."""
        step = Step("write", worker.worker_id, {one.job.key: one.outcome.ending for one in held})
        scene.unwritable = self.watch.unwritable = {held[0].job.id} if unwritable and held else set()
        kept, owed = dict(worker.held), set(worker.owed)
        worker.write(held, hand_over=hand_over)
        if answer_lost:
            worker.held.clear()
            worker.held.update(kept)
            worker.owed = owed
            worker.sweeper._seen_since = self.clock.seconds
        scene.unwritable = set()
        self.look(step)

    def promote(self, worker: VirtualWorker) -> None:
        worker.promote()
        self.look(Step("promote"))

    def through(self, worker: VirtualWorker, answer: str) -> None:
        """All that this worker holds, from where it is to its end."""
        if not worker.held and not worker.owed:
            return
        self.read(worker)
        self.mark(worker)
        for one in worker.callable():
            self.call(worker, one, answer)
        if ended := worker.ended():
            self.write(worker, ended, hand_over=True)
        self.promote(worker)

    # --- mishaps -------------------------------------------------------------------------------------

    def hand_back(self, worker: VirtualWorker) -> None:
        step = Step("hand back", claims={one.job.key for one in worker.not_begun()})
        worker.hand_back()
        self.look(step)

    def overrun(self, worker: VirtualWorker, one: Held) -> None:
        self._lose(worker)
        others = {other.job.key for other in worker.not_begun()} - {one.job.key}
        step = Step("hand back", claims=others, blamed=one.job.key)
        worker.held.pop(one.job.key)
        worker.hand_back()
        blame([one.job], "a call ran beyond its time limit", worker=worker.worker_id)
        worker.held.clear()
        self._end(worker)
        self.look(step)

    def _lose(self, worker: VirtualWorker) -> None:
        self.lost_lanes |= self._owing(worker)

    def _end(self, worker: VirtualWorker) -> None:
        worker.die()
        self.living.discard(worker.pid)

    def crash(self, worker: VirtualWorker) -> None:
        self._lose(worker)
        self._end(worker)
        self.look(Step("crash"))

    def stop(self, worker: VirtualWorker) -> None:
        """SIGTERM: outcomes are written, what has not begun is handed back, a send under way keeps its name."""
        if ended := worker.ended():
            self.write(worker, ended, hand_over=False)
        self.promote(worker)
        self.hand_back(worker)
        if not worker.held:
            ledger.end_worker(worker.worker_id, how="stopped")
        self._end(worker)
        self.look(Step("stop"))

    def start(self, slot: int, *, visible: bool) -> None:
        self.workers[slot] = self._new_worker(visible=visible)
        self.look(Step("start"))

    def thaw(self, worker: VirtualWorker) -> None:
        worker.frozen = False
        self.missed_beats.add(worker)
        worker.tick()

    # --- time ------------------------------------------------------------------------------------------

    def awake(self) -> list[VirtualWorker]:
        return [worker for worker in self.workers if not worker.dead and not worker.frozen]

    def advance(self, seconds: float) -> None:
        """Time passes, and who is awake beats and ticks meanwhile."""
        self.clock.advance(seconds)
        for worker in self.awake():
            worker.beat()
            worker.sweeper._last_tick = self.clock.seconds
            self.missed_beats.discard(worker)
        self.look(Step("advance"))

    def outage(self, seconds: float) -> None:
        """Time passes and the database is away: nobody beats, and every sweep fails."""
        self.clock.advance(seconds)
        for worker in self.awake():
            worker.sweeper._last_tick = worker.sweeper._seen_since = self.clock.seconds
            worker.sweeper._orphans_likely = True

    # --- the net -----------------------------------------------------------------------------------------

    def sweep(self, worker: VirtualWorker) -> None:
        there = {pk for (pk,) in rows_of("SELECT id FROM jobs_worker WHERE ended_at IS NULL")}
        held = {(row.id, row.fence) for row in self.watch.rows.values() if row.status == "processing"}
        claims = held - {key for one in self.workers if not one.dead for key in one.held}
        worker.sweep()
        self.look(Step("sweep", claims=claims))
        for pk in there & self.watch.ended_how.keys():
            how = self.watch.ended_how[pk]
            mine = next((one for one in self.workers if pk == one.worker_id), None)
            gone = (
                mine is None or mine.dead or (how == "lease" and (mine.frozen or mine in self.missed_beats))
            )
            hold(gone, LIVING, f"worker {pk} was ended ({how}) although it lives")
        left = [
            row
            for row in self.watch.rows.values()
            if row.status == "processing" and row.worker_id in self.watch.ended_how
        ]
        hold(not left, LIMBO, f"left to a worker that has ended: {left}")

    def suspect(self, worker: VirtualWorker, fate: str, answer: str) -> bool:
        """The child of `worker` runs one suspect alone. `fate`: "lives", or after which step it dies."""
        job_id = ledger.next_suspect(TASKS)
        if job_id is None:
            return False
        job = ledger.claim_one(job_id, worker=worker.worker_id)
        if job is None:
            return False
        self.look(Step("alone", worker.worker_id))
        child = VirtualWorker.__new__(VirtualWorker)
        child.clock, child.worker_id, child.held, child.owed = self.clock, worker.worker_id, {}, set()
        child.woken = worker.woken
        self.children = [child]
        child.take_on([job])
        if fate != "dies at once":
            self.read(child)
            self.mark(child)
            for one in child.callable():
                self.call(child, one, answer)
        if fate == "lives":
            self.write(child, child.ended(), hand_over=False)
            self.promote(child)
        elif row := ledger.running(job_id, worker=worker.worker_id):
            blame([row], "its process died with it, alone", worker=worker.worker_id)
            self.look(Step("alone", blamed=row.key))
        self.children = []
        return True

    # --- people ------------------------------------------------------------------------------------------

    def cancel(self, job_id: int) -> None:
        desk.cancel(job=Job.objects.get(pk=job_id), by="somebody")
        self.look(Step("cancel", job=job_id))

    def redrive(self, job_id: int) -> None:
        new = desk.retry(job=Job.objects.get(pk=job_id), by="somebody")
        self.again[new.id] = self.again.get(job_id, False)
        self.look(Step("redrive", job=job_id))

    def discard(self, job_id: int) -> None:
        desk.discard(job=Job.objects.get(pk=job_id), by="somebody", why="not wanted any more")
        self.look(Step("discard", job=job_id))

    def waiting(self) -> list[int]:
        return [row.id for row in self.watch.rows.values() if row.status in WAITING]

    def suspects(self) -> list[int]:
        return [row.id for row in self.watch.rows.values() if row.status in WAITING and row.crashes >= 2]

    def dead_letters(self) -> list[int]:
        return [
            row.id
            for row in self.watch.rows.values()
            if row.status == "failed" and row.closed_at is None and row.task != ECHO
        ]

    # --- the end -----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Everybody lives, every bell is lost, the other side answers: then everything must end."""
        for slot, worker in enumerate(self.workers):
            worker.woken.clear()
            if worker.frozen:
                self.thaw(worker)
            if worker.dead:
                self.start(slot, visible=True)
        for _ in range(400):
            if not any(row.status in LIVE for row in self.watch.rows.values()):
                return
            self.advance(0.25)
            busy = False
            for worker in self.workers:
                self.sweep(worker)
                woken, worker.woken = worker.woken, set()
                for task in woken & set(TASKS):
                    self.claim(worker, task, 50)
                busy |= bool(worker.held or woken)
                self.through(worker, "ok")
                while self.suspect(worker, "lives", "ok"):
                    busy = True
            if not busy:
                self.advance(IDLE_SECONDS if self.clock.seconds % 2 else 5.0)
        left = [row for row in self.watch.rows.values() if row.status in LIVE]
        hold(not left, LIMBO, f"still there when everybody works: {left}")
