"""The whole ledger as a state machine: thousands of schedules that nobody thought of, under a clock moved by hand.

Workers claim, read, mark, call and finish in any interleaving; they die, freeze, and wake up too late; leases run
out, answers to commits are lost, people cancel and retry. After every step the rules of tests/jobs/machine/rules.py
are asked, and at the end everything must end. A failure prints the steps that lead to it, the fewest that do.

    HYPOTHESIS_PROFILE=thorough python -m pytest tests/jobs/test_state_machine.py     # many more, and others each time
"""

import logging
import os

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.jobs import leases
from tests.jobs.machine.clock import VirtualClock
from tests.jobs.machine.upstream import ANSWERS, ASK, SEND, TASKS
from tests.jobs.machine.world import World

pytestmark = pytest.mark.django_db(transaction=True)

CLOCK = VirtualClock()
PICK = st.integers(0, 7)
YES = st.booleans()
RARELY = st.sampled_from([False, False, False, True])
LIVING: dict[str, World] = {}
"""The world of the present run: what the kernel is asked about processes is asked there."""


def profile() -> settings:
    """The same schedules in every run, so that no run is red by luck; others, and more, where they are asked for.

    unshrunk: as in every run, but a failure is told as it was found (chaos/mutations wants to know only whether).
    """
    name = os.environ.get("HYPOTHESIS_PROFILE", "")
    quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
    if name == "thorough":
        return settings(max_examples=2000, stateful_step_count=80, **quiet)
    return settings(
        max_examples=100 if connection.vendor == "sqlite" else 30,
        stateful_step_count=50,
        derandomize=True,
        database=None,
        phases=[Phase.generate] if name == "unshrunk" else [Phase.explicit, Phase.generate, Phase.shrink],
        **quiet,
    )


