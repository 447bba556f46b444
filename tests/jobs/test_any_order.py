"""Whatever happens in whatever order: one of a lane at a time, in the order of acceptance, and nothing is left over."""

from datetime import timedelta

from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.jobs import ledger
from apps.jobs.desk import cancel
from apps.jobs.enqueueing import enqueue
from apps.jobs.models import Job
from apps.jobs.taking_back import take_back_abandoned
from tests.factories.jobs import WorkerFactory, make_due

LANES = ["a", "b", None]
ACTS = st.one_of(
    st.tuples(st.just("enqueue"), st.sampled_from(LANES), st.sampled_from([0, 5])),
    st.tuples(st.just("enqueue_key"), st.sampled_from(LANES), st.sampled_from(["k1", "k2"])),
    st.tuples(st.just("claim"), st.integers(1, 4), st.none()),
    st.tuples(st.sampled_from(["complete", "retry", "fail", "hand_back"]), st.integers(0, 5), st.none()),
    st.tuples(st.sampled_from(["kill", "due", "cancel"]), st.integers(0, 20), st.none()),
)


class TestAnyOrder(TestCase):
    @settings(max_examples=30, deadline=None)
    @given(st.lists(ACTS, max_size=40))
    def test_lanes_and_ends(self, acts):
        world = World()
        for name, one, other in acts:
            getattr(world, name)(one, other)
            world.check()
        world.finish()


class World:
    def __init__(self):
        self.worker = WorkerFactory().pk
        self.held = []
        self.begun = []

    def enqueue(self, lane, priority):
        # One priority a lane: within a lane acceptance decides, and the claim goes by priority.
        enqueue("test.script", lane=lane, priority=priority if lane is None else 5)

    def enqueue_key(self, lane, key):
        enqueue("test.script", lane=lane, dedupe_key=f"{key}:{lane}")

    def claim(self, places, _):
        jobs, _ = ledger.claim("test.script", places=places, worker=self.worker)
        self.held += jobs
        self.begun += [
            (job.lane, job.id) for job in jobs if job.lane and (job.lane, job.id) not in self.begun
        ]

    def _take(self, index):
        return self.held.pop(index % len(self.held)) if self.held else None

    def complete(self, index, _):
        if job := self._take(index):
            assert ledger.complete([job]) == {job.key}
            ledger.promote([job.lane] if job.lane else [])

    def retry(self, index, _):
        if job := self._take(index):
            assert ledger.put_back(job, delay=60, spent=1)

    def fail(self, index, _):
        if job := self._take(index):
            assert ledger.fail(job, reason="permanent", spent=1, error="x", code="x")
            ledger.promote([job.lane] if job.lane else [])

    def hand_back(self, index, _):
        if job := self._take(index):
            ledger.hand_back([job])

    def kill(self, _, __):
        """The worker stops without a word, and another takes its place."""
        ledger.end_worker(self.worker, how="lease")
        taken, _ = take_back_abandoned(me=0)
        assert taken == len(self.held)
        for job in self.held:
            assert ledger.complete([job]) == set()  # it wakes up: too late
        self.held, self.worker = [], WorkerFactory().pk

    def due(self, _, __):
        make_due()

    def cancel(self, index, _):
        if job := Job.objects.waiting().order_by("pk")[index : index + 1].first():
            assert cancel(job=job, by="test")

    def check(self):
        running = Job.objects.filter(status="processing")
        lanes = [lane for lane in running.values_list("lane", flat=True) if lane]
        assert len(lanes) == len(set(lanes))
        assert {job.id for job in self.held} == set(running.values_list("pk", flat=True))
        for lane in ("a", "b"):
            order = [job_id for name, job_id in self.begun if name == lane]
            assert order == sorted(order)

    def finish(self):
        """Let everything end: nothing may be stuck, without a sweep for orphans."""
        for _ in range(200):
            while self.held:
                self.complete(0, None)
            make_due()
            self.claim(10, None)
            self.check()
            if (
                not self.held
                and not Job.objects.waiting().filter(run_at__lte=timezone.now() + timedelta(1)).exists()
            ):
                break
        assert not Job.objects.live().exists()
