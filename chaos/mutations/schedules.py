"""The plays. Each brings about, step by step, the one situation in which its promise counts.

A play gets a stage that is empty and leaves the judging to the checker. It must be green on a whole system, and what
it waits for must happen on a whole system and on a broken one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from chaos.mutations.stage import DEADLINE, Stage
from tests.fakes.witness import Question
from tests.waiting import wait_until

SEND = "delivery.send_telegram"
LEASE = 4.0
PROBE_SECONDS = 3.0
"""Longer than others wait until they ask again for a probe's place."""


def killed_in_a_send(stage: Stage) -> None:
    """A worker dies while its sends are under way: done outside, and nobody has told it."""
    stage.worker("one")
    stage.ready("one")
    stage.system.steer("hold", on=True)
    stage.ask(0, 1)
    stage.held(2)
    stage.kill("one")
    stage.system.steer("hold", on=False)
    stage.worker("two")
    stage.ready("two")
    stage.drain()


def asleep_past_its_lease(stage: Stage) -> None:
    """A worker sleeps in a send, another takes over and finishes; then the first hears its answer."""
    one = stage.worker("one", lease=LEASE)
    stage.ready("one")
    stage.system.steer("hold", on=True)
    stage.ask(0)
    stage.held(1)
    stage.worker("two", lease=LEASE)
    stage.ready("two")
    with stage.stopped("one"):
        # Two claims of one job, and the second is being sent.
        again = f"SELECT count(*) AS n FROM jobs_job WHERE task = '{SEND}' AND fence > 1 AND sending_at IS NOT NULL"
        wait_until(lambda: stage.system.ledger.one(again), DEADLINE, "the other to send again")
        stage.held(2)
        stage.system.steer("hold", on=False)
        stage.drain()
    one.close(DEADLINE)  # it writes what it has heard before it goes
    stage.drain()


def one_conversation(stage: Stage) -> None:
    """Six messages of one person, and the first two sends fail once: the others must wait for them."""
    stage.system.steer("next", method="sendMessage", times=2, status=500)
    stage.ask(0, each=6)
    stage.worker("one")
    stage.ready("one")
    stage.drain()


def told_twice(stage: Stage) -> None:
    """A provider repeats an event."""
    stage.web()
    stage.worker("one")
    stage.ready("one")
    stage.webhook(Question("play", 0, 0), times=3)
    stage.drain()


def bells_lost(stage: Stage) -> None:
    """Everything that the broker held is gone before a worker starts."""
    stage.ask(0, 1)
    stage.system.setup.redis.flushall()
    stage.worker("one")
    stage.ready("one")
    stage.drain()


def down_and_back(stage: Stage) -> None:
    """A bot fails until its breaker opens; when its time is over, the answer to the first call takes a while."""
    stage.system.steer("down", bot="again", status=500)
    stage.worker("one")
    stage.ready("one")
    stage.ask(0, 2, 4)
    log = stage.directory / "worker-one.log"
    wait_until(lambda: "breaker_opened" in log.read_text(), DEADLINE, "the breaker to open")
    stage.ask(6, 8, 10)
    stage.system.steer("hold", on=True)
    stage.system.steer("down", bot="again")
    stage.held(1)
    threading.Event().wait(PROBE_SECONDS)
    stage.system.steer("hold", on=False)
    stage.drain()


def cut_before_it_was_read(stage: Stage) -> None:
    """A connection ends before the message was read, and the account asks a person."""
    stage.system.steer("next", method="sendMessage", cut="before", name="cut_before")
    stage.worker("one")
    stage.ready("one")
    stage.ask(1)
    stage.drain()


@dataclass(frozen=True)
class Case:
    """What is broken, the play in which it counts, and the invariant that must turn red."""

    broken: str
    play: Callable[[Stage], None]
    turns_red: str

    @property
    def name(self) -> str:
        return self.play.__name__.replace("_", " ")


CASES = {
    "fence_off": Case(
        "writes ask neither whose claim it was nor its status", asleep_past_its_lease, "figures"
    ),
    "lane_off": Case("any job of a lane may be claimed, several at once", one_conversation, "order"),
    "inbox_off": Case("an event is taken in although it is known", told_twice, "taken_in_once"),
    "sweeper_off": Case("nobody looks for what is due without a bell", bells_lost, "limbo"),
    "lease_off": Case("what a dead worker held is not taken back", killed_in_a_send, "limbo"),
    "mark_off": Case("a send begins without its mark", killed_in_a_send, "twice_ask_a_person"),
    "permit_off": Case("a breaker that is half open lets everybody through", down_and_back, "one_probe"),
    "unknown_is_success": Case(
        "no answer is taken for a good one", cut_before_it_was_read, "completed_was_seen"
    ),
}
"""By MUTATION."""