def one_of(there, pick):
    return there[pick % len(there)]


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.world = World(CLOCK)
        LIVING.update(world=self.world)

    def teardown(self):
        try:
            self.world.drain()
        finally:
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    def awake(self):
        return self.world.awake()

    def working(self):
        return [worker for worker in self.awake() if worker.held]

    def with_calls_to_make(self):
        return [worker for worker in self.awake() if worker.callable()]

    def with_outcomes(self):
        return [worker for worker in self.awake() if worker.ended()]

    def owing(self):
        return [worker for worker in self.awake() if worker.owed]

    def frozen(self):
        return [worker for worker in self.world.workers if worker.frozen and not worker.dead]

    def dead(self):
        return [slot for slot, worker in enumerate(self.world.workers) if worker.dead]

    @initialize(lanes=st.lists(st.sampled_from(["a", "b", None]), min_size=2, max_size=4), again=YES)
    def begin(self, lanes, again):
        for lane in lanes:
            self.world.enqueue(SEND, 2, again=again, lane=lane, max_retries=2, expires_in=None)

    # --- work --------------------------------------------------------------------------------------

    @rule(
        task=st.sampled_from([ASK, SEND]),
        count=st.integers(1, 3),
        lane=st.sampled_from(["a", "a", "b", None]),
        priority=st.sampled_from([5, 5, 0, 9]),
        customer=st.sampled_from([None, 1, 2, 3]),
        again=YES,
        max_retries=st.sampled_from([0, 2, None]),
        expires_in=st.sampled_from([None, None, 3.0, 60.0]),
    )
    def enqueue(self, task, count, max_retries, expires_in, **options):
        if max_retries is None:  # without a count, only its age ends it
            max_retries, expires_in = 100, expires_in or 60.0
        self.world.enqueue(task, count, max_retries=max_retries, expires_in=expires_in, **options)

    @rule(
        lane=st.sampled_from(["a", None]),
        key=st.sampled_from(["k1", "k2"]),
        debounce=st.sampled_from([None, 2.0, 25.0]),
    )
    def enqueue_by_key(self, lane, key, debounce):
        self.world.enqueue(
            ASK, 1, again=True, lane=lane, dedupe_key=f"{key}:{lane}", debounce=debounce, expires_in=None
        )

    @precondition(awake)
    @rule(pick=PICK, task=st.sampled_from(TASKS), places=st.sampled_from([1, 2, 50]), answer_lost=RARELY)
    def claim(self, pick, task, places, answer_lost):
        self.world.claim(one_of(self.awake(), pick), task, places, answer_lost=answer_lost)

    @precondition(working)
    @rule(pick=PICK, mark=st.sampled_from([True, True, False]))
    def read(self, pick, mark):
        worker = one_of(self.working(), pick)
        self.world.read(worker)
        if mark:
            self.world.mark(worker)

    @precondition(working)
    @rule(pick=PICK)
    def mark(self, pick):
        self.world.mark(one_of(self.working(), pick))

    @precondition(with_calls_to_make)
    @rule(pick=PICK, which=PICK, answer=st.sampled_from(["ok", "ok", *ANSWERS]))
    def call(self, pick, which, answer):
        worker = one_of(self.with_calls_to_make(), pick)
        self.world.call(worker, one_of(worker.callable(), which), answer)

    @precondition(with_outcomes)
    @rule(pick=PICK, which=PICK, group=YES, hand_over=YES, unwritable=RARELY, answer_lost=RARELY)
    def write(self, pick, which, group, **mishaps):
        worker = one_of(self.with_outcomes(), pick)
        there = worker.ended()
        self.world.write(worker, there if group else [one_of(there, which)], **mishaps)

    @precondition(owing)
    @rule(pick=PICK)
    def promote(self, pick):
        self.world.promote(one_of(self.owing(), pick))

    @precondition(awake)
    @rule(pick=PICK, task=st.sampled_from(TASKS), answer=st.sampled_from(["ok", *ANSWERS]))
    def whole_way(self, pick, task, answer):
        worker = one_of(self.awake(), pick)
        self.world.claim(worker, task, 3)
        self.world.through(worker, answer)

    # --- mishaps ---------------------------------------------------------------------------------

    @precondition(working)
    @rule(
        pick=PICK,
        which=PICK,
        what=st.sampled_from(["freeze", "freeze", "crash", "overrun", "hand back", "stop"]),
    )
    def mishap(self, pick, which, what):
        worker = one_of(self.working(), pick)
        match what:
            case "freeze":
                worker.frozen = True
            case "crash":
                self.world.crash(worker)
            case "stop":
                self.world.stop(worker)
            case "hand back":
                self.world.hand_back(worker)
            case "overrun" if there := worker.callable():
                self.world.overrun(worker, one_of(there, which))

    @precondition(awake)
    @rule(pick=PICK)
    def crash(self, pick):
        self.world.crash(one_of(self.awake(), pick))

    @precondition(dead)
    @rule(pick=PICK, visible=YES)
    def start(self, pick, visible):
        self.world.start(one_of(self.dead(), pick), visible=visible)

    @precondition(frozen)
    @rule(pick=PICK)
    def thaw(self, pick):
        self.world.thaw(one_of(self.frozen(), pick))

    # --- time and the net ----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 13.0, 40.0]))
    def advance(self, seconds):
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def outage(self, seconds):
        self.world.outage(seconds)

    @precondition(awake)
    @rule(pick=PICK)
    def sweep(self, pick):
        self.world.sweep(one_of(self.awake(), pick))

    @precondition(lambda self: self.awake() and self.world.suspects())
    @rule(
        pick=PICK,
        fate=st.sampled_from(["lives", "dies at once", "dies after its call"]),
        answer=st.sampled_from(["ok", *ANSWERS]),
    )
    def suspect(self, pick, fate, answer):
        self.world.suspect(one_of(self.awake(), pick), fate, answer)

    # --- people ----------------------------------------------------------------------------------

    @precondition(lambda self: self.world.waiting())
    @rule(pick=PICK)
    def cancel(self, pick):
        self.world.cancel(one_of(self.world.waiting(), pick))

    @precondition(lambda self: self.world.dead_letters())
    @rule(pick=PICK, again=YES)
    def at_the_desk(self, pick, again):
        act = self.world.redrive if again else self.world.discard
        act(one_of(self.world.dead_letters(), pick))


def test_every_promise_holds_whatever_happens(monkeypatch):
    monkeypatch.setattr(leases, "process_start", lambda pid: LIVING["world"].process_start(pid))
    CLOCK.install(monkeypatch)
    logging.disable(logging.CRITICAL)  # every mishap would be told, a thousand times
    try:
        run_state_machine_as_test(LedgerMachine, settings=profile())
    finally:
        logging.disable(logging.NOTSET)
        CLOCK.remove()
